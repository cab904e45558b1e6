"""When a study is complete: the rules one by one, and the machine over any order and timing of events."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.gathering.completeness import (
    Batch,
    Closing,
    CompletenessPolicy,
    Look,
    Seen,
    SourcePolicy,
    decide,
)

START = datetime(2004, 8, 26, 19, 0, tzinfo=UTC)
POLICY = CompletenessPolicy(
    quiet_seconds={"*": 60, "CT": 120, "CR": 20},
    sources={"push": SourcePolicy(trust_single=True), "slow": SourcePolicy(quiet_seconds={"CT": 300})},
    after_hint_seconds=1,
    max_seconds=900,
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seen(**values: object) -> Seen:
    made = {
        "arrived": 10,
        "expected": None,
        "first_new": at(0),
        "last": at(10),
        "modalities": ("CT",),
        "sources": ("ct1",),
        "single_image": False,
        "batches": {"b": Batch("ct1", 10)},
    }
    return Seen(**(made | values))  # type: ignore[arg-type]


def over(count: int = 10, settled: int | None = None, source: str = "ct1", ended: float = 10) -> Batch:
    return Batch(source, count if settled is None else settled, count, at(ended))


@pytest.mark.parametrize(
    ("values", "moment", "closing"),
    [
        ({"expected": 10}, 10, Closing.EXPECTED),
        ({"expected": 11}, 129, None),
        ({"expected": 11}, 370, Closing.QUIET),
        ({"expected": 9}, 129, None),  # told too early: it says nothing
        ({"expected": 9}, 130, Closing.QUIET),
        ({"batches": {"b": over()}}, 10.5, None),
        ({"batches": {"b": over()}}, 11, Closing.BATCH),
        ({"batches": {"b": over(), "c": Batch("ct1", 2)}}, 129, None),  # another one goes on
        ({"batches": {"b": over(12, settled=10)}}, 130, None),  # two are on their way
        ({"batches": {"b": over(12, settled=10)}}, 370, Closing.QUIET),
        ({"expected": 10, "batches": {"b": over(12, settled=10)}}, 11, None),
        ({}, 129, None),
        ({}, 130, Closing.QUIET),
        ({"sources": ("slow",)}, 309, None),
        ({"sources": ("slow",)}, 310, Closing.QUIET),
        ({"modalities": ("CR", "US")}, 69, None),
        ({"modalities": ("CR", "US")}, 70, Closing.QUIET),
        ({"modalities": ("CR",)}, 30, Closing.QUIET),
        ({"last": at(899), "first_new": at(0)}, 900, Closing.FORCED),
        ({"single_image": True, "arrived": 1, "batches": {"b": over(1)}}, 11, None),
        ({"single_image": True, "arrived": 1, "batches": {"b": over(1, source="push")}}, 11, Closing.BATCH),
    ],
)
def test_the_rules(values: dict[str, object], moment: float, closing: Closing | None) -> None:
    found = decide(seen(**values), at(moment), POLICY)
    assert found.close is closing
    assert (found.again is None) is (closing is not None)


def test_it_looks_again_when_the_next_thing_may_be_true() -> None:
    assert decide(seen(), at(20), POLICY).again == at(130)
    assert decide(seen(batches={"b": over()}), at(10), POLICY).again == at(11)
    assert decide(seen(last=at(850)), at(860), POLICY).again == at(900)


def test_what_is_missing_is_looked_for_ever_less_often() -> None:
    late = seen(batches={"b": over(12, settled=10)})
    waits = []
    moment = at(10)
    for _ in range(8):
        look = decide(late, moment, POLICY)
        assert look.again is not None
        waits.append((look.again - moment).total_seconds())
        moment = look.again
    assert waits[0] == 1 and waits == sorted(waits) and max(waits) == 60


@pytest.mark.parametrize(
    ("modalities", "sources", "seconds"),
    [
        (("CT",), ("ct1",), 120),
        ((), (), 60),
        (("CR", "CT"), ("ct1",), 120),
        (("CR",), ("slow",), 20),
        (("CT",), ("slow", "ct1"), 300),
    ],
)
def test_the_longest_quiet_time_counts(
    modalities: tuple[str, ...], sources: tuple[str, ...], seconds: float
) -> None:
    assert POLICY.quiet_time(modalities, sources) == seconds


batch = st.builds(
    lambda count, settled, ended: Batch(
        "ct1", min(settled, count), count if ended else None, at(ended) if ended else None
    ),
    st.integers(1, 20),
    st.integers(0, 20),
    st.one_of(st.none(), st.floats(1, 500)),
)


@given(
    st.integers(1, 20),
    st.one_of(st.none(), st.integers(1, 20)),
    st.floats(0, 2000),
    st.floats(0, 2000),
    st.dictionaries(st.sampled_from("abc"), batch, max_size=3),
    st.booleans(),
)
def test_looking_again_and_again_always_comes_to_an_end(
    arrived: int, expected: int | None, first: float, last: float, batches: dict[str, Batch], single: bool
) -> None:
    study = seen(
        arrived=arrived,
        expected=expected,
        first_new=at(min(first, last)),
        last=at(last),
        batches=batches,
        single_image=single,
    )
    moment = study.last
    looks = 0
    while (look := decide(study, moment, POLICY)).close is None:
        assert look.again is not None and look.again > moment, "a look that is due at once would spin"
        moment, looks = look.again, looks + 1
        assert looks < 100
    assert moment <= max(study.last, study.first_new + timedelta(seconds=POLICY.max_seconds))
    assert look == Look(look.close, None)
