"""Metrics in CloudWatch's embedded metric format (EMF): lines of the log that CloudWatch counts.

Every metric has its heading in `docs/reference/metrics.md`. Dimensions are the program and, for times, the stage;
never a UID, a source or anything of a patient, so that there are few of them and they say nothing.
"""

import os
from enum import Enum, StrEnum
from threading import Lock

from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from firstread.clock import from_text
from firstread.receipt import Outcome, Receipt

NAMESPACE = "FirstRead"
_MOST_VALUES = 100  # of one metric in one line (EMF specification)


class Metric(Enum):
    """Name and unit of each metric."""

    OBJECTS_ARRIVED = "ObjectsArrived", "Count"
    OBJECTS_STORED = "ObjectsStored", "Count"
    OBJECTS_DUPLICATE = "ObjectsDuplicate", "Count"
    OBJECTS_QUARANTINED = "ObjectsQuarantined", "Count"
    UNKNOWN_FACTS = "UnknownFacts", "Count"
    SERIES_DESCRIBED = "SeriesDescribed", "Count"
    SERIES_UNREADABLE = "SeriesUnreadable", "Count"
    RECORDS_FAILED = "RecordsFailed", "Count"
    OLDEST_MESSAGE = "OldestMessageSeconds", "Seconds"
    STAGE = "StageSeconds", "Seconds"
    LEDGER_PENDING_OLDEST = "LedgerPendingOldestSeconds", "Seconds"
    OUTBOX_UNDELIVERED_OLDEST = "OutboxUndeliveredOldestSeconds", "Seconds"
    LEDGER_IMBALANCE = "LedgerImbalance", "Count"
    STUDIES_OVERDUE = "StudiesOverdue", "Count"
    ALERTS_CREATED = "AlertsCreated", "Count"
    ALERTS_ESCALATED = "AlertsEscalated", "Count"
    ALERTS_ACKNOWLEDGED_LATE = "AlertsAcknowledgedLate", "Count"

    @property
    def title(self) -> str:
        """Name in CloudWatch."""
        return self.value[0]

    @property
    def unit(self) -> str:
        """Unit in CloudWatch."""
        return self.value[1]


class Stage(StrEnum):
    """Parts of the way of a study, as values of the dimension ``stage``."""

    ARRIVE_TO_SETTLE = "arrive_to_settle"
    SETTLE_TO_COMPLETE = "settle_to_complete"
    COMPLETE_TO_DESCRIBED = "complete_to_described"
    COMPLETE_TO_RESULT = "complete_to_result"
    RESULT_TO_ALERT = "result_to_alert"


_OUTCOMES = {
    Outcome.STORED: Metric.OBJECTS_STORED,
    Outcome.DUPLICATE: Metric.OBJECTS_DUPLICATE,
    Outcome.QUARANTINED: Metric.OBJECTS_QUARANTINED,
}


class Meter:
    """Gathers what one program measures, until it is flushed.

    Parameters
    ----------
    service
        Dimension ``service`` where ``POWERTOOLS_SERVICE_NAME`` does not say it.
    """

    def __init__(self, service: str = "firstread") -> None:
        self._service = service
        self._lock = Lock()
        self._waiting: dict[str, dict[Metric, list[float]]] = {}

    def add(self, metric: Metric, value: float = 1, stage: str = "") -> None:
        """Add a value; `stage` for times of a stage."""
        with self._lock:
            values = self._waiting.setdefault(stage, {}).setdefault(metric, [])
            values.append(value)
        if len(values) >= _MOST_VALUES:
            self.flush()

    def stage(self, stage: Stage, start: str, end: str) -> None:
        """Add the time between two moments (`firstread.clock` texts); nothing where one of them is not known."""
        if start and end:
            seconds = (from_text(end) - from_text(start)).total_seconds()
            self.add(Metric.STAGE, max(0.0, seconds), stage.value)  # clocks of two machines may differ

    def settled(self, receipt: Receipt) -> None:
        """Count an object that reached its outcome."""
        if receipt.outcome in _OUTCOMES:
            self.add(_OUTCOMES[receipt.outcome])
        if receipt.unknown_facts:
            self.add(Metric.UNKNOWN_FACTS, receipt.unknown_facts)
        self.stage(Stage.ARRIVE_TO_SETTLE, receipt.received_at, receipt.settled_at)

    def flush(self) -> None:
        """Write what was added to standard output, one line for each set of dimensions."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        service = os.environ.get("POWERTOOLS_SERVICE_NAME") or self._service
        for stage, metrics in waiting.items():
            line = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service=service)
            if stage:
                line.add_dimension("stage", stage)
            for metric, values in metrics.items():
                for value in values:
                    line.add_metric(metric.title, metric.unit, value)
            if line.metric_set:  # a full line leaves at once
                line.flush_metrics()
