from datetime import UTC, datetime, timedelta

import pytest

from firstread.local.identity import throttle
from firstread.local.identity.throttle import FREE_TRIES, SignInThrottle

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_the_first_failures_cost_nothing() -> None:
    guard = SignInThrottle(lambda: START)
    for _ in range(FREE_TRIES - 1):
        guard.failed("ann")
    assert guard.wait_seconds("ann") == 0


def test_the_lock_doubles_and_ends_at_a_quarter_of_an_hour() -> None:
    guard = SignInThrottle(lambda: START)
    waits = []
    for _ in range(FREE_TRIES + 12):
        guard.failed("ann")
        waits.append(guard.wait_seconds("ann"))
    assert waits[FREE_TRIES - 1 : FREE_TRIES + 3] == [2, 4, 8, 16]
    assert waits[-1] == 900


def test_the_lock_passes_with_time_and_is_per_name() -> None:
    moment = START
    guard = SignInThrottle(lambda: moment)
    for _ in range(FREE_TRIES):
        guard.failed("ann")
    assert guard.wait_seconds("ben") == 0
    moment = START + timedelta(seconds=1, milliseconds=500)
    assert guard.wait_seconds("ann") == 1
    moment = START + timedelta(seconds=2)
    assert guard.wait_seconds("ann") == 0


def test_success_forgets_failures() -> None:
    guard = SignInThrottle(lambda: START)
    for _ in range(FREE_TRIES):
        guard.failed("ann")
    guard.succeeded("ann")
    guard.failed("ann")
    assert guard.wait_seconds("ann") == 0


def test_made_up_names_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_REMEMBERED", 10)
    guard = SignInThrottle(lambda: START)
    for number in range(100):
        guard.failed(f"name{number}")
    assert len(guard._failures) == 10
