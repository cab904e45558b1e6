"""What every Lambda handler does alike: log without patient data, work through a batch, report what failed.

An exception's text may quote what it failed on, so only its type and place are logged.
"""

import functools
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

Event = dict[str, Any]
"""A Lambda event or one of its records, as decoded JSON."""

logger = Logger()


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
        try:
            handle_record(record.raw_event)
        except Exception as error:
            logger.error("record failed", extra=describe(error))
            raise

    # All records failing is reported like some failing: an exception would only repeat it, with its text.
    processor: BasePartialProcessor = BatchProcessor(
        event_type=event_type, raise_on_entire_batch_failure=False
    )
    return dict(process_partial_response(event, handle, processor, context))  # type: ignore[arg-type]
