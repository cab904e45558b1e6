"""Scores against cases worked out by hand, and what holds for all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.result import Code
from firstread.review import DrawnRegion, Point
from firstread.teaching.cases import Mark, Outcome, Seen
from firstread.teaching.scoring import Frame, masks, overlap, score

NODULE = Code(value="27925004", scheme="SCT", meaning="Nodule")
MASS = Code(value="4147007", scheme="SCT", meaning="Mass")
CYST = Code(value="367643001", scheme="SCT", meaning="Cyst")
SHAPES: dict[Frame, tuple[int, int]] = {("2.25.1", 1): (20, 20), ("2.25.1", 2): (20, 20)}


def box(left: float, top: float, right: float, bottom: float, frame: int = 1) -> DrawnRegion:
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    outline = tuple(Point(x=x, y=y) for x, y in corners)
    return DrawnRegion(series_uid="2.25.9", sop_uid="2.25.1", frame=frame, outline=outline)


def seen(code: Code, *regions: DrawnRegion, mark: tuple[float, float] | None = None) -> Seen:
    place = Mark(sop_uid="2.25.1", frame=1, at=Point(x=mark[0], y=mark[1])) if mark else None
    return Seen(code=code, regions=regions, mark=place)


def outcomes(said: list[Seen], truth: list[Seen]) -> list[Outcome]:
    return [each.outcome for each in score(said, truth, SHAPES).judged]


def test_two_halves_that_share_a_third() -> None:
    # 10 x 10 and 10 x 10, shifted by 5: 50 shared of 150.
    one, other = masks([box(0, 0, 10, 10)], SHAPES), masks([box(5, 0, 15, 10)], SHAPES)
    assert overlap(one, other) == pytest.approx(1 / 3)


def test_a_hole_is_not_inside_and_regions_of_one_finding_join() -> None:
    ring = box(0, 0, 10, 10).model_copy(update={"holes": (box(2, 2, 8, 8).outline,)})
    assert np.count_nonzero(masks([ring], SHAPES)["2.25.1", 1]) == 64
    assert np.count_nonzero(masks([box(0, 0, 4, 4), box(2, 0, 6, 4)], SHAPES)["2.25.1", 1]) == 24


def test_only_frames_that_both_drew_on_are_compared() -> None:
    whole = masks([box(0, 0, 10, 10), box(0, 0, 10, 10, frame=2)], SHAPES)
    assert overlap(whole, masks([box(0, 0, 10, 10)], SHAPES)) == 1
    assert overlap(masks([box(0, 0, 10, 10, frame=2)], SHAPES), masks([box(0, 0, 10, 10)], SHAPES)) == 0


def test_a_region_on_no_frame_of_the_case_counts_for_nothing() -> None:
    assert masks([box(0, 0, 4, 4, frame=3)], SHAPES) == {}


def test_found_missed_and_extra() -> None:
    got = score(
        [seen(NODULE, box(0, 0, 10, 10)), seen(CYST)], [seen(NODULE, box(5, 0, 15, 10)), seen(MASS)], SHAPES
    )
    assert [each.outcome for each in got.judged] == [Outcome.FOUND, Outcome.MISSED, Outcome.EXTRA]
    assert (got.found, got.expected, got.false) == (1, 2, 1)
    assert got.value == pytest.approx(0.5)  # 2 * 1 / (2 + 2)
    assert got.overlap == pytest.approx(1 / 3)


def test_the_right_label_in_the_wrong_place_is_not_found() -> None:
    got = score([seen(NODULE, box(0, 0, 4, 4))], [seen(NODULE, box(10, 10, 14, 14))], SHAPES)
    assert [each.outcome for each in got.judged] == [Outcome.MISPLACED]
    assert (got.found, got.false, got.value, got.overlap) == (0, 1, 0.0, None)


def test_the_wrong_label_in_the_right_place() -> None:
    got = score([seen(MASS, box(0, 0, 10, 10))], [seen(NODULE, box(0, 0, 10, 10))], SHAPES)
    assert [(each.outcome, each.expected, each.said) for each in got.judged] == [
        (Outcome.MISLABELLED, NODULE, MASS)
    ]
    assert got.value == 0


def test_of_two_alike_the_one_in_the_right_place_is_the_counterpart() -> None:
    there = seen(NODULE, box(10, 10, 16, 16))
    said = [seen(NODULE, box(0, 0, 4, 4)), seen(NODULE, box(10, 10, 16, 16))]
    assert outcomes(said, [there]) == [Outcome.FOUND, Outcome.EXTRA]


def test_a_mark_hits_or_misses() -> None:
    there = seen(NODULE, box(10, 10, 14, 14))
    assert outcomes([seen(NODULE, mark=(11.5, 13.9))], [there]) == [Outcome.FOUND]
    assert outcomes([seen(NODULE, mark=(9.9, 12))], [there]) == [Outcome.MISPLACED]
    assert outcomes([seen(NODULE, mark=(20, 20))], [there]) == [
        Outcome.MISPLACED
    ]  # the very edge of the image


def test_where_nobody_says_where_the_label_decides() -> None:
    assert outcomes([seen(NODULE)], [seen(NODULE, box(0, 0, 4, 4))]) == [Outcome.FOUND]
    assert outcomes([seen(NODULE, mark=(1, 1))], [seen(NODULE)]) == [Outcome.FOUND]
    assert outcomes([seen(MASS)], [seen(NODULE)]) == [Outcome.MISSED, Outcome.EXTRA]


def test_nothing_there_and_nothing_said_is_right() -> None:
    got = score([], [], SHAPES)
    assert (got.value, got.judged, got.is_positive, got.said_positive) == (1.0, (), False, False)
    assert score([seen(NODULE)], [], SHAPES).value == 0


boxes = st.builds(
    lambda left, top, width, height, frame: box(left, top, left + width, top + height, frame),
    st.floats(0, 30),
    st.floats(0, 30),
    st.floats(0, 30),
    st.floats(0, 30),
    st.integers(1, 2),
)
findings = st.lists(
    st.builds(
        lambda code, regions, mark: seen(code, *regions, mark=mark),
        st.sampled_from([NODULE, MASS, CYST]),
        st.lists(boxes, max_size=2),
        st.none() | st.tuples(st.floats(0, 25), st.floats(0, 25)),
    ),
    max_size=4,
)


@given(st.lists(boxes, max_size=3), st.lists(boxes, max_size=3))
def test_overlap_is_symmetric_and_bounded(one: list[DrawnRegion], other: list[DrawnRegion]) -> None:
    a, b = masks(one, SHAPES), masks(other, SHAPES)
    assert overlap(a, b) == overlap(b, a)
    assert 0 <= overlap(a, b) <= 1
    assert overlap(a, a) in (0.0, 1.0)


@given(findings, findings)
def test_each_finding_is_judged_once(said: list[Seen], truth: list[Seen]) -> None:
    got = score(said, truth, SHAPES)
    assert sum(each.said is not None for each in got.judged) == len(said)
    assert sum(each.expected is not None for each in got.judged) == len(truth) == got.expected
    assert got.found + got.false == len(said)
    assert got.found <= min(len(said), len(truth))


@given(findings)
def test_whoever_says_what_is_there_is_right(truth: list[Seen]) -> None:
    unplaced = [Seen(code=each.code) for each in truth]
    assert score(unplaced, truth, SHAPES).value == 1
