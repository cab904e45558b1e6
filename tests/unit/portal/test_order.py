"""The order of the worklist, and that its pages have every study once."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstread.clock import to_text
from firstread.order import Priority
from firstread.policy import Actor, Role
from firstread.records.studies import OPEN, SIGNED, START, Position, band_of, moment_of
from firstread.study import AnalysisStatus, Risk, Study, StudyGathering
from portal.errors import NotAllowedError, NotUnderstoodError
from portal.logic.filters import Filters
from portal.logic.limits import WaitLimits
from portal.logic.order import BANDS, Cursor, Reading, in_order, parse_cursor, place_of
from portal.logic.records import Records
from portal.logic.worklist import Asked, read_worklist

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
LIMITS = WaitLimits(stat=10, urgent=40, routine=90)
RADIOLOGIST = Actor("ann", Role.RADIOLOGIST)


def study(number: int, waits: float, **more: object) -> Study:
    arrived = to_text(NOW - timedelta(minutes=waits))
    gathering = StudyGathering(
        study_uid=f"2.25.{number}",
        patient="FR-1",
        stored_count=1,
        held_count=0,
        first_arrival=arrived,
        last_arrival=arrived,
        modalities=("CT",),
        body_parts=(),
        description="",
        age_years=None,
        sex="",
        is_recent=True,
        simulated=False,
    )
    return Study.model_validate({"gathering": gathering, **more})


class Index:
    """The repository's two lists over what a test gives it, and how many rows were read."""

    def __init__(self, studies: list[Study]) -> None:
        self.read = 0
        self._bands: dict[str, list[tuple[Position, Study]]] = {}
        for each in studies:
            band = band_of(each.risk, each.priority)
            self._bands.setdefault(band, []).append((place_of(each), each))
        for rows in self._bands.values():
            rows.sort(key=lambda row: row[0])

    def waiting(self, band: str, size: int, after: Position = START, *, since: str = "") -> Iterator[Study]:
        rows = self._bands.get(band, [])
        places = [place for place, _ in rows]
        begin = max(bisect_right(places, after) if after.study_uid else 0, bisect_left(places, (since, "")))
        for at in range(begin, len(rows), size):
            page = rows[at : at + size]
            self.read += len(page)
            yield from (each for _, each in page)


class NoAlerts:
    def some(self, _: object) -> dict[str, object]:
        return {}


def records(studies: list[Study]) -> Records:
    return Records(studies=Index(studies), alerts=NoAlerts())  # type: ignore[arg-type]


# Few minutes, so that studies often wait equally long and stand exactly at a limit.
minutes = st.one_of(st.integers(0, 120), st.sampled_from([10, 40, 90])).map(float)
studies_ = st.lists(
    st.tuples(
        minutes,
        st.sampled_from(Risk),
        st.sampled_from(Priority),
        st.sampled_from(AnalysisStatus),
        st.booleans(),
    ),
    max_size=60,
).map(
    lambda rows: [
        study(number, waits, risk=risk, priority=priority, status=status, reader="ann" if held else "")
        for number, (waits, risk, priority, status, held) in enumerate(rows)
    ]
)


def level(each: Study) -> int:
    """Return the level of a study, told once more and differently."""
    urgency = {Risk.HIGH: 3, Risk.UNKNOWN: 1, Risk.NOT_FLAGGED: 0}[each.risk]
    stat = 3 if each.priority is Priority.STAT else 0
    overdue = 2 if LIMITS.is_overdue(each, NOW) else 0
    return -max(stat, urgency, overdue)


def all_pages(of: Records, actor: Actor, limit: int, **filters: object) -> Iterator[list[str]]:
    cursor = ""
    while True:
        asked = Asked.model_validate({"limit": limit, "cursor": cursor, **filters})
        page = read_worklist(of, actor, NOW, asked, limits=LIMITS)
        yield [row.study_uid for row in page.rows]
        cursor = page.next
        if not cursor:
            return


@settings(deadline=None)
@given(studies_, st.integers(1, 20))
def test_pages_have_every_study_once_in_the_order_of_a_sort(studies: list[Study], limit: int) -> None:
    wanted = sorted(studies, key=lambda each: (level(each), each.gathering.first_arrival, each.study_uid))
    pages = list(all_pages(records(studies), RADIOLOGIST, limit))
    assert [uid for page in pages for uid in page] == [each.study_uid for each in wanted]
    assert all(len(page) == limit for page in pages[:-1])


@settings(deadline=None)
@given(studies_, st.integers(1, 20))
def test_who_sees_no_risk_gets_the_order_of_waiting_alone(studies: list[Study], limit: int) -> None:
    wanted = sorted(studies, key=lambda each: (each.gathering.first_arrival, each.study_uid))
    pages = all_pages(records(studies), Actor("tom", Role.TECHNOLOGIST), limit)
    assert [uid for page in pages for uid in page] == [each.study_uid for each in wanted]


@settings(deadline=None)
@given(studies_, st.integers(1, 20), st.sets(st.sampled_from(Risk)), st.sets(st.sampled_from(Priority)))
def test_a_filter_loses_nothing_and_keeps_the_order(
    studies: list[Study], limit: int, risks: set[Risk], priorities: set[Priority]
) -> None:
    whole = [uid for page in all_pages(records(studies), RADIOLOGIST, 500) for uid in page]
    matching = {
        each.study_uid
        for each in studies
        if (not risks or each.risk in risks) and (not priorities or each.priority in priorities)
    }
    pages = all_pages(records(studies), RADIOLOGIST, limit, risk=list(risks), priority=list(priorities))
    assert [uid for page in pages for uid in page] == [uid for uid in whole if uid in matching]


