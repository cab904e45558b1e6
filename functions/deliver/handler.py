"""Stream of the outbox table -> `Delivery.message`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.delivery import Delivery, DeliverySettings, open_delivery
from firstread.handling import Event, batch
from firstread.records import tables


class Settings(DeliverySettings):
    """The environment of `deliver`."""


@lru_cache(maxsize=1)
def bootstrap() -> Delivery:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    return open_delivery(settings)


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
