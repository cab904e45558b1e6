"""What became of studies that were sent, from the time stamps that the records carry."""

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.ingest.load import SentStudy
from firstread.clock import from_text
from firstread.receipt import Outcome, Receipt
from firstread.records.alerts import AlertRepository
from firstread.records.batches import BatchRepository
from firstread.records.instances import LedgerRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.refs import References

_PAGE = 100


@dataclass(frozen=True)
class Stages:
    """Seconds of one study; None for what did not happen."""

    settled: list[float]
    complete: float | None
    result: float | None
    alert: float | None
    versions: int


class Observer:
    """Follows studies by what was sent of them."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._ledger, self._batches = LedgerRepository(), BatchRepository()
        self._studies, self._results, self._alerts = StudyRepository(), ResultRepository(), AlertRepository()

    def receipts(self, sent: Sequence[SentStudy]) -> list[Receipt]:
        """Return the receipts of all objects, as far as they are there."""
        keys = [identity for study in sent for identity in study.acknowledged]
        found: list[Receipt] = []
        for start in range(0, len(keys), _PAGE):
            found += self._ledger.get_many(keys[start : start + _PAGE])
        return found

    def outcomes(self, sent: Sequence[SentStudy]) -> Counter[str]:
        return Counter(receipt.outcome.value for receipt in self.receipts(sent))

    def wait(self, sent: Sequence[SentStudy], seconds: float) -> float:
        """Wait until everything has its outcome and every study its version; return for how long."""
        start = time.monotonic()
        wanted = sum(len(study.acknowledged) for study in sent)
        while time.monotonic() - start < seconds:
            receipts = self.receipts(sent)
            settled = sum(receipt.outcome is not Outcome.PENDING for receipt in receipts)
            if settled == wanted and all(self._head(study) for study in sent):
                break
            time.sleep(1)
        return time.monotonic() - start

    def _head(self, sent: SentStudy) -> str:
        uid = self._batches.of_study(self._references.study(sent.study_uid)).study_uid
        study = self._studies.get(uid) if uid else None
        return uid if study is not None and study.version and not study.due_at else ""

    def stages(self, sent: SentStudy, receipts: dict[str, Receipt]) -> Stages:
        uid = self._head(sent)
        study = self._studies.get(uid) if uid else None
        settled = [
            from_text(receipts[key].settled_at).timestamp() - at
            for (key, _), at in sent.acknowledged.items()
            if key in receipts and receipts[key].settled_at
        ]
        if study is None:
            return Stages(settled, None, None, None, 0)
        results = self._results.of_version(uid, study.version)
        alert = self._alerts.get(study.alert_id) if study.alert_id else None
        return Stages(
            settled,
            from_text(study.completed_at).timestamp() - sent.last_sent,
            max((from_text(each.finished_at).timestamp() - sent.last_sent for each in results), default=None),
            from_text(alert.delivered_at).timestamp() - sent.last_sent
            if alert and alert.delivered_at
            else None,
            study.version,
        )


def percentiles(values: Sequence[float]) -> str:
    """Return median and 95th percentile."""
    if not values:
        return "–"
    ordered = sorted(values)
    return (
        f"{statistics.median(ordered):.2f} / {ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]:.2f}"
    )
