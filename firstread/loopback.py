"""What is this machine and only this machine, and an ASGI layer for what must not be reached from elsewhere."""

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

_NAMED = "localhost"
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"})
_REFUSAL = b"This answers to its own machine only.\n"

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Return whether a host name or address, without port, is this machine and only this machine."""
    if host.lower().rstrip(".") == _NAMED:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str) -> bool:
    """Return whether the host of a URL is this machine."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


class LoopbackOnly:
    """Refuses whatever does not come from this machine to this machine.

    The Host header is checked as well as the peer: a page elsewhere can point its own name at 127.0.0.1 (DNS
    rebinding). A proxy in front would make everybody look local, so its headers are refused too.

    Parameters
    ----------
    refusal
        Answers whoever is refused; a line of text by default.
    """

    def __init__(self, app: _App, refusal: _App | None = None) -> None:
        self._app = app
        self._refusal = refusal or _refused

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not _is_local(scope.get("client"), scope["headers"]):
            await self._refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _refused(_scope: _Scope, _receive: _Receive, send: _Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": _REFUSAL})


def _is_local(client: Sequence[object] | None, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    if client is None or not is_loopback(str(client[0])):
        return False
    listed = list(headers)
    if any(name in _FORWARDED for name, _ in listed):
        return False
    hosts = [value.decode("latin-1") for name, value in listed if name == b"host"]
    return len(hosts) == 1 and is_loopback_url(f"//{hosts[0]}")
