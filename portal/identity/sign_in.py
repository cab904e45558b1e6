"""The way of somebody who signs in: out to the identity provider, and back."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from firstread.clock import from_text, to_text
from firstread.policy import Actor, Role
from firstread.records.sessions import AttemptRepository
from firstread.session import IDLE, Attempt
from portal.errors import PortalError
from portal.identity.people import Naming, SignInRefusedError
from portal.identity.provider import Provider
from portal.identity.tokens import Expected, Fault, TokenError, check_access, check_identity, verified
from portal.sessions import Sessions

_logger = logging.getLogger(__name__)
LIFETIME = timedelta(minutes=10)
"""How long somebody may take at the identity provider."""
MAX_AGE = IDLE
"""An authentication older than this is asked for again, or an idle session would open again by itself."""


class AttemptError(PortalError):
    """An answer of the provider to a question that this browser did not ask, or asked too long ago."""

    status = 400
    title = "Signing in did not work"


class StaleError(PortalError):
    """The provider remembered somebody for longer than is accepted; they must be asked for credentials."""

    def __init__(self, target: str, role: Role | None) -> None:
        super().__init__("authenticated too long ago")
        self.target = target
        self.role = role


@dataclass(frozen=True)
class Arrival:
    """Somebody who has signed in.

    Parameters
    ----------
    session_id
        For the cookie.
    actor
        Who.
    target
        Path to go to.
    """

    session_id: str
    actor: Actor
    target: str


@dataclass(frozen=True)
class Gate:
    """Where people and machines show who they are.

    Parameters
    ----------
    machines
        Client id -> role of programs that bring access tokens.
    """

    provider: Provider
    naming: Naming
    machines: dict[str, Role]
    attempts: AttemptRepository
    sessions: Sessions
    clock: Callable[[], datetime]

    def start(self, browser: str, target: str, role: Role | None, *, reauthenticate: bool) -> str:
        """Begin a sign-in and return where to send the browser.

        Parameters
        ----------
        browser
            The secret of the browser's short-lived cookie; only it can finish the attempt.
        target
            Path to go to afterwards.
        role
            Role that is asked for.
        reauthenticate
            Whether credentials are to be asked for in any case.
        """
        moment = self.clock()
        state, nonce, verifier = (secrets.token_urlsafe(size) for size in (24, 24, 48))
        url = self.provider.sign_in_url(
            state=state, nonce=nonce, verifier=verifier, max_age=MAX_AGE, reauthenticate=reauthenticate
        )
        attempt = Attempt(
            nonce=nonce,
            verifier=verifier,
            target=target,
            role=role,
            reauthenticate=reauthenticate,
            started_at=to_text(moment),
        )
        self.attempts.put(_key(browser, state), attempt, moment + LIFETIME)
        return url

    def finish(self, browser: str, state: str, code: str) -> Arrival:
        """Redeem a code, believe or refuse what the provider says, and open a session.

        Raises
        ------
        AttemptError
            If this browser did not begin the sign-in, or it was finished or is too old.
        StaleError
            If the provider must ask for credentials first.
        TokenError, NoUserNameError, SignInRefusedError, CodeRefusedError, ProviderError
            If the person does not come in; a refusal of a known person is in the audit trail.
        """
        attempt = self.attempts.take(_key(browser, state)) if browser and state else None
        moment = self.clock()
        if attempt is None or moment - from_text(attempt.started_at) >= LIFETIME:
            raise AttemptError("this sign-in was not begun here, or too long ago")
        claims = verified(self.provider.redeem(code, attempt.verifier), self.provider)
        known = self.provider.registration
        max_age = self._max_age(attempt, moment)
        try:
            seen = check_identity(
                claims, Expected(known.issuer, known.client_id, attempt.nonce, max_age), moment
            )
        except TokenError as error:
            if error.fault is Fault.STALE and not attempt.reauthenticate:
                raise StaleError(attempt.target, attempt.role) from None
            raise
        person = self.naming.person(claims)
        try:
            role = person.role(attempt.role)
        except SignInRefusedError as error:
            self.sessions.refuse(person.user, error.refusal.value)
            raise
        session_id = self.sessions.open(person.user, role, person.roles, seen)
        return Arrival(session_id, Actor(person.user, role), attempt.target)

    def machine(self, token: str) -> Actor:
        """Return the program whose access token this is.

        Raises
        ------
        TokenError
            If it is not accepted.
        ProviderError
            If the keys of the provider cannot be had.
        """
        issuer = self.provider.registration.issuer
        client_id = check_access(verified(token, self.provider), issuer, self.machines, self.clock())
        return Actor(client_id, self.machines[client_id])

    def _max_age(self, attempt: Attempt, moment: datetime) -> timedelta:
        """Return how old the authentication may be; asked for again, it must have come after the question."""
        return moment - from_text(attempt.started_at) if attempt.reauthenticate else MAX_AGE


def _key(browser: str, state: str) -> str:
    return hmac.new(browser.encode(), state.encode(), hashlib.sha256).hexdigest()
