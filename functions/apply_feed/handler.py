"""SQS batches of S3 ``Object Created`` events below ``feed/`` -> `ApplyFeed.object`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.deid.vault.audit import Guard
from firstread.deid.vault.steward import VaultSteward
from firstread.environment import (
    AuditSettings,
    FeedSettings,
    IncomingSettings,
    LedgerSettings,
    OrdersSettings,
    ReferenceSettings,
    VaultSettings,
)
from firstread.handling import Event, batch, logger, meter
from firstread.messages import ObjectCreated
from firstread.metrics import Metric
from firstread.policy import Actor, Role
from firstread.queues import Queue
from firstread.records import tables
from firstread.records.audit import VaultAudit
from firstread.records.instances import LedgerRepository
from firstread.records.orders import OrderRepository
from firstread.refs import open_references
from firstread.storage import Bucket
from firstread.vaults import open_rows
from functions.apply_feed.logic import ApplyFeed


class Settings(
    IncomingSettings,
    LedgerSettings,
    OrdersSettings,
    AuditSettings,
    VaultSettings,
    ReferenceSettings,
    FeedSettings,
):
    """The environment of `apply_feed`."""


@lru_cache(maxsize=1)
def bootstrap() -> ApplyFeed:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    guard = Guard(Actor("apply_feed", Role.FEED), VaultAudit())
    return ApplyFeed(
        incoming=Bucket(settings.incoming_bucket),
        ledger=LedgerRepository(),
        orders=OrderRepository(),
        steward=VaultSteward(open_rows(settings), guard),
        references=open_references(settings),
        studies=Queue(settings.quiet_timer_queue_url),
        issuers=settings.feed_issuers,
    )


def handle_record(record: Event) -> None:
    """Apply the message of one event."""
    event = ObjectCreated.model_validate_json(record["body"])
    receipt = bootstrap().object(
        key=event.detail.object.key, version_id=event.detail.object.version_id, received_at=event.time
    )
    meter.add(Metric.OBJECTS_ARRIVED)
    if receipt is not None:
        logger.info(
            "feed message settled", extra={"outcome": receipt.outcome.value, "reason": receipt.reason}
        )
        meter.settled(receipt)


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    return batch(EventType.SQS, handle_record, event, context)
