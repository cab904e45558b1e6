"""The pure rules of the steps: versions, counts, ranks and alerts."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.routing import Route
from firstread.study import AnalysisStatus, InstanceState, Result, ResultStatus, Risk, Study
from functions.alert.logic import alert_for, ranked
from functions.complete_study.logic import complete, frozen, requests
from functions.gather.logic import gathering, merged
from tests.support.records import MODEL, STUDY, T0, T1, T2, instance, result, study

NOW = datetime(2004, 8, 26, 19, 0, tzinfo=UTC)
ROUTED = Route(models=(MODEL,), not_applicable={})
NOBODY = Route(models=(), not_applicable={MODEL: "modality is CT"})
HELD = instance(state=InstanceState.HELD, studies_key="")


@pytest.mark.parametrize(
    ("instances", "chosen", "status"),
    [
        ([instance()], ROUTED, AnalysisStatus.ANALYSING),
        ([instance()], NOBODY, AnalysisStatus.NO_MODEL),
        ([HELD], NOBODY, AnalysisStatus.HELD),
        ([instance(), HELD], NOBODY, AnalysisStatus.NO_MODEL),
    ],
)
def test_a_complete_study_waits_for_models_or_says_why_not(
    instances: list[object], chosen: Route, status: AnalysisStatus
) -> None:
    made = complete(study(), instances, chosen, NOW)  # type: ignore[arg-type]
    assert made is not None
    assert (made.version, made.version_count, made.status) == (1, len(instances), status)
    assert frozen(made).models == chosen.models
    assert [message.model_dump()["model_id"] for message in requests(made).values()] == list(chosen.models)


def test_a_version_that_has_everything_is_not_made_again() -> None:
    assert complete(study(version=1, version_count=1), [instance()], ROUTED, NOW) is None


def test_an_older_look_makes_no_version_behind_a_newer_one() -> None:
    assert complete(study(version=1, version_count=2), [instance()], ROUTED, NOW) is None


def test_requests_of_two_versions_have_different_names() -> None:
    first, second = (requests(study(version=number, models=(MODEL,))) for number in (1, 2))
    assert not first.keys() & second.keys()


def test_a_gathering_counts_and_describes() -> None:
    seen = gathering(
        STUDY,
        [instance("2.25.2", received_at=T2, stored_at=T2), instance("2.25.1", received_at=T0), HELD],
    )
    assert (seen.stored_count, seen.held_count, seen.count) == (2, 1, 3)
    assert (seen.first_arrival, seen.last_arrival) == (T0, T2)
    assert seen.modalities == ("CR",)
    assert seen.age_years is None


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_counts_of_a_study_only_grow(counts: list[int]) -> None:
    head: Study | None = None
    highest = 0
    for count in counts:
        seen = gathering(STUDY, [instance(f"2.25.{number}") for number in range(count)])
        head = merged(head, seen) or head
        highest = max(highest, count)
        assert head is not None and head.gathering.count == highest


def test_a_study_with_new_images_receives_again_and_one_with_known_images_does_not() -> None:
    seen = gathering(STUDY, [instance(), instance("2.25.10")])
    done = study(version=1, version_count=1, status=AnalysisStatus.ANALYSED)
    again = merged(done, seen)
    assert again is not None and again.status is AnalysisStatus.RECEIVING
    ahead = merged(study(version=1, version_count=2, status=AnalysisStatus.ANALYSING), seen)
    assert ahead is not None and ahead.status is AnalysisStatus.ANALYSING


LOW, HIGH = result(risk=Risk.NOT_FLAGGED), result(risk=Risk.HIGH)
FAILED = result(status=ResultStatus.FAILED, findings=(), reason="r")
EMPTY = result(findings=())


@pytest.mark.parametrize(
    ("results", "status", "risk"),
    [
        ([], AnalysisStatus.ANALYSING, Risk.UNKNOWN),
        ([LOW], AnalysisStatus.ANALYSED, Risk.NOT_FLAGGED),
        ([HIGH], AnalysisStatus.ANALYSED, Risk.HIGH),
        ([FAILED], AnalysisStatus.FAILED, Risk.UNKNOWN),
        ([EMPTY], AnalysisStatus.ANALYSED, Risk.UNKNOWN),
        (
            [HIGH, result(model="b@1", status=ResultStatus.FAILED, findings=())],
            AnalysisStatus.FAILED,
            Risk.HIGH,
        ),
    ],
)
def test_a_study_is_ranked_by_its_results(results: list[Result], status: AnalysisStatus, risk: Risk) -> None:
    models = tuple({each.model_id for each in results}) or (MODEL,)
    found = ranked(study(version=1, models=models), results)
    assert (found.status, found.risk) == (status, risk)


def test_an_unflagged_result_beside_one_that_is_awaited_is_unknown() -> None:
    found = ranked(study(version=1, models=(MODEL, "b@1")), [LOW])
    assert (found.status, found.risk) == (AnalysisStatus.ANALYSING, Risk.UNKNOWN)


@given(st.permutations([LOW, result(model="b@1"), result(model="c@1", risk=Risk.NOT_FLAGGED)]))
def test_the_order_of_results_does_not_matter(results: list[Result]) -> None:
    head = study(version=1, models=(MODEL, "b@1", "c@1"))
    found = ranked(head, results)
    assert found == ranked(found, list(reversed(results)))
    assert (found.risk, found.probability) == (Risk.HIGH, 0.9)


@pytest.mark.parametrize(
    ("head", "results", "alerts"),
    [
        (study(), [HIGH], True),
        (study(), [LOW], False),
        (study(), [FAILED], False),
        (study(alert_id="a1"), [HIGH], False),
        (study(gathering=study().gathering.model_copy(update={"is_recent": False})), [HIGH], False),
    ],
    ids=["high", "low", "failed", "alerted before", "old"],
)
def test_only_a_recent_study_at_high_risk_alerts_and_once(
    head: Study, results: list[Result], alerts: bool
) -> None:
    assert (alert_for(head, results, T1) is not None) is alerts
