"""Functions that read a stream, as the engine needs them.

ministack 1.5.33 takes a batch of a DynamoDB stream for done unless the function raises: records that it hands back
(`ReportBatchItemFailures`) never come again, and one that raises is called with the same batch for ever. So the records
are tried again here, as often as the template says.
"""

import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each further try; as many as MaximumRetryAttempts."""

Event = dict[str, Any]


def gather(event: Event, context: object) -> Mapping[str, Any]:
    """Lambda entry point of `gather`."""
    return patiently(import_module("functions.gather.handler").handle, event, context)


def deliver(event: Event, context: object) -> Mapping[str, Any]:
    """Lambda entry point of `deliver`."""
    return patiently(import_module("functions.deliver.handler").handle, event, context)


def patiently(
    handle: Callable[[Event, object], Mapping[str, Any]],
    event: Event,
    context: object,
    sleep: Callable[[float], None] = time.sleep,
) -> Mapping[str, Any]:
    """Give a function the records that it hands back again, and those after them, as AWS does.

    Parameters
    ----------
    handle
        The function's own entry point.
    event, context
        What the engine passed.
    sleep
        Waits so many seconds.

    Returns
    -------
    Mapping
        The last answer. What it still hands back is passed over; `firstread reconcile` finds what is missing.
    """
    answer = handle(event, context)
    for pause in _PAUSES:
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        if not failed:
            break
        records = event["Records"]
        first = min(n for n, each in enumerate(records) if each["dynamodb"]["SequenceNumber"] in failed)
        event = {"Records": records[first:]}
        sleep(pause)
        answer = handle(event, context)
    return answer
