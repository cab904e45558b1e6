"""Studies by patient, by date and by UID: what a search asks, one Query each."""

from collections.abc import Iterable, Iterator

from firstread.records.studies import LISTED
from firstread.records.tables import StudyRow
from firstread.study import Study

_PAGE = 250
_HEAD = "head"
_BEFORE_ALL, _AFTER_ALL = "0", "99999999#~"


class StudyIndex:
    """Heads of studies; the indexes may lag behind by a moment."""

    def by_date(self, first: str = "", last: str = "", page: int = _PAGE) -> Iterator[Study]:
        """Yield studies by their shifted date, the newest first; those without a date at the end.

        Parameters
        ----------
        first, last
            Bounds of the date, ``YYYYMMDD``, both included; "" for none.
        page
            How many rows a Query brings.
        """
        within = StudyRow.studied_on.between(*_bounds(first, last))
        rows = StudyRow.by_date.query(LISTED, within, scan_index_forward=False, page_size=page)
        return (Study.model_validate(row.body) for row in rows)

    def by_patient(self, patient: str, first: str = "", last: str = "") -> Iterator[Study]:
        """Yield the studies of a pseudonym, the newest first; `first` and `last` as for `by_date`."""
        within = StudyRow.studied_on.between(*_bounds(first, last))
        rows = StudyRow.by_patient.query(patient, within, scan_index_forward=False, page_size=_PAGE)
        return (Study.model_validate(row.body) for row in rows)

    def by_uid(self, study_uids: Iterable[str]) -> list[Study]:
        """Return the studies of some UIDs, the newest first; those that are not there are left out."""
        keys = [(each, _HEAD) for each in sorted(set(study_uids))]
        rows = StudyRow.batch_get(keys)
        found = sorted(rows, key=lambda row: row.studied_on or "", reverse=True)
        return [Study.model_validate(row.body) for row in found]


def _bounds(first: str, last: str) -> tuple[str, str]:
    return first or _BEFORE_ALL, f"{last}#~" if last else _AFTER_ALL
