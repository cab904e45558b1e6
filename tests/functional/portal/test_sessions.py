"""Sessions in the records: their ends, and several tasks at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from firstread.clock import to_text
from firstread.policy import Actor, Role
from firstread.records import sessions as records
from firstread.records.audit import AuditTrail
from firstread.records.sessions import AttemptRepository, SessionRepository
from firstread.records.tables import SessionRow
from firstread.session import ABSOLUTE, IDLE, Attempt, Session
from portal.sessions import TOUCH, Sessions
from tests.functional.portal.conftest import Clock
from tests.functional.portal.seeding import Hospital

SECOND = timedelta(seconds=1)
ADMIN = Actor("root", Role.ADMIN)


@pytest.fixture
def sessions(hospital: Hospital, clock: Clock) -> Sessions:
    assert hospital is not None
    return Sessions(clock)


@pytest.fixture
def begin(sessions: Sessions, clock: Clock) -> Callable[[], str]:
    return lambda: sessions.open("ann", Role.RADIOLOGIST, (Role.RADIOLOGIST,), clock())


def events() -> list[dict[str, object]]:
    return [dict(event) for event in AuditTrail().of("session#ann")]


def test_a_session_knows_its_actor(sessions: Sessions, begin: Callable[[], str]) -> None:
    session = sessions.use(begin(), active=True)
    assert session is not None
    assert session.actor == Actor("ann", Role.RADIOLOGIST)


def test_ids_have_128_bits_and_are_stored_nowhere(begin: Callable[[], str]) -> None:
    ids = {begin() for _ in range(10)}
    assert len(ids) == 10
    assert all(len(each) == 22 for each in ids)  # 128 bits as base64
    stored = "".join(row.session_key + str(row.body) for row in SessionRow.scan())
    assert not any(each in stored for each in ids)


def test_an_unknown_id_is_nobody(sessions: Sessions, begin: Callable[[], str]) -> None:
    begin()
    for made_up in ("AAAAAAAAAAAAAAAAAAAAAA", "user#ann", ""):
        assert sessions.use(made_up, active=True) is None


def test_a_session_ends_when_idle_and_stays_ended(
    sessions: Sessions, clock: Clock, begin: Callable[[], str]
) -> None:
    session_id = begin()
    clock.moment += IDLE - SECOND
    assert sessions.use(session_id, active=True)
    clock.moment += IDLE - SECOND
    assert sessions.use(session_id, active=True)
    clock.moment += IDLE
    assert sessions.use(session_id, active=True) is None
    clock.moment -= IDLE
    assert sessions.use(session_id, active=True) is None
    assert [event["action"] for event in events()] == ["session.open", "session.expire"]
    assert events()[-1]["because"] == "idle"


def test_polling_keeps_no_session_open(sessions: Sessions, clock: Clock, begin: Callable[[], str]) -> None:
    session_id = begin()
    for _ in range(14):
        clock.moment += timedelta(minutes=1)
        assert sessions.use(session_id, active=False)
    clock.moment += timedelta(minutes=1)
    assert sessions.use(session_id, active=False) is None


def test_a_session_ends_after_eight_hours_of_work(
    sessions: Sessions, clock: Clock, begin: Callable[[], str]
) -> None:
    session_id = begin()
    opened = clock.moment
    while clock.moment + timedelta(minutes=10) < opened + ABSOLUTE:
        clock.moment += timedelta(minutes=10)
        assert sessions.use(session_id, active=True)
    clock.moment = opened + ABSOLUTE
    assert sessions.use(session_id, active=True) is None
    assert events()[-1]["because"] == "absolute"


def test_use_is_written_down_now_and_then(
    sessions: Sessions, clock: Clock, begin: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = begin()
    written: list[str] = []
    touch = SessionRepository.touch

    def counted(self: SessionRepository, key: str, session: Session) -> None:
        written.append(session.used_at)
        touch(self, key, session)

    monkeypatch.setattr(SessionRepository, "touch", counted)
    for _ in range(61):
        clock.moment += SECOND
        assert sessions.use(session_id, active=True)
    assert len(written) == 61 // int(TOUCH.total_seconds())
    assert sessions.use(session_id, active=False)
    assert len(written) == 2


def test_sign_out_ends_one_session(sessions: Sessions, begin: Callable[[], str]) -> None:
    first, second = begin(), begin()
    sessions.close(first)
    sessions.close(first)
    sessions.close("never there")
    assert sessions.use(first, active=True) is None
    assert sessions.use(second, active=True)
    assert [event["action"] for event in events()] == ["session.open"] * 2 + ["session.close"]


def test_use_does_not_bring_a_closed_session_back(
    sessions: Sessions, clock: Clock, begin: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another task signs out between the read and the write of a request."""
    session_id = begin()
    touch = SessionRepository.touch

    def late(self: SessionRepository, key: str, session: Session) -> None:
        Sessions(clock).close(session_id)
        touch(self, key, session)

    monkeypatch.setattr(SessionRepository, "touch", late)
    clock.moment += TOUCH
    sessions.use(session_id, active=True)
    assert sessions.use(session_id, active=False) is None


def test_everywhere_means_every_session(sessions: Sessions, clock: Clock, begin: Callable[[], str]) -> None:
    ids = [begin() for _ in range(3)]
    other = sessions.open("ben", Role.STUDENT, (Role.STUDENT,), clock())
    sessions.close(ids[0])
    assert sessions.close_all("ann", ADMIN) == 2
    assert sessions.close_all("ann", ADMIN) == 0
    assert not any(sessions.use(each, active=True) for each in ids)
    assert sessions.use(other, active=True)


def test_one_session_too_many_ends_the_oldest(
    sessions: Sessions, clock: Clock, begin: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MOST_PER_USER", 2)
    ids = []
    for _ in range(3):
        ids.append(begin())
        clock.moment += SECOND
    assert [bool(sessions.use(each, active=True)) for each in ids] == [False, True, True]


def test_rows_expire_and_old_ones_are_not_listed(
    sessions: Sessions, clock: Clock, begin: Callable[[], str]
) -> None:
    begin()
    ends = int((clock() + ABSOLUTE).timestamp())
    assert {row.expires_at for row in SessionRow.scan()} == {ends}
    clock.moment += ABSOLUTE
    begin()
    assert len(SessionRepository().keys_of("ann")) == 1
    assert sessions is not None


@pytest.mark.usefixtures("one_call_at_a_time")
def test_signing_in_at_once_loses_no_session(sessions: Sessions, begin: Callable[[], str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: begin(), range(8)))
    assert all(sessions.use(each, active=True) for each in ids)
    assert len(SessionRepository().keys_of("ann")) == 8
    assert [event["number"] for event in events()] == list(range(1, 9))


def test_an_attempt_is_taken_once(hospital: Hospital, clock: Clock) -> None:
    assert hospital is not None
    attempts = AttemptRepository()
    made = Attempt(
        nonce="n",
        verifier="v",
        target="/",
        role=None,
        reauthenticate=False,
        started_at=to_text(clock()),
    )
    attempts.put("k", made, clock() + SECOND)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: attempts.take("k"), range(4)))
    assert [each for each in taken if each] == [made]
