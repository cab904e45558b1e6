"""Stream of the instances table -> a look at each study, once per study and batch."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.gathering.step import GatherStudy
from firstread.gathering.wiring import GatheringSettings, open_gathering
from firstread.handling import Event, batch


class Settings(GatheringSettings):
    """The environment of `gather`."""


@lru_cache(maxsize=1)
def bootstrap() -> GatherStudy:
    """Wire the logic to its environment, once per execution environment."""
    return open_gathering(Settings())


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    # A CT is hundreds of records of one study: one look at the study per batch is enough, made for the last.
    last = {_study(record): record["dynamodb"]["SequenceNumber"] for record in event["Records"]}

    def handle_record(record: Event) -> None:
        study_uid = _study(record)
        if last[study_uid] == record["dynamodb"]["SequenceNumber"]:
            bootstrap().look(study_uid)

    return batch(EventType.DynamoDBStreams, handle_record, event, context)


def _study(record: Event) -> str:
    return str(record["dynamodb"]["Keys"]["study_uid"]["S"])
