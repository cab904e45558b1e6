"""The provider's endpoints (OpenID Connect Core 1.0, Discovery 1.0, RP-Initiated Logout 1.0)."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote_plus, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstread.clock import now
from firstread.local.identity.clients import Client
from firstread.local.identity.provider import Known, LocalProvider, Request
from firstread.local.identity.state import IdentityState
from firstread.local.identity.throttle import SignInThrottle
from firstread.loopback import LoopbackOnly

COOKIE = "firstread-identity"
RETURN_PATH = "/sign-in/return"
SIGNED_OUT_PATH = "/signed-out"

_PAGE = Path(__file__).parent / "page"
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url
_LONGEST = 1024
_MAX_BODY = 8 * 1024
_WRONG = "Name and password do not match."


@dataclass
class _Endpoints:
    provider: LocalProvider
    throttle: SignInThrottle
    portal_url: str
    pages: Jinja2Templates

    async def discovery(self, _: HttpRequest) -> Response:
        root = self.provider.issuer
        return JSONResponse(
            {
                "issuer": root,
                "authorization_endpoint": f"{root}/authorize",
                "token_endpoint": f"{root}/token",
                "jwks_uri": f"{root}/jwks.json",
                "end_session_endpoint": f"{root}/end-session",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "grant_types_supported": ["authorization_code", "client_credentials"],
            }
        )

    async def keys(self, _: HttpRequest) -> Response:
        return JSONResponse({"keys": [self.provider.state.key.as_dict(private=False)]})

    async def authorize(self, request: HttpRequest) -> Response:
        asked = request.query_params
        known_client = asked.get("client_id") == self.provider.state.clients.portal.client_id
        if not known_client or asked.get("redirect_uri") != self.portal_url + RETURN_PATH:
            # Nothing is sent to an address that nobody registered.
            return PlainTextResponse("Unknown client or address.\n", status_code=400)
        if problem := _problem(request):
            return self._back(request, error=problem)
        if request.method == "POST":
            return await self._check(request)
        max_age = int(asked["max_age"]) if "max_age" in asked else None
        known = self.provider.known(request.cookies.get(COOKIE, ""), max_age)
        if known and asked.get("prompt") != "login":
            return self._with_code(request, known)
        if asked.get("prompt") == "none":
            return self._back(request, error="login_required")
        return self._form(request, 200)

    async def _check(self, request: HttpRequest) -> Response:
        if not _from_this_page(request, self.provider.issuer):
            return PlainTextResponse("This request came from another site.\n", status_code=403)
        if int(request.headers.get("content-length", _MAX_BODY + 1)) > _MAX_BODY:
            return PlainTextResponse("The request is too large.\n", status_code=413)
        async with request.form(max_files=0, max_fields=4) as form:
            name, password = (str(form.get(each, ""))[:128] for each in ("name", "password"))
        seconds = self.throttle.wait_seconds(name)
        if seconds:
            response = self._form(request, 429, f"Too many tries. Wait {seconds} seconds.")
            response.headers["Retry-After"] = str(seconds)
            return response
        user = self.provider.state.users.check(name, password)
        if user is None:
            self.throttle.failed(name)
            return self._form(request, 401, _WRONG)
        self.throttle.succeeded(name)
        self.provider.forget(request.cookies.get(COOKIE, ""))
        session_id, known = self.provider.remember(user)
        response = self._with_code(request, known)
        response.set_cookie(COOKIE, session_id, httponly=True, samesite="lax", path="/")
        return response

    def _with_code(self, request: HttpRequest, known: Known) -> Response:
        asked = request.query_params
        made = Request(
            asked["client_id"], asked["redirect_uri"], asked.get("nonce", ""), asked["code_challenge"]
        )
        return self._back(request, code=self.provider.code(made, known))

    def _back(self, request: HttpRequest, **answer: str) -> Response:
        asked = request.query_params
        query = urlencode({**answer, "state": asked.get("state", ""), "iss": self.provider.issuer})
        return RedirectResponse(f"{asked['redirect_uri']}?{query}", status_code=303)

    def _form(self, request: HttpRequest, status: int, problem: str = "") -> Response:
        return self.pages.TemplateResponse(request, "sign_in.html", {"problem": problem}, status_code=status)

    async def token(self, request: HttpRequest) -> Response:
        if int(request.headers.get("content-length", _MAX_BODY + 1)) > _MAX_BODY:
            return _refused("invalid_request", 413)
        async with request.form(max_files=0, max_fields=12) as form:
            said = {name: str(value) for name, value in form.items()}
        client = self._client(request, said)
        if client is None:
            return _refused("invalid_client", 401)
        clients = self.provider.state.clients
        match said.get("grant_type"), client:
            case "authorization_code", clients.portal:
                names = ("code", "redirect_uri", "code_verifier")
                tokens = self.provider.redeem(client, *(said.get(name, "") for name in names))
                return JSONResponse(tokens) if tokens else _refused("invalid_grant")
            case "client_credentials", clients.machine:
                return JSONResponse(self.provider.machine())
            case _:
                return _refused("unauthorized_client")

    def _client(self, request: HttpRequest, said: dict[str, str]) -> Client | None:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return self.provider.client(said.get("client_id", ""), said.get("client_secret", ""))
        try:
            client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return None
        return self.provider.client(unquote_plus(client_id), unquote_plus(secret))

    async def end_session(self, request: HttpRequest) -> Response:
        self.provider.forget(request.cookies.get(COOKIE, ""))
        target = self.portal_url + SIGNED_OUT_PATH
        if request.query_params.get("post_logout_redirect_uri") != target:
            return PlainTextResponse("You are signed out.\n")
        response = RedirectResponse(target, status_code=303)
        response.delete_cookie(COOKIE, path="/", httponly=True)
        return response

    async def style(self, _: HttpRequest) -> Response:
        return FileResponse(_PAGE / "style.css")

    async def health(self, _: HttpRequest) -> Response:
        return JSONResponse({"status": "ok"})


def _problem(request: HttpRequest) -> str | None:
    asked = request.query_params
    if any(len(value) > _LONGEST for value in asked.values()) or not asked.get("state"):
        return "invalid_request"
    if asked.get("response_type") != "code":
        return "unsupported_response_type"
    if "openid" not in asked.get("scope", "").split():
        return "invalid_scope"
    pkce = asked.get("code_challenge_method") == "S256" and _CHALLENGE.fullmatch(
        asked.get("code_challenge", "")
    )
    max_age = asked.get("max_age", "0")
    whole = max_age.isascii() and max_age.isdecimal() and len(max_age) < 10
    return None if pkce and whole else "invalid_request"


def _from_this_page(request: HttpRequest, issuer: str) -> bool:
    site = request.headers.get("sec-fetch-site")
    return site == "same-origin" if site else request.headers.get("origin") == issuer


def _refused(error: str, status: int = 400) -> Response:
    return JSONResponse({"error": error}, status_code=status)


class _Headers:
    """Adds the headers of a page that is about passwords; its form leads to the portal and nowhere else."""

    def __init__(self, app: ASGIApp, portal_url: str) -> None:
        self._app = app
        root = urlsplit(portal_url)
        policy = (
            "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {root.scheme}://{root.netloc}"
        )
        self._headers = {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._app(scope, receive, add)


def create_app(
    state: IdentityState, issuer: str, portal_url: str, clock: Callable[[], datetime] = now
) -> Starlette:
    """Make the provider.

    Parameters
    ----------
    state
        Users, clients and key.
    issuer
        Root of this provider.
    portal_url
        Root of the portal, the only place that anybody is sent back to.
    clock
        Says what time it is.
    """
    pages = Jinja2Templates(directory=_PAGE)
    here = _Endpoints(LocalProvider(state, issuer, clock), SignInThrottle(clock), portal_url, pages)
    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", here.discovery),
            Route("/jwks.json", here.keys),
            Route("/authorize", here.authorize, methods=["GET", "POST"]),
            Route("/token", here.token, methods=["POST"]),
            Route("/end-session", here.end_session),
            Route("/style.css", here.style),
            Route("/healthz", here.health),
        ],
        middleware=[Middleware(LoopbackOnly), Middleware(_Headers, portal_url=portal_url)],
    )
