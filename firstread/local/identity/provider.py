"""Who signed in here, which codes were handed out, and the tokens they are redeemed for."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from joserfc import jwt

from firstread.local.identity.clients import Client
from firstread.local.identity.state import IdentityState
from firstread.local.identity.users import LocalUser
from firstread.policy import group_of

CODE_LIFETIME = timedelta(seconds=60)
TOKEN_LIFETIME = timedelta(hours=1)
REMEMBERED = timedelta(hours=8)


@dataclass(frozen=True)
class Known:
    """Somebody who signed in at this provider.

    Parameters
    ----------
    user
        Who.
    at
        When their password was checked.
    """

    user: LocalUser
    at: datetime


@dataclass(frozen=True)
class Request:
    """What a client asks for (RFC 6749, section 4.1.1; RFC 7636, section 4.3).

    Parameters
    ----------
    challenge
        PKCE code challenge, made with S256.
    """

    client_id: str
    redirect_uri: str
    nonce: str
    challenge: str


class LocalProvider:
    """The state of one process: sessions and codes live in its memory, and end with it.

    Parameters
    ----------
    state
        Users, clients and key.
    issuer
        Root of this provider.
    clock
        Says what time it is.
    """

    def __init__(self, state: IdentityState, issuer: str, clock: Callable[[], datetime]) -> None:
        self.state = state
        self.issuer = issuer
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._codes: dict[str, tuple[Request, Known, datetime]] = {}

    def remember(self, user: LocalUser) -> tuple[str, Known]:
        """Begin a session at the provider; returns its id."""
        moment = self._clock()
        self._known = {key: each for key, each in self._known.items() if moment - each.at < REMEMBERED}
        session_id, known = secrets.token_urlsafe(16), Known(user, moment)
        self._known[session_id] = known
        return session_id, known

    def known(self, session_id: str, max_age: int | None = None) -> Known | None:
        """Return who signed in, unless that is longer ago than a client accepts."""
        found = self._known.get(session_id)
        longest = REMEMBERED if max_age is None else min(REMEMBERED, timedelta(seconds=max_age))
        return found if found and self._clock() - found.at < longest else None

    def forget(self, session_id: str) -> None:
        """End a session at the provider."""
        self._known.pop(session_id, None)

    def code(self, request: Request, known: Known) -> str:
        """Hand out a code for one redemption within a minute."""
        moment = self._clock()
        self._codes = {key: each for key, each in self._codes.items() if each[2] > moment}
        code = secrets.token_urlsafe(24)
        self._codes[code] = (request, known, moment + CODE_LIFETIME)
        return code

    def redeem(self, client: Client, code: str, redirect_uri: str, verifier: str) -> dict[str, object] | None:
        """Return tokens for a code, or None where it is not good for this client."""
        request, known, until = self._codes.pop(code, (None, None, self._clock()))
        if request is None or known is None or until <= self._clock():
            return None
        asked = (request.client_id, request.redirect_uri, request.challenge)
        if asked != (client.client_id, redirect_uri, challenge_of(verifier)):
            return None
        name, group = known.user.name, group_of(known.user.role)
        identity = {
            "sub": name,
            "aud": client.client_id,
            "token_use": "id",
            "nonce": request.nonce,
            "auth_time": int(known.at.timestamp()),
            "cognito:username": name,
            "cognito:groups": [group],
        }
        access = {"sub": name, "token_use": "access", "client_id": client.client_id, "scope": "openid"}
        return self._answer(access) | {"id_token": self._signed(identity)}

    def machine(self) -> dict[str, object]:
        """Return an access token for the machine (RFC 6749, section 4.4)."""
        client_id = self.state.clients.machine.client_id
        claims = {"sub": client_id, "token_use": "access", "client_id": client_id, "scope": "firstread/read"}
        return self._answer(claims)

    def client(self, client_id: str, secret: str) -> Client | None:
        """Return the client with this id and secret, or None."""
        for client in (self.state.clients.portal, self.state.clients.machine):
            same = hmac.compare_digest(client.client_secret.encode(), secret.encode())
            if same and client.client_id == client_id:
                return client
        return None

    def _answer(self, access: Mapping[str, object]) -> dict[str, object]:
        seconds = int(TOKEN_LIFETIME.total_seconds())
        return {"access_token": self._signed(access), "token_type": "Bearer", "expires_in": seconds}

    def _signed(self, claims: Mapping[str, object]) -> str:
        moment = self._clock()
        times = {"iat": int(moment.timestamp()), "exp": int((moment + TOKEN_LIFETIME).timestamp())}
        header = {"alg": "RS256", "kid": self.state.key.kid}
        return jwt.encode(header, {"iss": self.issuer, **times, **claims}, self.state.key)


def challenge_of(verifier: str) -> str:
    """Return the S256 code challenge of a verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
