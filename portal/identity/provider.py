"""The identity provider, as far as the portal talks to it: discovery, keys, codes for tokens."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from firstread.loopback import is_loopback_url
from portal.errors import PortalError

_logger = logging.getLogger(__name__)
_WELL_KNOWN = "/.well-known/openid-configuration"
_KEPT = timedelta(hours=1)
_PAUSE = timedelta(seconds=60)
_TIMEOUT = httpx.Timeout(10, connect=5)
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderError(PortalError):
    """The identity provider does not answer, or not as it must."""

    status = 503
    title = "The identity provider cannot be reached"


class CodeRefusedError(PortalError):
    """The identity provider does not take the code."""

    status = 400
    title = "Signing in did not work"


@dataclass(frozen=True)
class Registration:
    """What the provider knows of the portal.

    Parameters
    ----------
    issuer
        Root of the provider, exactly as its tokens name it.
    redirect_uri
        Where it sends people back to.
    signed_out_uri
        Where it sends people who signed out.
    """

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    signed_out_uri: str


class Provider:
    """One OpenID Connect provider.

    Parameters
    ----------
    registration
        What it knows of us.
    clock
        Says what time it is.
    transport
        Carries the requests, for tests; else the network.
    """

    def __init__(
        self,
        registration: Registration,
        clock: Callable[[], datetime],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.registration = registration
        self._clock = clock
        self._transport = transport
        # A proxy of the environment is for what is elsewhere.
        self._trust_env = not is_loopback_url(registration.issuer)
        self._lock = Lock()
        self._metadata: tuple[datetime, Mapping[str, str]] | None = None
        self._keys: dict[str, RSAKey] = {}
        self._keys_at: datetime | None = None
        self._tried_at: datetime | None = None

    def sign_in_url(
        self, *, state: str, nonce: str, verifier: str, max_age: timedelta, reauthenticate: bool
    ) -> str:
        """Return where to send somebody who signs in.

        Raises
        ------
        ProviderError
            If the provider cannot be reached.
        """
        wish = {"prompt": "login"} if reauthenticate else {}
        url = prepare_grant_uri(
            self._endpoints()["authorization_endpoint"],
            self.registration.client_id,
            "code",
            self.registration.redirect_uri,
            "openid",
            state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            max_age=str(0 if reauthenticate else int(max_age.total_seconds())),
            **wish,
        )
        return str(url)

    def redeem(self, code: str, verifier: str) -> str:
        """Return the ID token for a code; what else the provider gives is dropped.

        Raises
        ------
        CodeRefusedError
            If the provider does not take the code.
        ProviderError
            If it cannot be reached.
        """
        known = self.registration
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": known.redirect_uri,
            "code_verifier": verifier,
        }
        # Encoded first (RFC 6749, section 2.3.1).
        who = (quote_plus(known.client_id), quote_plus(known.client_secret))
        said = self._ask("POST", self._endpoints()["token_endpoint"], data=form, auth=who)
        if "error" in said:
            # Without the provider's text, which could quote the code.
            raise CodeRefusedError("the identity provider does not take the code")
        identity = said.get("id_token")
        if not isinstance(identity, str):
            raise ProviderError("the identity provider gave no ID token")
        return identity

    def sign_out_url(self) -> str | None:
        """Return where somebody ends their session at the provider, if it says so (RP-Initiated Logout 1.0)."""
        try:
            endpoint = self._endpoints().get("end_session_endpoint")
        except ProviderError:
            return None
        if not endpoint:
            return None
        query = {
            "client_id": self.registration.client_id,
            "post_logout_redirect_uri": self.registration.signed_out_uri,
            "logout_uri": self.registration.signed_out_uri,  # the name that Amazon Cognito has for it
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def find(self, kid: str) -> RSAKey | None:
        """Return a key of the provider.

        Keys are asked for when one is not known, at most once a minute, so that made-up key ids are no way to make
        the portal ask without end; and each hour, so that a key that was withdrawn is forgotten.

        Raises
        ------
        ProviderError
            If the keys are needed and cannot be had.
        """
        moment = self._clock()
        with self._lock:
            old = self._keys_at is None or moment - self._keys_at >= _KEPT
            may_ask = self._tried_at is None or moment - self._tried_at >= _PAUSE
            if (old or kid not in self._keys) and may_ask:
                self._tried_at = moment
                self._keys, self._keys_at = self._fetched_keys(), moment
            elif old:
                raise ProviderError("the keys of the identity provider cannot be had")
            return self._keys.get(kid)

    def _fetched_keys(self) -> dict[str, RSAKey]:
        listed = self._ask("GET", self._endpoints()["jwks_uri"]).get("keys")
        found: dict[str, RSAKey] = {}
        for each in listed if isinstance(listed, list) else []:
            if not isinstance(each, dict) or each.get("kty") != "RSA" or each.get("use", "sig") != "sig":
                continue
            try:
                key = RSAKey.import_key(each)
            except (JoseError, ValueError):
                continue
            if key.kid and not key.is_private:
                found[key.kid] = key
        _logger.info("%d keys of the identity provider", len(found))
        return found

    def _endpoints(self) -> Mapping[str, str]:
        moment = self._clock()
        if self._metadata is None or moment - self._metadata[0] >= _KEPT:
            issuer = self.registration.issuer
            said = self._ask("GET", issuer.rstrip("/") + _WELL_KNOWN)
            if said.get("issuer") != issuer:
                raise ProviderError("the identity provider has another name for itself")
            found = {
                name: value
                for name in (*_ENDPOINTS, "end_session_endpoint")
                if isinstance(value := said.get(name), str) and _is_safe(value, issuer)
            }
            if not set(_ENDPOINTS) <= set(found):
                raise ProviderError("the identity provider does not say where to go")
            self._metadata = (moment, found)
        return self._metadata[1]

    def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - of httpx
        try:
            with httpx.Client(
                timeout=_TIMEOUT, transport=self._transport, trust_env=self._trust_env
            ) as client:
                answer = client.request(method, url, **more)
            # Errors of the token endpoint are told in an answer of 400 or 401 (RFC 6749, section 5.2).
            said = answer.json() if answer.status_code in (200, 400, 401) else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            said = None
        if not isinstance(said, dict):
            raise ProviderError("the identity provider does not answer as it must")
        return said


def _is_safe(url: str, issuer: str) -> bool:
    """Return whether an endpoint is reached over TLS, or on this machine like its issuer."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return False
    return scheme == "https" or (is_loopback_url(issuer) and is_loopback_url(url))
