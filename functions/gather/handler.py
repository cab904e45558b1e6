"""Stream of the instances table -> `Gather.study`, once per study and batch."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.environment import InstancesSettings, QuietSettings, StudiesSettings
from firstread.handling import Event, batch
from firstread.queues import Queue
from firstread.records import tables
from firstread.records.instances import InstanceRepository
from firstread.records.studies import StudyRepository
from functions.gather.logic import Gather


class Settings(InstancesSettings, StudiesSettings, QuietSettings):
    """The environment of `gather`."""


@lru_cache(maxsize=1)
def bootstrap() -> Gather:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    return Gather(
        instances=InstanceRepository(),
        studies=StudyRepository(),
        timers=Queue(settings.quiet_timer_queue_url),
        quiet=settings,
    )


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    # A CT is hundreds of records of one study: one look at the study per batch is enough, made for the last.
    last = {_study(record): record["dynamodb"]["SequenceNumber"] for record in event["Records"]}

    def handle_record(record: Event) -> None:
        study_uid = _study(record)
        if last[study_uid] == record["dynamodb"]["SequenceNumber"]:
            bootstrap().study(study_uid)

    return batch(EventType.DynamoDBStreams, handle_record, event, context)


def _study(record: Event) -> str:
    return str(record["dynamodb"]["Keys"]["study_uid"]["S"])
