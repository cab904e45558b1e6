"""Sessions on the server, shared by all tasks of the portal; an opaque id in the cookie."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from firstread.clock import from_text, now, to_text
from firstread.policy import Actor, Role
from firstread.records.audit import AuditEvent, AuditTrail, Detail
from firstread.records.sessions import SessionRepository
from firstread.records.transactions import ConditionFailedError
from firstread.session import Session

TOUCH = timedelta(seconds=30)
"""Use is written down at most so often: a request costs one read, and a session may end so much early."""
_ID_BYTES = 16  # 128 random bits


class Sessions:
    """Opens, finds and ends sessions; what begins and ends them is in the audit trail.

    Parameters
    ----------
    clock
        Says what time it is.
    """

    def __init__(self, clock: Callable[[], datetime] = now) -> None:
        self._clock = clock
        self._kept = SessionRepository()
        self._trail = AuditTrail()

    def open(self, user: str, role: Role, roles: tuple[Role, ...], authenticated_at: datetime) -> str:
        """Open a session and return its id; always a new one, so that nobody can plant an id beforehand."""
        at, session_id = to_text(self._clock()), secrets.token_urlsafe(_ID_BYTES)
        seen = to_text(authenticated_at)
        session = Session(user=user, role=role, roles=roles, authenticated_at=seen, opened_at=at, used_at=at)
        key = _key(session_id)
        event = self._event(session, "session.open", key, authenticated_at=seen)
        self._trail.write_with(event, lambda entry: self._kept.open(key, session, entry))
        return session_id

    def use(self, session_id: str, *, active: bool) -> Session | None:
        """Return the session of an id, or None where there is none or it has ended.

        Parameters
        ----------
        session_id
            From the cookie.
        active
            Whether the reader did something. A page that polls by itself must not keep a session open.
        """
        key, moment = _key(session_id), self._clock()
        session = self._kept.get(key)
        if session is None:
            return None
        ended = session.ended(moment)
        if ended is not None:
            self._end(key, self._event(session, "session.expire", key, because=ended.value), session.user)
            return None
        if active and moment - from_text(session.used_at) >= TOUCH:
            session = session.model_copy(update={"used_at": to_text(moment)})
            self._kept.touch(key, session)
        return session

    def close(self, session_id: str) -> None:
        """End a session, if there is one."""
        key = _key(session_id)
        session = self._kept.get(key)
        if session is not None:
            self._end(key, self._event(session, "session.close", key), session.user)

    def close_all(self, user: str, by: Actor) -> int:
        """End every session of a user, and return how many there were."""
        ended = 0
        for key in self._kept.keys_of(user):
            session = self._kept.get(key)
            if session is not None:
                event = AuditEvent(
                    subject=f"session#{user}",
                    action="session.revoke",
                    actor=by.name,
                    role=by.role.value,
                    at=to_text(self._clock()),
                    details={"session": key[:12]},
                )
                ended += self._end(key, event, user)
        return ended

    def refuse(self, user: str, because: str) -> None:
        """Record that somebody whom the identity provider knows was not let in."""
        at = to_text(self._clock())
        subject, details = f"session#{user}", {"because": because}
        self._trail.record(AuditEvent(subject, "session.refuse", user, "", at, details))

    def _end(self, key: str, event: AuditEvent, user: str) -> bool:
        try:
            self._trail.write_with(event, lambda entry: self._kept.close(key, user, entry))
        except ConditionFailedError:
            return False  # somebody else ended it meanwhile
        return True

    def _event(self, session: Session, action: str, key: str, **details: Detail) -> AuditEvent:
        return AuditEvent(
            subject=f"session#{session.user}",
            action=action,
            actor=session.user,
            role=session.role.value,
            at=to_text(self._clock()),
            details={"session": key[:12], **details},
        )


def _key(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()
