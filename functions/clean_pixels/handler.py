"""SQS batches of `CleanPixelsRequest` -> `CleanPixels.object`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.deid.burned_in import RapidTextDetector
from firstread.handling import Event, batch, logger, meter
from firstread.imaging.compare import same_pixels
from firstread.intake.wiring import IntakeSettings, open_intake
from firstread.messages import CleanPixelsRequest
from functions.clean_pixels.logic import CleanPixels

_WRITING = 0.25
"""Part of the time that is kept for what follows the look: encoding, and writing a gigabyte to S3."""


class Settings(IntakeSettings):
    """The environment of `clean_pixels`."""


@lru_cache(maxsize=1)
def bootstrap() -> CleanPixels:
    """Wire the logic to its environment, once per execution environment."""
    return CleanPixels(intake=open_intake(Settings(), same_pixels), detector=RapidTextDetector())


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point; a batch is one message."""
    step = bootstrap()  # a wrong environment fails the invocation, not one record after the other
    seconds = context.get_remaining_time_in_millis() / 1000 * (1 - _WRITING)

    def handle_record(record: Event) -> None:
        request = CleanPixelsRequest.model_validate_json(record["body"])
        receipt = step.object(request, seconds)
        if receipt is not None:
            logger.info("object settled", extra=receipt.to_log())
            meter.settled(receipt)

    return batch(EventType.SQS, handle_record, event, context)
