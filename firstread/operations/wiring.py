"""Wire what operators use to its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from firstread.audit.export import Exports
from firstread.delivery import DeliverySettings, open_delivery
from firstread.environment import (
    AlertsSettings,
    AuditBucketSettings,
    AuditSettings,
    BatchesSettings,
    IncomingSettings,
    IngestQueuesSettings,
    InstancesSettings,
    LedgerSettings,
    ModelsSettings,
    QuietTimerSettings,
    ResultsSettings,
    StudiesBucketSettings,
    StudiesSettings,
)
from firstread.operations.arrivals import Lanes, open_lanes
from firstread.operations.auditing import Auditing
from firstread.operations.dead_letters import DeadLetterOffice
from firstread.operations.ledger import Ledger
from firstread.operations.models import Models
from firstread.operations.operator import Operator
from firstread.operations.quarantine import Quarantine
from firstread.operations.reconcile import Reconcile, Trouble
from firstread.operations.trace import Tracer
from firstread.queues import Queue
from firstread.records import tables
from firstread.records.alerts import AlertRepository
from firstread.records.audit import AuditTrail
from firstread.records.batches import BatchRepository
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.models import ModelRepository
from firstread.records.outbox import OutboxRepository
from firstread.records.quarantine import QuarantineRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.records.sweeping import Arrivals, Waiting
from firstread.storage import Bucket, Inventory


class OperationsSettings(
    IncomingSettings,
    StudiesBucketSettings,
    LedgerSettings,
    InstancesSettings,
    StudiesSettings,
    ResultsSettings,
    AlertsSettings,
    BatchesSettings,
    AuditSettings,
    AuditBucketSettings,
    ModelsSettings,
    IngestQueuesSettings,
    QuietTimerSettings,
    DeliverySettings,
):
    """What the commands of operators read; the URLs of dead-letter queues they take by name."""


@dataclass(frozen=True)
class Operations:
    """Everything an operator can do.

    Parameters
    ----------
    operator
        Who.
    settings
        Where.
    """

    operator: Operator
    settings: OperationsSettings

    @property
    def ledger(self) -> Ledger:
        """Return what counts."""
        return Ledger(Inventory(self.settings.incoming_bucket), Arrivals(), LedgerRepository(), Waiting())

    @property
    def quarantine(self) -> Quarantine:
        """Return what decides about quarantine."""
        return Quarantine(
            operator=self.operator,
            receipts=QuarantineRepository(),
            waiting=Waiting(),
            trail=AuditTrail(),
            incoming=Inventory(self.settings.incoming_bucket),
            lanes=self._lanes,
        )

    def reconcile(self, grace: timedelta, *, dry: bool = False) -> Reconcile:
        """Return what compares records with objects."""
        return Reconcile(
            operator=self.operator,
            ledger=self.ledger,
            receipts=QuarantineRepository(),
            instances=InstanceRepository(),
            heads=StudyRepository(),
            trail=AuditTrail(),
            studies=Inventory(self.settings.studies_bucket),
            lanes=self._lanes,
            timers=Queue(self.settings.quiet_timer_queue_url),
            grace=grace,
            dry=dry,
        )

    def dead_letters(self, urls: Mapping[str, str]) -> DeadLetterOffice:
        """Return what looks after dead letters; `urls` by the names of their settings."""

        def studies_again() -> int:
            return self.reconcile(timedelta(0)).studies_again().troubles[Trouble.STALE_STUDY]

        return DeadLetterOffice(
            operator=self.operator,
            settings=urls,
            trail=AuditTrail(),
            waiting=Waiting(),
            delivery=open_delivery(self.settings),
            studies_again=studies_again,
        )

    @property
    def tracer(self) -> Tracer:
        """Return what follows a study."""
        return Tracer(
            operator=self.operator,
            ledger=LedgerRepository(),
            instances=InstanceRepository(),
            batches=BatchRepository(),
            studies=StudyRepository(),
            outbox=OutboxRepository(),
            results=ResultRepository(),
            alerts=AlertRepository(),
            audit=AuditTrail(),
        )

    @property
    def models(self) -> Models:
        """Return what decides which models are used."""
        return Models(operator=self.operator, models=ModelRepository(), trail=AuditTrail())

    @property
    def auditing(self) -> Auditing:
        """Return what looks into the audit trail."""
        trail = AuditTrail()
        return Auditing(self.operator, trail, Exports(trail, Bucket(self.settings.audit_bucket)))

    @property
    def _lanes(self) -> Lanes:
        return open_lanes(self.settings, self.settings.incoming_bucket)


def open_operations(operator: Operator) -> Operations:
    """Wire the commands to the environment of this process."""
    settings = OperationsSettings()
    tables.bind(settings)
    return Operations(operator, settings)
