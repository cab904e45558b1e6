"""ASGI layers around every route: headers, cross-site requests, body size, loopback only."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal import ohif
from portal.local_users import is_loopback

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
MAX_BODY_BYTES = 512 * 1024
"""A review with drawn outlines is the largest thing that is written here."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class SecurityHeaders:
    """Adds the security headers to every answer.

    Cross-Origin-Opener-Policy stays off: it breaks the pop-ups of identity providers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                of_ohif = scope["path"].startswith(f"{ohif.PATH}/")
                policy = ohif.CONTENT_SECURITY_POLICY if of_ohif else CONTENT_SECURITY_POLICY
                headers["Content-Security-Policy"] = policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                # Static files are the program's and the same for everybody; all else is about patients.
                headers["Cache-Control"] = "no-cache" if of_ohif else _keeping(scope["path"])
            await send(message)

        await self._app(scope, receive, add)


def _keeping(path: str) -> str:
    if path.startswith("/static/app/assets/"):
        return "public, max-age=31536000, immutable"  # the name holds the hash of what is in the file
    return "no-cache" if path.startswith("/static/") else "no-store"


class SameOriginWrites:
    """Refuses writes that another site's page sends with our cookie, and bodies larger than a review.

    Sec-Fetch-Site where the browser sends it, else Origin against Host; one of the two must be there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
            headers = Headers(scope=scope)
            if not is_same_origin(headers):
                refusal = PlainTextResponse("This request came from another site.\n", status_code=403)
                await refusal(scope, receive, send)
                return
            length = headers.get("content-length", "0")
            if "transfer-encoding" in headers or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                refusal = PlainTextResponse("The request is too large.\n", status_code=413)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_same_origin(headers: Headers) -> bool:
    """Return whether a browser says that a request comes from our own page."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin", "")
    try:
        return bool(origin) and urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False


class LoopbackOnly:
    """Refuses whatever does not come from this machine to this machine, while local users may sign in.

    The Host header is checked as well as the peer: a page elsewhere can point its own name at 127.0.0.1 (DNS
    rebinding). A proxy in front would make everybody look local, so its headers are refused too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not _is_local(scope.get("client"), Headers(scope=scope)):
            refusal = PlainTextResponse("Local users may sign in from this machine only.\n", status_code=403)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_local(client: Sequence[object] | None, headers: Headers) -> bool:
    if client is None or not is_loopback(str(client[0])):
        return False
    if any(name in headers for name in _FORWARDED):
        return False
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)
