from datetime import UTC, datetime, timedelta

import pytest

from firstread.policy import Actor, Role
from portal.sessions import ABSOLUTE, IDLE, Sessions

ANN = Actor("ann", Role.RADIOLOGIST)
SECOND = timedelta(seconds=1)


class Clock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def test_a_session_knows_its_actor(sessions: Sessions) -> None:
    session = sessions.use(sessions.open(ANN), active=True)
    assert session is not None
    assert session.actor == ANN


def test_ids_have_128_bits_and_differ(sessions: Sessions) -> None:
    ids = {sessions.open(ANN) for _ in range(50)}
    assert len(ids) == 50
    assert all(len(each) == 22 for each in ids)  # 128 bits as base64


def test_an_unknown_id_is_nobody(sessions: Sessions) -> None:
    sessions.open(ANN)
    assert sessions.use("AAAAAAAAAAAAAAAAAAAAAA", active=True) is None


def test_a_session_ends_when_idle(sessions: Sessions, clock: Clock) -> None:
    session_id = sessions.open(ANN)
    clock.moment += IDLE - SECOND
    assert sessions.use(session_id, active=True)
    clock.moment += IDLE - SECOND
    assert sessions.use(session_id, active=True)
    clock.moment += IDLE
    assert sessions.use(session_id, active=True) is None
    clock.moment -= IDLE
    assert sessions.use(session_id, active=True) is None  # and stays ended


def test_polling_keeps_no_session_open(sessions: Sessions, clock: Clock) -> None:
    session_id = sessions.open(ANN)
    for _ in range(14):
        clock.moment += timedelta(minutes=1)
        assert sessions.use(session_id, active=False)
    clock.moment += timedelta(minutes=1)
    assert sessions.use(session_id, active=False) is None


def test_a_session_ends_after_eight_hours_of_work(sessions: Sessions, clock: Clock) -> None:
    session_id = sessions.open(ANN)
    opened = clock.moment
    while clock.moment + timedelta(minutes=10) < opened + ABSOLUTE:
        clock.moment += timedelta(minutes=10)
        assert sessions.use(session_id, active=True)
    clock.moment = opened + ABSOLUTE
    assert sessions.use(session_id, active=True) is None


def test_sign_out_ends_one_session(sessions: Sessions) -> None:
    first, second = sessions.open(ANN), sessions.open(ANN)
    sessions.close(first)
    sessions.close("never there")
    assert sessions.use(first, active=True) is None
    assert sessions.use(second, active=True)


def test_ended_sessions_do_not_pile_up(sessions: Sessions, clock: Clock) -> None:
    for _ in range(20):
        sessions.open(ANN)
        clock.moment += IDLE
    sessions.open(ANN)
    assert len(sessions._open) == 1
