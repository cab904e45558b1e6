from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from firstread.clock import to_text
from firstread.policy import Role
from firstread.session import ABSOLUTE, IDLE, Ending, Session

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
SECONDS = st.integers(0, int(ABSOLUTE.total_seconds()) + 3600).map(lambda each: timedelta(seconds=each))


def session(used: timedelta, seen: timedelta = timedelta(0)) -> Session:
    at = to_text(START)
    return Session(
        user="ann",
        role=Role.RADIOLOGIST,
        roles=(Role.RADIOLOGIST,),
        authenticated_at=to_text(START - seen),
        opened_at=at,
        used_at=to_text(START + used),
    )


@given(SECONDS, SECONDS)
def test_a_session_is_over_from_the_moment_it_ends(used: timedelta, later: timedelta) -> None:
    found = session(used)
    moment = START + used + later
    assert (found.ended(moment) is not None) == (moment >= found.ends_at())
    assert (found.ended(moment) is Ending.ABSOLUTE) == (moment - START >= ABSOLUTE)
    assert found.ends_at() <= START + ABSOLUTE
    assert found.ends_at() - (START + used) <= IDLE


def test_credentials_are_fresh_for_a_time() -> None:
    found = session(timedelta(0), seen=timedelta(minutes=4))
    within = timedelta(minutes=5)
    assert found.is_fresh(START + timedelta(minutes=1), within)
    assert not found.is_fresh(START + timedelta(minutes=1, seconds=1), within)
    assert found.fresh_until(within) == START + timedelta(minutes=1)
