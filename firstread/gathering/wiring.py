"""Wire the look at a study to its environment; the functions that look have this in common."""

from firstread.correlation import correlated
from firstread.environment import (
    BatchesSettings,
    CompletenessSettings,
    EscalationsQueueSettings,
    InstancesSettings,
    LedgerSettings,
    ModelsSettings,
    OrdersSettings,
    OutboxSettings,
    StudiesSettings,
)
from firstread.gathering.step import GatherStudy
from firstread.handling import logger, meter
from firstread.metrics import Stage
from firstread.queues import Queue
from firstread.records import tables
from firstread.records.batches import BatchRepository
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.models import ModelRepository
from firstread.records.orders import OrderRepository
from firstread.records.studies import StudyRepository
from firstread.study import Study


class GatheringSettings(
    LedgerSettings,
    InstancesSettings,
    StudiesSettings,
    ModelsSettings,
    OutboxSettings,
    BatchesSettings,
    OrdersSettings,
    CompletenessSettings,
    EscalationsQueueSettings,
):
    """What a `GatherStudy` is made of."""


def open_gathering(settings: GatheringSettings) -> GatherStudy:
    """Wire a `GatherStudy` to its environment."""
    tables.bind(settings)
    return GatherStudy(
        instances=InstanceRepository(),
        studies=StudyRepository(),
        models=ModelRepository(),
        ledger=LedgerRepository(),
        batches=BatchRepository(),
        orders=OrderRepository(),
        timers=Queue(settings.quiet_timer_queue_url),
        alerts=Queue(settings.escalations_queue_url),
        policy=settings.completeness,
        closed=_closed,
    )


def _closed(study: Study) -> None:
    with correlated(study.gathering.correlation_id):
        logger.info("version closed", extra={"version": study.version, "closed_by": study.closed_by})
    meter.stage(Stage.SETTLE_TO_COMPLETE, study.gathering.last_arrival, study.completed_at)
