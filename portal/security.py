"""ASGI layers around every route: headers, cross-site requests, body size."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
MAX_BODY_BYTES = 64 * 1024
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HSTS = "max-age=31536000"


class SecurityHeaders:
    """Adds the security headers to every answer.

    Cross-Origin-Opener-Policy stays off: it breaks the pop-ups of identity providers.

    Parameters
    ----------
    secure
        Whether browsers reach the portal over https, and are to keep to it.
    """

    def __init__(self, app: ASGIApp, *, secure: bool = False) -> None:
        self._app = app
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                if self._secure:
                    headers["Strict-Transport-Security"] = _HSTS
                # Static files are the program's and the same for everybody; all else is about patients.
                static = scope["path"].startswith("/static/")
                headers["Cache-Control"] = "no-cache" if static else "no-store"
            await send(message)

        await self._app(scope, receive, add)


class SameOriginWrites:
    """Refuses writes that another site's page sends with our cookie, and bodies larger than a form.

    Sec-Fetch-Site where the browser sends it, else Origin against Host; one of the two must be there. A request with
    a bearer token is no browser's, and its cookies are not read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
            headers = Headers(scope=scope)
            by_token = takes_tokens(scope["path"]) and bearer_of(headers) is not None
            if not by_token and not is_same_origin(headers):
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


def takes_tokens(path: str) -> bool:
    """Return whether programs may ask here, with a bearer token."""
    return path.startswith(("/api/", "/dicomweb/")) or path == "/dicomweb"


def bearer_of(headers: Headers) -> str | None:
    """Return the bearer token of a request (RFC 6750, section 2.1), or None.

    A token in the query or a form is never looked for: it would be in logs and histories.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
