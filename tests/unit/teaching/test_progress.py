"""Progress and agreement against cases worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.teaching.cases import Attempt, Score
from firstread.teaching.progress import distribution, kappa, progress


def made(found: int, expected: int, false: int, overlap: float | None = None) -> Score:
    total = found + false + expected
    return Score(
        judged=(),
        found=found,
        expected=expected,
        false=false,
        value=2 * found / total if total else 1.0,
        overlap=overlap,
        is_positive=expected > 0,
        said_positive=found + false > 0,
    )


def attempt(case: int, score: Score, *, seconds: float = 60, number: int = 1, at: str = "") -> Attempt:
    return Attempt(
        learner="sam",
        collection="chest",
        case=case,
        study_uid=f"2.25.{case}",
        number=number,
        started_at="2026-03-02T08:00:00.000000Z",
        submitted_at=at or f"2026-03-02T09:{case:02d}:00.000000Z",
        seconds=seconds,
        score=score,
    )


def test_kappa_by_hand() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: agreed 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5, kappa 0.4.
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    found = kappa(pairs)
    assert found.cases == 50
    assert found.value == pytest.approx(0.4)
    # Wilson for 35 of 50: 0.5625 to 0.8090; carried over by (x - 0.5) / 0.5.
    assert found.low == pytest.approx(0.1249, abs=1e-3)
    assert found.high == pytest.approx(0.6179, abs=1e-3)


def test_kappa_is_not_defined_where_both_always_say_the_same() -> None:
    assert kappa([]).value is None
    found = kappa([(True, True)] * 3)
    assert (found.cases, found.value, found.low) == (3, None, None)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_kappa_lies_within_its_interval_and_is_symmetric(pairs: list[tuple[bool, bool]]) -> None:
    found = kappa(pairs)
    if found.value is None or found.low is None or found.high is None:
        return
    assert -1 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1
    assert found.high > found.low
    assert kappa([(b, a) for a, b in pairs]).value == pytest.approx(found.value)


def test_progress_by_hand() -> None:
    told = progress(
        [
            attempt(2, made(1, 1, 1, overlap=0.5), seconds=100),  # 2 / 3
            attempt(1, made(0, 1, 0), seconds=50),  # 0
            attempt(3, made(2, 2, 0, overlap=0.7), seconds=10),  # 1
        ]
    )
    assert [step.case for step in told.steps] == [1, 2, 3]
    assert [step.score for step in told.steps] == pytest.approx([0, 2 / 3, 1])
    assert [step.running for step in told.steps] == pytest.approx([0, 1 / 3, 5 / 9])
    own = told.own
    assert own.cases == 3
    told_figures = [own.score, own.sensitivity, own.false_per_case, own.overlap]
    assert told_figures == pytest.approx([5 / 9, 3 / 4, 1 / 3, 0.6])
    assert told.median_seconds == 50
    assert told.trend is None
    assert told.models.cases == 0


def test_a_repeat_and_an_open_attempt_do_not_count() -> None:
    first = attempt(1, made(0, 1, 0))
    again = attempt(1, made(1, 1, 0), number=2)
    still_open = first.model_copy(update={"submitted_at": "", "study_uid": "2.25.7"})
    assert progress([first, again, still_open]).own.cases == 1
    assert progress([again]).steps == ()


def test_the_trend_is_the_slope_over_ten_cases() -> None:
    scores = [made(i, 4, 4 - i) for i in range(5)]  # 0, 1/4, 1/2, 3/4, 1
    told = progress([attempt(index + 1, score) for index, score in enumerate(scores)])
    assert told.trend == pytest.approx(2.5)
    flat = progress([attempt(index + 1, scores[2]) for index in range(5)])
    assert flat.trend == pytest.approx(0, abs=1e-9)


def test_a_distribution_tells_of_nobody() -> None:
    few = distribution(
        [(case, 0.5) for case in range(40)]
    )  # one learner at forty cases, for all that is known
    assert (few.learners, few.attempts, few.deciles, few.median) == (1, 40, (), None)
    many = distribution([(1, 0.0), (1, 0.05), (1, 0.5), (1, 0.95), (1, 1.0), (2, 0.5)])
    assert (many.learners, many.attempts, many.median) == (5, 6, 0.5)
    assert many.deciles == (2, 0, 0, 0, 0, 2, 0, 0, 0, 2)


@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0, 1)), max_size=60))
def test_a_distribution_loses_nobody(scores: list[tuple[int, float]]) -> None:
    found = distribution(scores)
    assert found.attempts == len(scores)
    assert sum(found.deciles) == (len(scores) if found.learners >= 5 else 0)
