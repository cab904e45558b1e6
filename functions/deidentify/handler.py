"""SQS batches of S3 ``Object Created`` events -> `Deidentify.object`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.environment import CleanPixelsQueueSettings
from firstread.handling import Event, batch, logger, meter
from firstread.intake.wiring import IntakeSettings, open_intake
from firstread.messages import ObjectCreated
from firstread.metrics import Metric
from firstread.queues import Queue
from functions.deidentify.logic import Deidentify


class Settings(IntakeSettings, CleanPixelsQueueSettings):
    """The environment of `deidentify`."""


@lru_cache(maxsize=1)
def bootstrap() -> Deidentify:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    return Deidentify(intake=open_intake(settings), pixels=Queue(settings.clean_pixels_queue_url))


def handle_record(record: Event) -> None:
    """De-identify the object of one event."""
    event = ObjectCreated.model_validate_json(record["body"])
    receipt = bootstrap().object(
        key=event.detail.object.key, version_id=event.detail.object.version_id, received_at=event.time
    )
    meter.add(Metric.OBJECTS_ARRIVED)
    if receipt is not None:
        logger.info("object settled", extra=receipt.to_log())
        meter.settled(receipt)


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    return batch(EventType.SQS, handle_record, event, context)
