"""Who is signed in, and who is about to be; one read for each request."""

from datetime import datetime

from pynamodb.exceptions import DeleteError, UpdateError
from pynamodb.transactions import TransactWrite

from firstread.clock import from_text
from firstread.records.tables import SessionRow
from firstread.records.transactions import Addition, commit, is_unmet_condition
from firstread.session import ABSOLUTE, Attempt, Session

MOST_PER_USER = 20
"""Sessions of one user at a time; one more ends the oldest."""


class SessionRepository:
    """Sessions by digest of the id in the cookie, and for each user the list of theirs."""

    def get(self, key: str) -> Session | None:
        """Return a session, ended or not, or None."""
        try:
            row = SessionRow.get(_session(key), consistent_read=True)
        except SessionRow.DoesNotExist:
            return None
        return Session.model_validate(row.body)

    def open(self, key: str, session: Session, *additions: Addition) -> None:
        """Add a session.

        Raises
        ------
        ConditionFailedError
            If somebody else changed the user's sessions meanwhile.
        """
        ends = int((from_text(session.opened_at) + ABSOLUTE).timestamp())

        def build(transaction: TransactWrite) -> None:
            for addition in additions:
                addition(transaction)
            made = SessionRow(
                session_key=_session(key), body=session.model_dump(mode="json"), expires_at=ends
            )
            transaction.save(made, condition=SessionRow.session_key.does_not_exist())
            begun = int(from_text(session.opened_at).timestamp())
            row = _user_row(session.user)
            kept = {each: until for each, until in _listed(row).items() if until > begun}
            oldest = sorted(kept, key=lambda each: kept[each])
            for each in oldest[: max(0, len(kept) + 1 - MOST_PER_USER)]:
                del kept[each]
                transaction.delete(SessionRow(session_key=_session(each)))
            _list(transaction, session.user, row, {**kept, key: ends})

        commit(build)

    def touch(self, key: str, session: Session) -> None:
        """Record that a session was used; one that was closed meanwhile stays closed."""
        try:
            SessionRow(session_key=_session(key)).update(
                actions=[SessionRow.body.set(session.model_dump(mode="json"))],
                condition=SessionRow.session_key.exists(),
            )
        except UpdateError as error:
            if not is_unmet_condition(error):
                raise

    def close(self, key: str, user: str, *additions: Addition) -> None:
        """Take a session away.

        Raises
        ------
        ConditionFailedError
            If it is not there, or somebody else changed the user's sessions meanwhile.
        """

        def build(transaction: TransactWrite) -> None:
            for addition in additions:
                addition(transaction)
            transaction.delete(
                SessionRow(session_key=_session(key)), condition=SessionRow.session_key.exists()
            )
            row = _user_row(user)
            kept = {each: until for each, until in _listed(row).items() if each != key}
            _list(transaction, user, row, kept)

        commit(build)

    def keys_of(self, user: str) -> list[str]:
        """Return the keys of a user's sessions, some of which may have ended."""
        return list(_listed(_user_row(user)))


class AttemptRepository:
    """Sign-ins on their way; each is taken once."""

    def put(self, key: str, attempt: Attempt, expires_at: datetime) -> None:
        """Add an attempt."""
        ends = int(expires_at.timestamp())
        SessionRow(session_key=_attempt(key), body=attempt.model_dump(mode="json"), expires_at=ends).save()

    def take(self, key: str) -> Attempt | None:
        """Return an attempt and forget it; None where there is none, or somebody was faster."""
        try:
            row = SessionRow.get(_attempt(key), consistent_read=True)
            row.delete(condition=SessionRow.session_key.exists())
        except SessionRow.DoesNotExist:
            return None
        except DeleteError as error:
            if not is_unmet_condition(error):
                raise
            return None
        return Attempt.model_validate(row.body)


def _session(key: str) -> str:
    return f"session#{key}"


def _attempt(key: str) -> str:
    return f"attempt#{key}"


def _user_row(user: str) -> SessionRow | None:
    try:
        return SessionRow.get(f"user#{user}", consistent_read=True)
    except SessionRow.DoesNotExist:
        return None


def _listed(row: SessionRow | None) -> dict[str, int]:
    """Return session key -> when it ends, in seconds since 1970."""
    return {str(key): int(until) for key, until in row.body["sessions"].items()} if row else {}


def _list(transaction: TransactWrite, user: str, row: SessionRow | None, sessions: dict[str, int]) -> None:
    """Replace the list of a user's sessions, if it is still what was read."""
    condition = SessionRow.body == row.body if row else SessionRow.session_key.does_not_exist()
    ends = max(sessions.values(), default=row.expires_at if row else None)
    made = SessionRow(session_key=f"user#{user}", body={"sessions": sessions}, expires_at=ends)
    transaction.save(made, condition=condition)
