"""The session of who asks, and the end of somebody else's."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel

from firstread.policy import Action, Role
from portal.access import Access, require, session_of
from portal.errors import NotSignedInError
from portal.services import services_of

router = APIRouter(tags=["session"])


class SessionView(BaseModel):
    """Who is signed in, and for how long.

    Parameters
    ----------
    seconds_left
        Until the session ends if nothing more is done.
    fresh_until
        Until when what asks for recent credentials may be done without showing them again.
    """

    user: str
    role: Role
    roles: tuple[Role, ...]
    seconds_left: int
    fresh_until: datetime


class Ended(BaseModel):
    """How many sessions were ended."""

    ended: int


@router.get("/api/session")
def get_session(request: Request) -> SessionView:
    """Return the session of the cookie."""
    session = session_of(request)
    if session is None:
        raise NotSignedInError("nobody is signed in")
    services = services_of(request)
    return SessionView(
        user=session.user,
        role=session.role,
        roles=session.roles,
        seconds_left=max(0, int((session.ends_at() - services.clock()).total_seconds())),
        fresh_until=session.fresh_until(services.fresh),
    )


@router.post("/api/users/{user}/sessions/end")
def end_sessions(
    access: Annotated[Access, Depends(require(Action.SESSION_END))],
    user: Annotated[str, Path(max_length=128)],
) -> Ended:
    """End every session of a user, at once and on every task."""
    return Ended(ended=access.services.sessions.close_all(user, access.actor))
