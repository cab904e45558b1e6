"""Who may ask: whoever has opened the address with the token, and nobody else on this machine."""

import hashlib
import hmac

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = "/open/"
_REFUSAL = "Open the address that `firstread view` has printed; it is another one each time.\n"
_SITES = frozenset({"same-origin", "none"})


class TokenOnly:
    """Lets pass who has opened ``/open/TOKEN``, which becomes a cookie; files of the program are for everybody.

    Other programs and other users of this machine reach its loopback ports too, and pages of other sites reach them
    through the browser. The cookie's name is of this run, as ports of one host share cookies.

    Parameters
    ----------
    token
        Of this run; not to be guessed.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token
        self._cookie = f"firstread-view-{hashlib.sha256(token.encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path.startswith(OPEN):
            answer = self._opened() if self._is_token(path.removeprefix(OPEN)) else self._refused()
            await answer(scope, receive, send)
        elif path.startswith("/static/") or self._has_cookie(Headers(scope=scope)):
            await self._app(scope, receive, send)
        else:
            await self._refused()(scope, receive, send)

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token.encode())

    def _has_cookie(self, headers: Headers) -> bool:
        # A page of another program on this machine is of the same site, and brings the cookie along.
        is_visit = headers.get("sec-fetch-mode") == "navigate"
        if not is_visit and headers.get("sec-fetch-site", "none") not in _SITES:
            return False
        # Other programs on this host may have set cookies that are none.
        return self._is_token(cookie_parser(headers.get("cookie", "")).get(self._cookie, ""))

    def _opened(self) -> Response:
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="lax")
        return answer

    @staticmethod
    def _refused() -> Response:
        return PlainTextResponse(_REFUSAL, status_code=403)
