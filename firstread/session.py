"""A reader who is signed in, and somebody who is about to be."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from firstread.clock import from_text
from firstread.policy import Actor, Role

IDLE = timedelta(minutes=15)
ABSOLUTE = timedelta(hours=8)


class Ending(StrEnum):
    """Why a session ended by itself."""

    IDLE = "idle"
    ABSOLUTE = "absolute"


class Session(BaseModel):
    """One signed-in reader.

    Parameters
    ----------
    user
        User name; stays the same for the same person.
    role
        The one role of this session.
    roles
        All roles that this person may take.
    authenticated_at
        When the identity provider last saw the person's credentials.
    opened_at
        When the session began; it ends eight hours later whatever they do.
    used_at
        When they last did something; the session ends a quarter of an hour later.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    role: Role
    roles: tuple[Role, ...]
    authenticated_at: str
    opened_at: str
    used_at: str

    @property
    def actor(self) -> Actor:
        """Return who acts in this session."""
        return Actor(self.user, self.role)

    def ends_at(self) -> datetime:
        """Return when the session ends if nothing more is done."""
        return min(from_text(self.used_at) + IDLE, from_text(self.opened_at) + ABSOLUTE)

    def ended(self, moment: datetime) -> Ending | None:
        """Return why the session is over, or None while it is not."""
        if moment - from_text(self.opened_at) >= ABSOLUTE:
            return Ending.ABSOLUTE
        return Ending.IDLE if moment - from_text(self.used_at) >= IDLE else None

    def is_fresh(self, moment: datetime, within: timedelta) -> bool:
        """Return whether the person's credentials were seen within a time."""
        return moment <= self.fresh_until(within)

    def fresh_until(self, within: timedelta) -> datetime:
        """Return until when `is_fresh`."""
        return from_text(self.authenticated_at) + within


class Attempt(BaseModel):
    """A sign-in on its way through the identity provider.

    Parameters
    ----------
    nonce
        What the ID token must carry (OpenID Connect Core 1.0, section 3.1.2.1).
    verifier
        PKCE code verifier (RFC 7636, section 4.1).
    target
        Path to go to afterwards.
    role
        Role that is asked for, where the person may take several.
    reauthenticate
        Whether the provider was told to ask for credentials whatever it remembers.
    started_at
        When it began.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nonce: str
    verifier: str
    target: str
    role: Role | None
    reauthenticate: bool
    started_at: str
