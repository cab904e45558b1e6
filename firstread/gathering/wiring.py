"""Wire the look at a study to its environment; the functions that look have this in common."""

from firstread.environment import (
    BatchesSettings,
    CompletenessSettings,
    InstancesSettings,
    LedgerSettings,
    ModelsSettings,
    OrdersSettings,
    OutboxSettings,
    StudiesSettings,
)
from firstread.gathering.step import GatherStudy
from firstread.queues import Queue
from firstread.records import tables
from firstread.records.batches import BatchRepository
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.orders import OrderRepository
from firstread.records.results import ModelRepository
from firstread.records.studies import StudyRepository


class GatheringSettings(
    LedgerSettings,
    InstancesSettings,
    StudiesSettings,
    ModelsSettings,
    OutboxSettings,
    BatchesSettings,
    OrdersSettings,
    CompletenessSettings,
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
        policy=settings.completeness,
    )
