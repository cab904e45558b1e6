"""What doors said of a study before anybody knew its pseudonym."""

import time
from dataclasses import dataclass

from firstread.records.tables import BatchRow

_STUDY = "study"
_BATCH = "batch#"
_KEEP_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class EndedBatch:
    """A batch that is over.

    Parameters
    ----------
    batch, source
        As in `firstread.arrival.Arrival`.
    count
        How many different instances of the study it brought.
    ended_at
        When it ended (`firstread.clock` text).
    """

    batch: str
    source: str
    count: int
    ended_at: str


@dataclass(frozen=True)
class KnownStudy:
    """What is known of a study by its reference.

    Parameters
    ----------
    study_uid
        Its pseudonymous Study Instance UID; "" until its first instance is recorded.
    batches
        Those that have ended.
    """

    study_uid: str
    batches: tuple[EndedBatch, ...]


class BatchRepository:
    """Ended batches, and the studies that references stand for."""

    def end(self, study_ref: str, batch: EndedBatch) -> None:
        """Write down that a batch is over; saying it again changes nothing."""
        BatchRow(
            study_ref=study_ref,
            item=_BATCH + batch.batch,
            body={"source": batch.source, "count": batch.count, "ended_at": batch.ended_at},
            expires_at=int(time.time()) + _KEEP_SECONDS,
        ).save()

    def link(self, study_ref: str, study_uid: str) -> None:
        """Write down which study a reference stands for; it never stands for another."""
        BatchRow(study_ref=study_ref, item=_STUDY, body={"study_uid": study_uid}).save()

    def of_study(self, study_ref: str) -> KnownStudy:
        """Return what is known of a study."""
        study_uid = ""
        batches: list[EndedBatch] = []
        for row in BatchRow.query(study_ref, consistent_read=True):
            if row.item == _STUDY:
                study_uid = row.body["study_uid"]
            else:
                batches.append(EndedBatch(batch=row.item.removeprefix(_BATCH), **row.body))
        return KnownStudy(study_uid, tuple(batches))
