"""What doors said of a study, for those who follow its way."""

from dataclasses import dataclass

from firstread.records.tables import BatchRow

_STUDY = "study"
_BATCH = "batch#"


@dataclass(frozen=True)
class BatchNote:
    """A batch that is over, as its door said."""

    batch: str
    source: str
    count: int
    ended_at: str


class BatchNotes:
    """Reads ended batches, and the studies that references stand for."""

    def study(self, study_ref: str) -> str:
        """Return the pseudonymous UID of the study that a reference stands for; "" where nobody knows."""
        rows = BatchRow.query(study_ref, BatchRow.item == _STUDY, consistent_read=True)
        return next((str(row.body["study_uid"]) for row in rows), "")

    def ended(self, study_ref: str) -> list[BatchNote]:
        """Return the batches that brought something of a study and are over."""
        rows = BatchRow.query(study_ref, BatchRow.item.startswith(_BATCH), consistent_read=True)
        return [
            BatchNote(
                row.item.removeprefix(_BATCH), row.body["source"], row.body["count"], row.body["ended_at"]
            )
            for row in rows
        ]
