"""SQS batches of `BatchEnded` -> `EndBatch.batch`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.gathering.wiring import GatheringSettings, open_gathering
from firstread.handling import Event, batch
from firstread.messages import BatchEnded
from functions.end_batch.logic import EndBatch


class Settings(GatheringSettings):
    """The environment of `end_batch`."""


@lru_cache(maxsize=1)
def bootstrap() -> EndBatch:
    """Wire the logic to its environment, once per execution environment."""
    gather = open_gathering(Settings())
    return EndBatch(batches=gather.batches, gather=gather)


def handle_record(record: Event) -> None:
    """Handle one hint."""
    bootstrap().batch(BatchEnded.model_validate_json(record["body"]))


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    return batch(EventType.SQS, handle_record, event, context)
