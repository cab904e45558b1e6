"""The life cycle of an alert: whatever comes in whatever order, nothing goes back."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from firstread.alert import (
    OPEN_STATES,
    Alert,
    AlertState,
    Call,
    Closing,
    acknowledged,
    closed,
    closing_of,
    covered,
    delivered,
    escalated,
    high_findings,
    inherited,
)
from firstread.result import Code, Result
from firstread.study import AnalysisStatus, Risk, Study
from tests.support.records import T1, T2, alert, result, study

LEVELS = st.integers(0, 5)
NAMES = st.sampled_from(["ann", "bob"])
ORDER = list(AlertState)


def call(level: int) -> Call:
    return Call(level=level, group="on-call", at=T1)


class LifeCycle(RuleBasedStateMachine):
    """Applies transitions as they come, and remembers what must never change afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.alert: Alert = alert(state=AlertState.CREATED)
        self.before: Alert = self.alert

    def _becomes(self, after: Alert) -> None:
        self.before, self.alert = self.alert, after

    @rule()
    def deliver(self) -> None:
        self._becomes(delivered(self.alert, call(0), T2))

    @rule(level=LEVELS)
    def escalate(self, level: int) -> None:
        self._becomes(escalated(self.alert, call(level)))

    @rule(name=NAMES)
    def acknowledge(self, name: str) -> None:
        self._becomes(acknowledged(self.alert, name, T2))

    @rule(name=NAMES, why=st.sampled_from(Closing))
    def close(self, name: str, why: Closing) -> None:
        self._becomes(closed(self.alert, why, name, T2))

    @rule(version=st.integers(0, 4), findings=st.sets(st.sampled_from("abc")))
    def inherit(self, version: int, findings: set[str]) -> None:
        self._becomes(inherited(self.alert, version, findings))

    @invariant()
    def it_never_goes_back(self) -> None:
        assert ORDER.index(self.alert.state) >= ORDER.index(self.before.state)
        assert self.alert.level >= self.before.level
        assert self.alert.version >= self.before.version
        assert set(self.alert.findings) >= set(self.before.findings)
        assert self.alert.calls[: len(self.before.calls)] == self.before.calls

    @invariant()
    def nobody_is_called_once_somebody_has_taken_it_on(self) -> None:
        if self.before.state not in OPEN_STATES:
            assert self.alert.calls == self.before.calls

    @invariant()
    def who_was_first_stays(self) -> None:
        for name in ("delivered_at", "acknowledged_by", "acknowledged_at", "closed_by", "closing"):
            if getattr(self.before, name):
                assert getattr(self.alert, name) == getattr(self.before, name)

    @invariant()
    def each_level_is_called_once_and_upwards(self) -> None:
        levels = [each.level for each in self.alert.calls]
        assert levels == sorted(set(levels))

    @invariant()
    def the_state_says_what_happened(self) -> None:
        assert (self.alert.state is AlertState.CLOSED) == (self.alert.closing is not None)
        assert self.alert.state is not AlertState.ACKNOWLEDGED or self.alert.acknowledged_by
        assert self.alert.state is not AlertState.ESCALATED or self.alert.level > 0


TestLifeCycle = LifeCycle.TestCase


def test_late_is_after_the_first_deadline() -> None:
    due = delivered(alert(state=AlertState.CREATED), call(0), T1)
    assert acknowledged(due, "ann", T2).is_late
    assert not acknowledged(due, "ann", T1).is_late
    assert not due.is_late


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (study(version=1), None),
        (study(version=1, signed_version=1), Closing.SIGNED),
        (study(version=2, signed_version=1), None),
        (study(version=1, read_elsewhere_at=T1, read_elsewhere_version=1), Closing.READ_ELSEWHERE),
        (study(version=2, read_elsewhere_at=T1, read_elsewhere_version=1), None),
        (study(version=2, status=AnalysisStatus.WITHDRAWN), Closing.WITHDRAWN),
    ],
)
def test_why_a_study_needs_no_alert(head: Study, why: Closing | None) -> None:
    assert closing_of(head) is why


def flagged(*names: str, model: str = "m@1") -> Result:
    first = result().findings[0]
    codes = [Code(value=name, scheme="SCT", meaning=name) for name in names]
    return result(model=model, findings=tuple(first.model_copy(update={"code": code}) for code in codes))


def test_the_same_finding_of_two_models_is_one_and_a_second_nodule_is_new() -> None:
    assert high_findings([flagged("1"), flagged("1", model="n@1")]) == high_findings([flagged("1")])
    assert high_findings([flagged("1", "1")]) > high_findings([flagged("1")])
    assert (
        high_findings([result(risk=Risk.NOT_FLAGGED), flagged("1").model_copy(update={"beside": True})])
        == frozenset()
    )


def test_a_retired_alert_covers_nothing() -> None:
    known = alert(findings=("a",))
    assert covered(known) == {"a"}
    assert covered(closed(known, Closing.SIGNED, "ann", T2)) == {"a"}
    assert covered(closed(known, Closing.RETIRED, "alert", T2)) == frozenset() == covered(None)
