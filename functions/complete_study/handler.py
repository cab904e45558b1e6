"""SQS batches of quiet timers -> a look at the study."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.gathering.step import GatherStudy
from firstread.gathering.wiring import GatheringSettings, open_gathering
from firstread.handling import Event, batch
from firstread.messages import QuietTimer


class Settings(GatheringSettings):
    """The environment of `complete_study`."""


@lru_cache(maxsize=1)
def bootstrap() -> GatherStudy:
    """Wire the logic to its environment, once per execution environment."""
    return open_gathering(Settings())


def handle_record(record: Event) -> None:
    """Look at the study of one timer, unless a later arrival has a timer of its own."""
    timer = QuietTimer.model_validate_json(record["body"])
    if not timer.last_arrival or bootstrap().is_last(timer.study_uid, timer.last_arrival):
        bootstrap().look(timer.study_uid)


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    return batch(EventType.SQS, handle_record, event, context)
