"""Whatever operators and the pipeline do in whatever order, received = stored + duplicate + quarantined + pending."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from firstread.operations.quarantine import Because, CannotError
from tests.conftest import forget
from tests.support.cloud import account
from tests.support.hospital import Hospital
from tests.support.operations import (
    CORNER,
    count,
    events_are_lost,
    file,
    operations,
    reconcile,
)


class Days(RuleBasedStateMachine):
    """A hospital and its operator, who may come at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        self._folder = TemporaryDirectory()
        self._account = account()
        self.cloud = self._account.__enter__()
        for name, value in self.cloud.environment().items():
            self._patch.setenv(name, value)
        forget()
        self.hospital = Hospital(self.cloud, self._patch)
        self.hospital.detector.where = [CORNER]
        self.received = 0

    def teardown(self) -> None:
        try:
            self._ends_at_rest()
        finally:
            self._close()

    def _ends_at_rest(self) -> None:
        reconcile()
        self.hospital.pump()
        found = count()
        assert found.balanced
        assert (found.pending, found.received) == (0, self.received)
        assert self.hospital.failures == []

    def _close(self) -> None:
        self._account.__exit__(None, None, None)
        self._patch.undo()
        self._folder.cleanup()
        forget()

    @rule(number=st.integers(1, 3), burned=st.booleans())
    def arrive(self, number: int, burned: bool) -> None:
        named = {"StudyInstanceUID": f"1.2.{number}", "SOPInstanceUID": f"1.2.{number}.1"}
        marked = {"BurnedInAnnotation": "YES" if burned else "NO"}
        self.hospital.push(file(Path(self._folder.name), **named, **marked))
        self.received += 1

    @rule()
    def arrive_as_rubbish(self) -> None:
        self.hospital.put(b"not DICOM")
        self.received += 1
        self.hospital.pump()

    @rule(stubborn=st.booleans())
    def work(self, stubborn: bool) -> None:
        self.hospital.detector.stubborn = stubborn
        self.hospital.pump()

    @rule()
    def lose_events(self) -> None:
        events_are_lost(self.hospital)

    def _held(self) -> list[str]:
        return [each.object_key for each in operations().quarantine.held()]

    @precondition(lambda self: self._held())
    @rule(data=st.data())
    def release(self, data: Any) -> None:  # noqa: ANN401 - hypothesis's
        operations().quarantine.release(data.draw(st.sampled_from(self._held())), Because.FIXED)

    @precondition(lambda self: self._held())
    @rule(data=st.data())
    def discard(self, data: Any) -> None:  # noqa: ANN401 - hypothesis's
        key = data.draw(st.sampled_from(self._held()))
        operations().quarantine.discard(key, Because.UNUSABLE)
        with pytest.raises(CannotError):
            operations().quarantine.release(key, Because.FIXED)

    @rule()
    def mend(self) -> None:
        assert reconcile().lost == 0

    @invariant()
    def nothing_is_lost(self) -> None:
        found = count()
        assert found.received == self.received
        assert found.balanced or found.without_receipt
        known = found.stored + found.duplicate + found.quarantined + found.pending
        assert known + found.without_receipt == self.received


TestDays = Days.TestCase
TestDays.settings = settings(
    max_examples=10,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
