"""A tick of the clock -> `Exports.catch_up`."""

from datetime import datetime
from functools import lru_cache

from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.audit.export import Exports
from firstread.environment import AuditBucketSettings, AuditSettings
from firstread.errors import TransientError
from firstread.handling import Event, describe, logger
from firstread.records import tables
from firstread.records.audit import AuditTrail
from firstread.storage import Bucket


class Settings(AuditSettings, AuditBucketSettings):
    """The environment of `export_audit`."""


@lru_cache(maxsize=1)
def bootstrap() -> Exports:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    return Exports(AuditTrail(), Bucket(settings.audit_bucket))


def handle(event: Event, context: LambdaContext) -> dict[str, int]:
    """Lambda entry point; the event is a scheduled one of EventBridge, whose time is the moment it is for.

    Returns
    -------
    dict
        Each day that was exported, with its number of events.
    """
    del context
    try:
        done = bootstrap().catch_up(datetime.fromisoformat(event["time"]))
    except Exception as error:
        logger.error("the export of the audit trail failed", extra=describe(error))
        # Lambda logs what leaves here with its text, which may quote what it failed on.
        raise TransientError("the export of the audit trail failed") from None
    days = {manifest.day: manifest.events for manifest in done}
    logger.info("audit trail exported", extra={"days": days})
    return days
