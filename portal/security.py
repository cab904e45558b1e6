"""ASGI layers around every route: headers, cross-site requests, body size."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal import ohif
from portal.problems import problem

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
MAX_BODY_BYTES = 512 * 1024
"""A review with drawn outlines is the largest thing that is written here."""
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
                of_ohif = scope["path"].startswith(f"{ohif.PATH}/")
                policy = ohif.CONTENT_SECURITY_POLICY if of_ohif else CONTENT_SECURITY_POLICY
                headers["Content-Security-Policy"] = policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                if self._secure:
                    headers["Strict-Transport-Security"] = _HSTS
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
                refusal = problem(403, "Not from another site", "This request came from another site.")
                await refusal(scope, receive, send)
                return
            length = headers.get("content-length", "0")
            if "transfer-encoding" in headers or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                refusal = problem(413, "Too large", "The request is too large.")
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


def is_for_programs(path: str) -> bool:
    """Return whether a program or an image element asks here, and not a person for a page."""
    return takes_tokens(path) or path.endswith(".png")


def bearer_of(headers: Headers) -> str | None:
    """Return the bearer token of a request (RFC 6750, section 2.1), or None.

    A token in the query or a form is never looked for: it would be in logs and histories.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
