"""What a token must say before it is believed; pure, but for the keys.

ID tokens: OpenID Connect Core 1.0, section 3.1.3.7. Access tokens: as Amazon Cognito makes them, which carry no
audience, but their client and their use.
"""

import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from portal.errors import PortalError

ALGORITHM = "RS256"
LEEWAY = timedelta(seconds=60)
"""How far the clocks of provider and portal may differ."""
_LONGEST = 16 * 1024

Claims = Mapping[str, Any]


class Fault(StrEnum):
    """Why a token is not accepted."""

    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    KEY = "unknown_key"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET = "not_yet_valid"
    NONCE = "nonce"
    USE = "use"
    CLIENT = "client"
    STALE = "authenticated_too_long_ago"


class TokenError(PortalError):
    """A token that is not accepted; the text holds nothing of it."""

    status = 401
    title = "The token is not accepted"

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Keys(Protocol):
    """The provider's public keys."""

    def find(self, kid: str) -> RSAKey | None:
        """Return the key with an id, or None."""


@dataclass(frozen=True)
class Expected:
    """What an ID token is compared with.

    Parameters
    ----------
    issuer, client_id, nonce
        Exactly these.
    max_age
        How long ago the provider may have seen credentials.
    """

    issuer: str
    client_id: str
    nonce: str
    max_age: timedelta


def verified(token: str, keys: Keys) -> Claims:
    """Return the claims of a token whose signature is the provider's.

    Raises
    ------
    TokenError
        If it is no JWT, not signed with RS256, or by none of the keys.
    """
    if len(token) > _LONGEST or not token.isascii():
        raise TokenError(Fault.MALFORMED)
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError):
        raise TokenError(Fault.MALFORMED) from None
    if header.get("alg") != ALGORITHM:
        raise TokenError(Fault.ALGORITHM)
    kid = header.get("kid")
    key = keys.find(kid) if isinstance(kid, str) else None
    if key is None:
        raise TokenError(Fault.KEY)
    try:
        signed = jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
        claims = json.loads(signed.payload)
    except JoseError:
        raise TokenError(Fault.SIGNATURE) from None
    except ValueError:
        raise TokenError(Fault.MALFORMED) from None
    if not isinstance(claims, dict):
        raise TokenError(Fault.MALFORMED)
    return claims


def check_identity(claims: Claims, expected: Expected, moment: datetime) -> datetime:
    """Check the claims of an ID token, and return when the person's credentials were seen.

    Raises
    ------
    TokenError
        If a claim is not as it must be.
    """
    _check_common(claims, expected.issuer, moment)
    if claims.get("token_use", "id") != "id":
        raise TokenError(Fault.USE)
    audiences = claims.get("aud")
    listed = audiences if isinstance(audiences, list) else [audiences]
    if expected.client_id not in listed or claims.get("azp", expected.client_id) != expected.client_id:
        raise TokenError(Fault.AUDIENCE)
    if len(listed) > 1 and "azp" not in claims:
        raise TokenError(Fault.AUDIENCE)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise TokenError(Fault.NONCE)
    seen = _time(claims, "auth_time")
    if seen is None or seen > moment + LEEWAY:
        raise TokenError(Fault.MALFORMED)
    if moment - seen > expected.max_age + LEEWAY:
        raise TokenError(Fault.STALE)
    return min(seen, moment)


def check_access(claims: Claims, issuer: str, clients: Collection[str], moment: datetime) -> str:
    """Check the claims of an access token, and return the client it was made for.

    Raises
    ------
    TokenError
        If a claim is not as it must be, or the client is not one of `clients`.
    """
    _check_common(claims, issuer, moment)
    if claims.get("token_use") != "access":
        raise TokenError(Fault.USE)
    client_id = claims.get("client_id")
    if not isinstance(client_id, str) or client_id not in clients:
        raise TokenError(Fault.CLIENT)
    return client_id


def _check_common(claims: Claims, issuer: str, moment: datetime) -> None:
    if claims.get("iss") != issuer:
        raise TokenError(Fault.ISSUER)
    expires = _time(claims, "exp")
    if expires is None or moment >= expires + LEEWAY:
        raise TokenError(Fault.EXPIRED)
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if begins is not None and begins > moment + LEEWAY:
            raise TokenError(Fault.NOT_YET)


def _time(claims: Claims, name: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError(Fault.MALFORMED)
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        raise TokenError(Fault.MALFORMED) from None
