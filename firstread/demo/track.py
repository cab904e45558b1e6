"""Where each pushed object is on its way: read from the records, with their own time stamps."""

from collections.abc import Sequence
from dataclasses import dataclass

from firstread.clock import from_text
from firstread.receipt import Outcome, Receipt
from firstread.records.instances import LedgerRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.result import Result
from firstread.study import AnalysisStatus, Study

_AT_REST = frozenset(
    {AnalysisStatus.ANALYSED, AnalysisStatus.NO_MODEL, AnalysisStatus.FAILED, AnalysisStatus.HELD}
)


@dataclass(frozen=True)
class Way:
    """How far one object has come.

    Parameters
    ----------
    receipt
        Its ledger row.
    study
        The study it belongs to, where it was passed on or held.
    results
        Results on the study's current version.
    """

    receipt: Receipt
    study: Study | None = None
    results: tuple[Result, ...] = ()

    @property
    def accounted_for(self) -> bool:
        """Return whether nothing more will happen to it."""
        if self.receipt.outcome is Outcome.PENDING:
            return False
        if not self.receipt.study_uid:
            return True
        return self.study is not None and self.study.status in _AT_REST

    def stages(self) -> dict[str, str]:
        """Return stage -> time stamp, for the stages it has passed."""
        found = {"received": self.receipt.received_at}
        if self.receipt.settled_at:
            found["de-identified"] = self.receipt.settled_at
        if self.study is not None and self.study.completed_at:
            found["complete"] = self.study.completed_at
        if self.results:
            found["analysed"] = max(result.finished_at for result in self.results)
        return found

    def seconds(self, stage: str) -> float | None:
        """Return the seconds from arrival to a stage, or None where it has not been passed."""
        moment = self.stages().get(stage)
        if moment is None:
            return None
        return (from_text(moment) - from_text(self.receipt.received_at)).total_seconds()


@dataclass(frozen=True)
class Tracker:
    """Looks up ways.

    Parameters
    ----------
    ledger, studies, results
        The records.
    """

    ledger: LedgerRepository
    studies: StudyRepository
    results: ResultRepository

    def ways(self, receipts: Sequence[Receipt]) -> list[Way]:
        """Return how far each object has come, in the order given."""
        identities = [(receipt.object_key, receipt.version_id) for receipt in receipts]
        found = {(row.object_key, row.version_id): row for row in self.ledger.get_many(identities)}
        return [self._way(found.get(identity, receipts[i])) for i, identity in enumerate(identities)]

    def _way(self, receipt: Receipt) -> Way:
        study = self.studies.get(receipt.study_uid) if receipt.study_uid else None
        if study is None:
            return Way(receipt)
        results = self.results.of_version(study.study_uid, study.version) if study.version else []
        return Way(receipt, study, tuple(results))
