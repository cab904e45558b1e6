"""A tick of the clock -> `Sweep.run`."""

from dataclasses import asdict
from datetime import datetime
from functools import lru_cache

from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.delivery import DeliverySettings, open_delivery
from firstread.environment import (
    AlertingSettings,
    AlertsSettings,
    EscalationsQueueSettings,
    IncomingSettings,
    IngestQueuesSettings,
    LedgerSettings,
    QuietTimerSettings,
    StudiesSettings,
)
from firstread.errors import TransientError
from firstread.handling import Event, describe, logger
from firstread.metrics import Meter, Metric
from firstread.operations.arrivals import open_lanes
from firstread.operations.sweep import Sweep, Swept
from firstread.queues import Queue
from firstread.records import tables
from firstread.records.alerts import AlertRepository
from firstread.records.sweeping import Waiting

meter = Meter("sweep")


class Settings(
    IncomingSettings,
    LedgerSettings,
    StudiesSettings,
    IngestQueuesSettings,
    QuietTimerSettings,
    DeliverySettings,
    AlertsSettings,
    AlertingSettings,
    EscalationsQueueSettings,
):
    """The environment of `sweep`."""


@lru_cache(maxsize=1)
def bootstrap() -> Sweep:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    return Sweep(
        waiting=Waiting(),
        timers=Queue(settings.quiet_timer_queue_url),
        lanes=open_lanes(settings, settings.incoming_bucket),
        delivery=open_delivery(settings),
        alerts=AlertRepository(),
        escalations=Queue(settings.escalations_queue_url),
        policy=settings.alerting,
    )


def handle(event: Event, context: LambdaContext) -> dict[str, float]:
    """Lambda entry point; the event is a scheduled one of EventBridge, whose time is the minute it is for."""
    del context
    try:
        swept = bootstrap().run(datetime.fromisoformat(event["time"]))
    except Exception as error:
        logger.error("sweep failed", extra=describe(error))
        # Lambda logs what leaves here with its text, which may quote what it failed on.
        raise TransientError("the sweep failed") from None
    logger.info("swept", extra=asdict(swept))
    measure(swept)
    return asdict(swept)


def measure(swept: Swept) -> None:
    """Write what was found as metrics."""
    meter.add(Metric.STUDIES_OVERDUE, swept.studies_overdue)
    meter.add(Metric.LEDGER_PENDING_OLDEST, swept.pending_oldest_seconds)
    meter.add(Metric.OUTBOX_UNDELIVERED_OLDEST, swept.undelivered_oldest_seconds)
    meter.flush()
