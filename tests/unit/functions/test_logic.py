"""The pure rules of the step `alert`: ranks and alerts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.alerting import AlertingPolicy
from firstread.clock import from_text
from firstread.result import Result, ResultStatus
from firstread.study import AnalysisStatus, Risk, Study
from functions.alert.logic import alert_for, ranked
from tests.support.records import MODEL, T1, result, study

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
        (study(gathering=study().gathering.model_copy(update={"is_recent": False})), [HIGH], False),
    ],
    ids=["high", "low", "failed", "old"],
)
def test_only_a_recent_study_at_high_risk_alerts(head: Study, results: list[Result], alerts: bool) -> None:
    alert = alert_for(head, results, None, AlertingPolicy(), from_text(T1))
    assert (alert is not None) is alerts
    if alert is not None:
        assert alert_for(head, results, alert, AlertingPolicy(), from_text(T1)) is None  # once


MEASURED = result(
    model="m@1", findings=(result().findings[0].model_copy(update={"risk": None, "probability": None}),)
)
SKIPPED = result(model="s@1", status=ResultStatus.SKIPPED, findings=(), reason="model_switched_off")
BESIDE = result(model="b@1", risk=Risk.HIGH, beside=True, shadow=True)


@pytest.mark.parametrize(
    ("results", "status", "risk"),
    [
        ([MEASURED], AnalysisStatus.ANALYSED, Risk.UNKNOWN),
        ([MEASURED, LOW], AnalysisStatus.ANALYSED, Risk.NOT_FLAGGED),
        ([SKIPPED], AnalysisStatus.NO_MODEL, Risk.UNKNOWN),
        ([SKIPPED, LOW], AnalysisStatus.ANALYSED, Risk.NOT_FLAGGED),
    ],
    ids=["measured only", "measured and assessed", "switched off", "one switched off"],
)
def test_what_was_only_measured_or_skipped_says_nothing_of_risk(
    results: list[Result], status: AnalysisStatus, risk: Risk
) -> None:
    found = ranked(study(version=1, models=tuple(each.model_id for each in results)), results)
    assert (found.status, found.risk) == (status, risk)


def test_a_model_in_shadow_moves_nothing_and_calls_nobody() -> None:
    head = study(version=1, models=(MODEL,), beside=("b@1",))
    assert ranked(head, [LOW, BESIDE]) == ranked(head, [LOW])
    seen = ranked(head, [LOW, BESIDE])
    assert alert_for(seen, [LOW, BESIDE], None, AlertingPolicy(), from_text(T1)) is None
    alone = study(version=1, models=(), beside=("b@1",), status=AnalysisStatus.NO_MODEL)
    assert ranked(alone, [BESIDE]) == alone


def test_a_model_put_in_shadow_after_it_was_asked_does_not_keep_the_study_waiting() -> None:
    found = ranked(study(version=1, models=(MODEL, "b@1")), [LOW, BESIDE])
    assert (found.status, found.risk) == (AnalysisStatus.ANALYSED, Risk.NOT_FLAGGED)