def test_failed_and_held_studies_are_not_below_what_is_not_flagged() -> None:
    studies = [
        study(1, 5, status=AnalysisStatus.FAILED),
        study(2, 80, risk=Risk.NOT_FLAGGED, status=AnalysisStatus.ANALYSED),
        study(3, 1, status=AnalysisStatus.HELD),
    ]
    ((*uids,),) = all_pages(records(studies), RADIOLOGIST, 10)
    assert uids == ["2.25.1", "2.25.3", "2.25.2"]


def test_a_page_reads_no_more_of_a_long_list_than_of_a_short_one() -> None:
    rows = []
    for count in (1_000, 20_000):
        index = Index([study(number, number / 10, risk=list(Risk)[number % 3]) for number in range(count)])
        page = read_worklist(
            Records(studies=index, alerts=NoAlerts()),  # type: ignore[arg-type]
            RADIOLOGIST,
            NOW,
            limits=LIMITS,
        )
        assert len(page.rows) == 50
        rows.append(index.read)
    assert rows[0] == rows[1] <= 5 * 26


def test_a_page_with_a_filter_that_nothing_matches_is_bounded_and_goes_on() -> None:
    index = Index([study(number, number / 10) for number in range(1_200)])
    of = Records(studies=index, alerts=NoAlerts())  # type: ignore[arg-type]
    cursor, looked_at = "", []
    while True:
        page = read_worklist(of, RADIOLOGIST, NOW, Asked(modality=["MR"], cursor=cursor), limits=LIMITS)
        assert (page.rows, page.shown) == ((), 0)
        looked_at.append(page.looked_at)
        cursor = page.next
        if not cursor:
            break
    assert looked_at == [500, 1_000, 1_200]


def test_what_becomes_overdue_between_two_pages_is_on_one_of_them() -> None:
    studies = [study(number, 89.9 - number, risk=Risk.UNKNOWN) for number in range(6)]
    of = records(studies)
    first = read_worklist(of, RADIOLOGIST, NOW, Asked(limit=2), limits=LIMITS)
    later = NOW + timedelta(minutes=4)
    second = read_worklist(of, RADIOLOGIST, later, Asked(limit=9, cursor=first.next), limits=LIMITS)
    uids = [row.study_uid for page in (first, second) for row in page.rows]
    assert uids == [each.study_uid for each in studies]


def test_the_list_of_signed_studies_asks_for_the_last_first() -> None:
    asked = []

    class Signed:
        def done(self, which: str, _: int, after: Position) -> Iterator[Study]:
            asked.append((which, after))
            return iter(())

    list(in_order(Signed(), Reading(SIGNED, 5, LIMITS), Cursor(NOW, 0, Position("m", "2.25.1"))))  # type: ignore[arg-type]
    assert asked == [(SIGNED, Position("m", "2.25.1"))]


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)), st.integers(0, 3), st.integers(0, 10**9))
def test_a_cursor_survives_its_text(at: datetime, number: int, count: int) -> None:
    cursor = Cursor(at.replace(tzinfo=UTC), number, Position(to_text(NOW), "2.25.1"), count, count)
    assert parse_cursor(str(cursor)) == cursor


@pytest.mark.parametrize(
    "text", ["x", "~~~~~", "0001-01-01T00:00:00.000000Z~0~0~0~~", f"{to_text(NOW)}~a~0~0~~"]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        parse_cursor(text)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_cursors(text: str) -> None:
    try:
        cursor = parse_cursor(text)
    except NotUnderstoodError:
        return
    list(in_order(Index([]), Reading(OPEN, 5, LIMITS), cursor))  # type: ignore[arg-type]


def test_bands_are_all_there_is_and_sort_by_urgency() -> None:
    assert BANDS == ("00", "11", "12", "21", "22")
    for risk, priority in product(Risk, Priority):
        assert Filters(risk=[risk], priority=[priority]).bands() == [band_of(risk, priority)]
    assert Filters().bands() == list(BANDS)


@pytest.mark.parametrize(
    ("reader", "until", "matching"),
    [("ann", "9", "mine"), ("ann", "", "nobody"), ("bob", "9", "somebody else")],
)
def test_who_holds_a_study(reader: str, until: str, matching: str) -> None:
    held = study(1, 5, reader=reader, claimed_until=until and to_text(NOW + timedelta(minutes=int(until))))
    for each in ("mine", "nobody", "somebody else"):
        wanted = Filters.model_validate({"assignee": [each]})
        assert wanted.matches(held, RADIOLOGIST, NOW) == (each == matching)


def test_a_filter_by_risk_is_not_for_who_must_not_know_it() -> None:
    with pytest.raises(NotAllowedError):
        Filters(risk=[Risk.HIGH]).check(Actor("tom", Role.TECHNOLOGIST))


def test_a_limit_is_reached_only_after_it() -> None:
    waits = [study(number, minute, priority=Priority.URGENT) for number, minute in enumerate((40, 40.1))]
    assert [LIMITS.is_overdue(each, NOW) for each in waits] == [False, True]
    assert not LIMITS.is_overdue(study(1, 999, version=1, signed_version=1), NOW)
    assert all(moment_of(a) > moment_of(b) for a, b in pairwise(waits))
