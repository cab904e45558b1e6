"""The order of the worklist: the most urgent of STAT, risk and overdue, then the longest wait.

Overdue is a matter of time: nothing is written when a study becomes it. Each band of the index is sorted by
waiting time, so that the overdue studies of a band are its beginning, and the list is a merge of few bounded queries.
"""

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain, product

from firstread.clock import from_text, to_text
from firstread.order import Priority
from firstread.records.studies import (
    OPEN,
    START,
    URGENT_BAND,
    Position,
    StudyRepository,
    band_of,
    moment_of,
)
from firstread.study import Risk, Study
from portal.errors import NotUnderstoodError
from portal.logic.limits import WaitLimits

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BANDS = tuple(sorted({band_of(risk, priority) for risk, priority in product(Risk, Priority)}))


@dataclass(frozen=True)
class Cursor:
    """Where a reader of the worklist is.

    Parameters
    ----------
    at
        When the first page was read: what is overdue is decided by that moment on all pages, else a study that becomes
        it in between would be on none of them.
    level
        The level of the last study that was looked at.
    position
        That study.
    looked_at, shown
        How many studies were looked at and shown so far.
    """

    at: datetime
    level: int = 0
    position: Position = START
    looked_at: int = 0
    shown: int = 0

    def __str__(self) -> str:
        parts = (to_text(self.at), self.level, self.looked_at, self.shown, *self.position)
        return "~".join(str(part) for part in parts)


def parse_cursor(text: str) -> Cursor:
    """Return the cursor that a text is of.

    Raises
    ------
    NotUnderstoodError
        If it is none.
    """
    try:
        at, level, looked_at, shown, moment, study_uid = text.split("~")
        if moment:
            from_text(moment)
        cursor = Cursor(from_text(at), int(level), Position(moment, study_uid), int(looked_at), int(shown))
    except ValueError:
        raise NotUnderstoodError("cursor") from None
    if cursor.at.year < _EPOCH.year:
        raise NotUnderstoodError("cursor")  # limits are subtracted from it, and time has a beginning
    return cursor


@dataclass(frozen=True)
class Reading:
    """What to read.

    Parameters
    ----------
    which
        The list (`firstread.records.studies`).
    size
        How many rows to read at a time.
    limits
        When a study is overdue.
    by_risk
        Whether the reader may know the risk; else the order is by waiting time alone, for it would tell.
    bands
        The bands of the open list that are wanted.
    """

    which: str
    size: int
    limits: WaitLimits
    by_risk: bool = True
    bands: Collection[str] = BANDS


def in_order(studies: StudyRepository, reading: Reading, cursor: Cursor) -> Iterator[tuple[int, Study]]:
    """Return the studies of a list after a cursor, each with its level; reads no further than it is asked.

    Parameters
    ----------
    studies
        Where they are.
    reading
        Which list, and in which order.
    cursor
        Where to go on.
    """
    if reading.which != OPEN:
        return ((0, study) for study in studies.done(reading.which, reading.size, cursor.position))
    levels = _levels(studies, reading, cursor.at) if reading.by_risk else [_by_wait(studies, reading)]
    return chain.from_iterable(
        _merged(number, level, cursor.position if number == cursor.level else START)
        for number, level in enumerate(levels)
        if number >= cursor.level
    )


_Stream = Callable[[Position], Iterator[Study]]


class _Band:
    """A band, whose overdue studies come before the rest: one query serves both."""

    def __init__(self, studies: StudyRepository, band: str, size: int, cutoff: str) -> None:
        self._read = partial(studies.waiting, band, size)
        self._cutoff = cutoff
        self._rows: Iterator[Study] | None = None

    def overdue(self, after: Position) -> Iterator[Study]:
        """Return the studies that arrived before the cutoff."""
        if after.moment >= self._cutoff:
            return  # another band's limit is shorter: here there are none left, and the rest has not begun
        rows = self._rows = self._read(after)
        for study in rows:
            if study.gathering.first_arrival >= self._cutoff:
                self._rows = chain([study], rows)
                return
            yield study

    def rest(self, after: Position) -> Iterator[Study]:
        """Return all others; once begun, what `overdue` left."""
        return self._read(after, since=self._cutoff) if self._rows is None else self._rows


def _levels(studies: StudyRepository, reading: Reading, at: datetime) -> list[list[_Stream]]:
    """Return what is merged for each level: urgent; overdue; not assessed; not flagged."""
    levels: list[list[_Stream]] = [[] for _ in range(len(Risk) + 1)]
    for name in reading.bands:
        if name == URGENT_BAND:
            levels[0].append(partial(studies.waiting, name, reading.size))
            continue
        risk, priority = (int(digit) for digit in name)
        band = _Band(studies, name, reading.size, reading.limits.cutoff(list(Priority)[priority], at))
        levels[1].append(band.overdue)
        levels[1 + risk].append(band.rest)
    return levels


def _by_wait(studies: StudyRepository, reading: Reading) -> list[_Stream]:
    return [partial(studies.waiting, band, reading.size) for band in reading.bands]


def _merged(number: int, level: Sequence[_Stream], after: Position) -> Iterator[tuple[int, Study]]:
    merged = heapq.merge(*(stream(after) for stream in level), key=place_of)
    return ((number, study) for study in merged)


def place_of(study: Study) -> Position:
    """Return the position of a study."""
    return Position(moment_of(study), study.study_uid)
