"""Stream of the outbox table -> `Deliver.message`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from firstread.environment import AnalyzeQueuesSettings, OutboxSettings
from firstread.handling import Event, batch
from firstread.queues import EventBus, Queue
from firstread.records import tables
from firstread.records.outbox import OutboxRepository
from functions.deliver.logic import Deliver


class Settings(OutboxSettings, AnalyzeQueuesSettings):
    """The environment of `deliver`."""

    event_bus: str = Field(description="Name of the bus for FirstRead's own events.")


@lru_cache(maxsize=1)
def bootstrap() -> Deliver:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    return Deliver(
        outbox=OutboxRepository(),
        analyze=Queue(settings.analyze_queue_url),
        analyze_urgent=Queue(settings.analyze_urgent_queue_url),
        events=EventBus(settings.event_bus),
    )


def handle_record(record: Event) -> None:
    """Deliver one row; what is not new needs no delivery."""
    if record["eventName"] != "INSERT":
        return
    row = record["dynamodb"]["NewImage"]
    bootstrap().message(row["message_id"]["S"], row["kind"]["S"], row["body"]["S"])


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    return batch(EventType.DynamoDBStreams, handle_record, event, context)
