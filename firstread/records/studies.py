"""Studies, their versions, and the worklist index."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from pynamodb.transactions import TransactWrite

from firstread.errors import TransientError
from firstread.messages import Message
from firstread.order import Priority
from firstread.records import outbox
from firstread.records.tables import StudyRow
from firstread.records.transactions import Addition, ConditionFailedError, commit
from firstread.study import Risk, Study, StudyVersion

OPEN = "open"
CLOSED = "closed"
"""Worklist of studies that were read elsewhere."""
SIGNED = "signed"
"""Worklist of studies whose version was signed here."""
URGENT_BAND = "00"
"""Band of the studies that are STAT or at high risk."""
DONE_BAND = "done"
"""The one band of each list that is not open."""
SHARDS = 8
"""Of the index of studies that wait: one partition would be hot."""
LISTED = "study"
"""Partition of the index of all studies by date."""
_UNDATED = "00000000"  # sorts as the oldest
_HEAD = "head"
_VERSION = "version#"
_TRIES = 8
# Parsing the attributes that only keys and conditions need would take most of the time of a page.
_BODY = ["body"]
_AFTER_SEPARATOR = chr(ord("#") + 1)


class Position(NamedTuple):
    """Where a reader of a list is: the moment (`moment_of`) and UID of the last study that was looked at."""

    moment: str = ""
    study_uid: str = ""


START = Position()


def band_of(risk: Risk, priority: Priority) -> str:
    """Return the band of the open list: `URGENT_BAND`, else the orders of risk and priority, such as ``12``."""
    if priority is Priority.STAT or risk is Risk.HIGH:
        return URGENT_BAND
    return f"{risk.order}{priority.order}"


def moment_of(study: Study) -> str:
    """Return what a study is sorted by within its band: since when it waits, or when it was done with."""
    if study.is_signed:
        return study.signed_at
    return study.read_elsewhere_at if study.is_closed else study.gathering.first_arrival


def _rank(study: Study) -> str:
    band = band_of(study.risk, study.priority) if _list_of(study) == OPEN else DONE_BAND
    return f"{band}#{moment_of(study)}#{study.study_uid}"


def _list_of(study: Study) -> str:
    if study.is_signed:
        return SIGNED
    return CLOSED if study.is_closed else OPEN


def shard(study_uid: str) -> str:
    """Return the part of the index of waiting studies that a study is in."""
    return str(zlib.crc32(study_uid.encode()) % SHARDS)


def _head(study: Study, revision: int) -> StudyRow:
    return StudyRow(
        study_uid=study.study_uid,
        item=_HEAD,
        worklist=_list_of(study),
        rank=_rank(study),
        patient=study.gathering.patient or None,
        listed=LISTED,
        studied_on=f"{study.gathering.study_date or _UNDATED}#{study.study_uid}",
        due_shard=shard(study.study_uid) if study.due_at else None,
        due_at=study.due_at or None,
        revision=revision,
        body=study.model_dump(mode="json"),
    )


class StudyRepository:
    """The head of each study changes by compare-and-set on its revision."""

    def get(self, study_uid: str) -> Study | None:
        """Return the head of a study, or None."""
        found = self._read(study_uid)
        return found[0] if found else None

    def change(
        self,
        study_uid: str,
        decide: Callable[[Study | None], Study | None],
        also: Callable[[Study], Iterable[Addition]] | None = None,
    ) -> Study | None:
        """Read a study, let `decide` say what it becomes, and write that if nobody else was faster.

        Parameters
        ----------
        study_uid
            Pseudonymous Study Instance UID.
        decide
            Returns the new study, or None to leave everything as it is. Called again after each lost race, with
            the study as it is then; what it reads itself must be read anew each time.
        also
            Further writes for the same transaction, of the study that `decide` returned.

        Returns
        -------
        Study or None
            What was written, or None where `decide` left it.

        Raises
        ------
        TransientError
            If others kept changing the study.
        ConditionFailedError
            If a condition of `also` was not met while the study itself was unchanged.
        """
        for _ in range(_TRIES):
            found = self._read(study_uid)
            study, revision = found if found else (None, 0)
            changed = decide(study)
            if changed is None:
                return None
            try:
                self._write(changed, revision, also)
            except ConditionFailedError:
                again = self._read(study_uid)
                if (again[1] if again else 0) == revision:
                    raise  # not the study's condition: one that `also` brought
                continue
            return changed
        raise TransientError("the study kept changing")

    def _read(self, study_uid: str) -> tuple[Study, int] | None:
        try:
            row = StudyRow.get(study_uid, _HEAD, consistent_read=True)
        except StudyRow.DoesNotExist:
            return None
        return Study.model_validate(row.body), int(row.revision)

    def _write(self, study: Study, revision: int, also: Callable[[Study], Iterable[Addition]] | None) -> None:
        condition = StudyRow.revision == revision if revision else StudyRow.item.does_not_exist()

        def build(transaction: TransactWrite) -> None:
            transaction.save(_head(study, revision + 1), condition=condition)
            for addition in also(study) if also is not None else ():
                addition(transaction)

        commit(build)

    def version(self, study_uid: str, version: int) -> StudyVersion | None:
        """Return one version of a study, or None."""
        try:
            row = StudyRow.get(study_uid, _version_item(version), consistent_read=True)
        except StudyRow.DoesNotExist:
            return None
        return StudyVersion.model_validate(row.body)

    def versions(self, study_uid: str) -> list[StudyVersion]:
        """Return the versions of a study, the first one first."""
        rows = StudyRow.query(study_uid, StudyRow.item.startswith(_VERSION), consistent_read=True)
        return [StudyVersion.model_validate(row.body) for row in rows]

    def worklist(self, limit: int = 200, which: str = OPEN) -> list[Study]:
        """Return the first studies of a list by band, and in each band by moment."""
        rows: Iterator[StudyRow] = StudyRow.by_worklist.query(which, limit=limit)
        return [Study.model_validate(row.body) for row in rows]

    def waiting(self, band: str, size: int, after: Position = START, *, since: str = "") -> Iterator[Study]:
        """Return the open studies of a band, longest wait first.

        Parameters
        ----------
        band
            From `band_of`.
        size
            How many rows to read at a time; the next ones are read when they are asked for.
        after
            Only what comes after this position.
        since
            Only what arrived at that moment or later (`firstread.clock` text); "" for all.
        """
        moment, study_uid = after
        # A blank sorts before all that follows a UID in a longer one: the first rank after that of the position.
        low = max(f"{band}#{since}", f"{band}#{moment}#{study_uid} " if study_uid else "")
        within = StudyRow.rank.between(low, f"{band}{_AFTER_SEPARATOR}")
        rows = StudyRow.by_worklist.query(OPEN, within, page_size=size, attributes_to_get=_BODY)
        return (Study.model_validate(row.body) for row in rows)

    def done(self, which: str, size: int, after: Position = START) -> Iterator[Study]:
        """Return the studies of a list that is not open, those that were last done with first; see `waiting`."""
        moment, study_uid = after
        below = StudyRow.rank < f"{DONE_BAND}#{moment}#{study_uid}" if study_uid else None
        rows = StudyRow.by_worklist.query(
            which, below, scan_index_forward=False, page_size=size, attributes_to_get=_BODY
        )
        return (Study.model_validate(row.body) for row in rows)


def _version_item(version: int) -> str:
    return f"{_VERSION}{version:06d}"


def new_version(version: StudyVersion, messages: Mapping[str, Message]) -> Addition:
    """Return the write of a new study version and of the messages that follow from it, by outbox id."""
    row = StudyRow(
        study_uid=version.study_uid,
        item=_version_item(version.version),
        body=version.model_dump(mode="json"),
    )

    def write(transaction: TransactWrite) -> None:
        transaction.save(row, condition=StudyRow.item.does_not_exist())
        outbox.posted(messages)(transaction)

    return write
