"""Events as AWS delivers them, made from the golden files in `tests/functional/events`."""

import copy
import itertools
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.handling import Event

_FOLDER = Path(__file__).parent.parent / "functional" / "events"
_numbers = itertools.count(1)


class Context:
    """What Lambda passes beside the event."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "52fdfc07-2182-154f-163f-5f0f9a621d72"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Return what is left of the longest time there is."""
        return 900_000


CONTEXT = cast(LambdaContext, Context())


@lru_cache
def _stored(name: str) -> Event:
    found: Event = json.loads((_FOLDER / f"{name}.json").read_text())
    return found


def golden(name: str) -> Event:
    """Return a fresh copy of a golden event."""
    return copy.deepcopy(_stored(name))


def object_created(
    bucket: str, key: str, version_id: str | None, time: str = "2004-08-26T18:54:34Z"
) -> Event:
    """Return the EventBridge event of an object."""
    event = golden("object_created")
    event["time"] = time
    event["detail"]["bucket"]["name"] = bucket
    event["detail"]["object"]["key"] = key
    if version_id is None:
        del event["detail"]["object"]["version-id"]
    else:
        event["detail"]["object"]["version-id"] = version_id
    return event


def result_recorded(detail: Mapping[str, Any]) -> Event:
    """Return the EventBridge event of a result."""
    return golden("result_recorded") | {"detail": dict(detail)}


def sqs(*bodies: Event | str) -> Event:
    """Return one batch of a queue."""
    records = []
    for body in bodies:
        record = golden("sqs")
        record["messageId"] = f"message-{next(_numbers)}"
        record["body"] = body if isinstance(body, str) else json.dumps(body)
        records.append(record)
    return {"Records": records}


def stream(*rows: tuple[Mapping[str, Any], Mapping[str, Any]], name: str = "INSERT") -> Event:
    """Return one batch of a table's stream, from keys and images in DynamoDB JSON."""
    records = []
    for keys, image in rows:
        record = golden("dynamodb_insert")
        record["eventName"] = name
        record["dynamodb"]["Keys"] = dict(keys)
        record["dynamodb"]["NewImage"] = dict(image)
        record["dynamodb"]["SequenceNumber"] = f"{next(_numbers):030d}"
        records.append(record)
    return {"Records": records}
