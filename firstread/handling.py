"""What every Lambda handler does alike: log without patient data, work through a batch, report what failed, measure.

An exception's text may quote what it failed on, so only its type and place are logged.
"""

import functools
import json
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    BasePartialProcessor,
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.correlation import Correlation, correlated
from firstread.metrics import Meter, Metric
from firstread.queues import show_again

Event = dict[str, Any]
"""A Lambda event or one of its records, as decoded JSON."""

logger = Logger()
# Before the second and the third try: a race is over in seconds, a store that is out of reach perhaps in minutes.
# What fails longer is in the dead letters, and the sweep sends its event again.
_PAUSES = (10, 120)
logger.addFilter(Correlation())
meter = Meter()
"""What the function measures; `batch` flushes it."""


def describe(error: BaseException) -> dict[str, str]:
    """Return what may be logged of an error: its type, its AWS error code, and the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    place = f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno}" if last else ""
    return {"error": type(error).__name__, "code": _aws_code(error), "at": place}


def _aws_code(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore's ClientError
        return str(response.get("Error", {}).get("Code", ""))
    code = getattr(error, "cause_response_code", None)  # pynamodb's errors
    return str(code or (type(error.__cause__).__name__ if error.__cause__ else ""))


def batch(
    event_type: EventType, handle_record: Callable[[Event], None], event: Event, context: LambdaContext
) -> Mapping[str, Any]:
    """Handle each record of a batch; those that fail are returned for another try, the others are done.

    The log lines of a record carry the correlation id of its message; of an object that arrived, from the moment that
    its metadata has been read (`firstread.correlation.correlate`).

    Parameters
    ----------
    event_type
        Where the batch comes from.
    handle_record
        Handles one decoded record; idempotent.
    event, context
        What Lambda passed.

    Returns
    -------
    Mapping
        ``batchItemFailures``, as the event source mapping expects.
    """

    @functools.wraps(handle_record)
    def handle(record: Any) -> None:  # noqa: ANN401 - powertools asks for this name and hands its own types
        event = record.raw_event
        with correlated(correlation_of(event)):
            try:
                handle_record(event)
            except Exception as error:
                logger.error("record failed", extra=describe(error))
                meter.add(Metric.RECORDS_FAILED)
                _show_soon(event)
                raise

    # All records failing is reported like some failing: an exception would only repeat it, with its text.
    processor: BasePartialProcessor = BatchProcessor(
        event_type=event_type, raise_on_entire_batch_failure=False
    )
    _measure_wait(event)
    try:
        return dict(process_partial_response(event, handle, processor, context))  # type: ignore[arg-type]
    finally:
        meter.flush()


def _show_soon(record: Event) -> None:
    """Let a queue show a message that failed after a pause, not after the visibility timeout of half an hour.

    The timeout is that long because a slow batch must not be worked on twice; a batch that has failed is over.
    """
    if record.get("eventSource") != "aws:sqs":
        return
    tries = int(record.get("attributes", {}).get("ApproximateReceiveCount", "1"))
    try:
        show_again(record["eventSourceARN"], record["receiptHandle"], _PAUSES[min(tries, len(_PAUSES)) - 1])
    except Exception as error:
        logger.warning("message not shown sooner", extra=describe(error))  # it comes after the timeout


def correlation_of(record: Event) -> str:
    """Return the correlation id that the message of a record names, or ""; never fails.

    A record of a queue has it in its body, or in the detail of an event of our own; a row of the outbox in its message,
    a row of an instance as its batch.
    """
    row = record.get("dynamodb", {}).get("NewImage", {})
    said = _decoded(record.get("body") or row.get("body", {}).get("S"))
    detail = said.get("detail")
    found = said.get("correlation_id") or (detail.get("correlation_id") if isinstance(detail, dict) else "")
    return str(found or _decoded(row.get("instance", {}).get("S")).get("batch") or "")


def _decoded(text: object) -> Event:
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _measure_wait(event: Event) -> None:
    """Measure how long the oldest record has waited: in its queue, or in the stream of its table."""
    sent = [
        int(record["attributes"]["SentTimestamp"]) / 1000
        for record in event["Records"]
        if "SentTimestamp" in record.get("attributes", {})
    ] + [
        float(record["dynamodb"]["ApproximateCreationDateTime"])
        for record in event["Records"]
        if "ApproximateCreationDateTime" in record.get("dynamodb", {})
    ]
    if sent:
        meter.add(Metric.OLDEST_MESSAGE, max(0.0, time.time() - min(sent)))
