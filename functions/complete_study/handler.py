"""SQS batches of quiet timers -> `CompleteStudy.check`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.environment import (
    InstancesSettings,
    ModelsSettings,
    OutboxSettings,
    QuietSettings,
    StudiesSettings,
)
from firstread.handling import Event, batch
from firstread.messages import QuietTimer
from firstread.queues import Queue
from firstread.records import tables
from firstread.records.instances import InstanceRepository
from firstread.records.results import ModelRepository
from firstread.records.studies import StudyRepository
from functions.complete_study.logic import CompleteStudy


class Settings(InstancesSettings, StudiesSettings, ModelsSettings, OutboxSettings, QuietSettings):
    """The environment of `complete_study`."""


@lru_cache(maxsize=1)
def bootstrap() -> CompleteStudy:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    return CompleteStudy(
        instances=InstanceRepository(),
        studies=StudyRepository(),
        models=ModelRepository(),
        timers=Queue(settings.quiet_timer_queue_url),
        quiet=settings,
    )


def handle_record(record: Event) -> None:
    """Check one timer."""
    bootstrap().check(QuietTimer.model_validate_json(record["body"]))


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    return batch(EventType.SQS, handle_record, event, context)
