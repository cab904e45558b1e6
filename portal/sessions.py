"""Who is signed in: sessions on the server, an opaque id in the cookie."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock

from firstread.clock import now
from firstread.policy import Actor

IDLE = timedelta(minutes=15)
ABSOLUTE = timedelta(hours=8)
_ID_BYTES = 16  # 128 random bits


@dataclass(frozen=True)
class Session:
    """One signed-in reader.

    Parameters
    ----------
    actor
        Who.
    opened_at
        When they signed in; the session ends eight hours later whatever they do.
    used_at
        When they last did something; the session ends a quarter of an hour later.
    """

    actor: Actor
    opened_at: datetime
    used_at: datetime


class Sessions:
    """The open sessions of this process.

    Parameters
    ----------
    clock
        Says what time it is.
    """

    def __init__(self, clock: Callable[[], datetime] = now) -> None:
        self._clock = clock
        self._lock = Lock()
        # By digest of the id: a dump of this process's memory structures is no list of valid cookies.
        self._open: dict[bytes, Session] = {}

    def open(self, actor: Actor) -> str:
        """Open a session and return its id; always a new one, so that nobody can plant an id beforehand."""
        moment = self._clock()
        session_id = secrets.token_urlsafe(_ID_BYTES)
        with self._lock:
            self._open = {key: kept for key, kept in self._open.items() if _alive(kept, moment)}
            self._open[_key(session_id)] = Session(actor, moment, moment)
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
        moment, key = self._clock(), _key(session_id)
        with self._lock:
            session = self._open.get(key)
            if session is None:
                return None
            if not _alive(session, moment):
                del self._open[key]
                return None
            if active:
                session = self._open[key] = replace(session, used_at=moment)
            return session

    def close(self, session_id: str) -> None:
        """End a session, if there is one."""
        with self._lock:
            self._open.pop(_key(session_id), None)


def _key(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()


def _alive(session: Session, moment: datetime) -> bool:
    return moment - session.used_at < IDLE and moment - session.opened_at < ABSOLUTE
