"""Signing in through the identity provider, and out."""

import logging
import secrets
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from firstread.loopback import is_loopback_url
from firstread.policy import Actor, Role
from portal.access import cookie_name, is_secure, session_of
from portal.errors import PortalError
from portal.identity.people import NoUserNameError, Refusal, SignInRefusedError
from portal.identity.provider import ProviderError
from portal.identity.sign_in import LIFETIME, AttemptError, StaleError
from portal.identity.tokens import TokenError
from portal.redirects import HOME, home_of, safe_next
from portal.services import Services, services_of, templates

RETURN_PATH = "/sign-in/return"
SIGNED_OUT_PATH = "/signed-out"

_logger = logging.getLogger(__name__)
_NO_PROVIDER = "No identity provider is configured."
_NOT_REACHED = "The identity provider does not answer. Try again in a moment."
_FAILED = "Signing in did not work. Try again."
_WORDS = {
    Refusal.NO_ROLE: "You are in no group that has a role here. Ask whoever looks after FirstRead.",
    Refusal.OTHER_ROLE: "You do not have this role.",
}
_NO_NAME = "The identity provider gives no user name that may stand in records."

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
def begin_sign_in(
    request: Request,
    next: Annotated[str, Query()] = HOME,
    role: Annotated[Role | None, Query()] = None,
    reauthenticate: Annotated[bool, Query()] = False,
) -> Response:
    """Lead to the identity provider."""
    services = services_of(request)
    target = safe_next(next)
    if services.gate is None:
        return _page(request, target, 503, _NO_PROVIDER, again=False)
    if _is_elsewhere(request, services):
        return RedirectResponse(f"{services.portal_url}/sign-in?{request.url.query}", status_code=303)
    session = session_of(request)
    if session and not reauthenticate and role in (None, session.role):
        return RedirectResponse(_from_home(session.actor, target), status_code=303)
    wanted = role or (session.role if session else None)
    # Kept while it is there: each of several windows finishes what it began.
    browser = request.cookies.get(_attempt_cookie(request)) or secrets.token_urlsafe(16)
    try:
        url = services.gate.start(browser, target, wanted, reauthenticate=reauthenticate)
    except ProviderError as error:
        _logger.error("no sign-in: %s", error)
        return _page(request, target, 503, _NOT_REACHED)
    response = RedirectResponse(url, status_code=303)
    _set_cookie(request, response, _attempt_cookie(request), browser, int(LIFETIME.total_seconds()))
    return response


@router.get(RETURN_PATH)
def finish_sign_in(
    request: Request,
    state: Annotated[str, Query(max_length=256)] = "",
    code: Annotated[str, Query(max_length=4096)] = "",
    iss: Annotated[str | None, Query(max_length=512)] = None,
) -> Response:
    """Come back from the identity provider, and open a session."""
    services = services_of(request)
    if services.gate is None:
        return _page(request, HOME, 503, _NO_PROVIDER, again=False)
    # RFC 9207: a provider that names itself in its answer must be ours.
    if not code or iss not in (None, services.gate.provider.registration.issuer):
        return _page(request, HOME, 400, _FAILED)
    try:
        arrival = services.gate.finish(request.cookies.get(_attempt_cookie(request), ""), state, code)
    except StaleError as error:
        query = {"reauthenticate": "1", "next": error.target}
        role = {"role": error.role.value} if error.role else {}
        return RedirectResponse("/sign-in?" + urlencode(query | role), status_code=303)
    except PortalError as error:
        return _refused(request, error)
    previous = request.cookies.get(cookie_name(request))
    if previous:
        services.sessions.close(previous)
    _logger.info("%s signed in as %s", arrival.actor.name, arrival.actor.role.value)
    response = RedirectResponse(_from_home(arrival.actor, safe_next(arrival.target)), status_code=303)
    _set_cookie(request, response, cookie_name(request), arrival.session_id)
    return response


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session, here and at the identity provider."""
    services = services_of(request)
    session_id = request.cookies.get(cookie_name(request))
    if session_id:
        services.sessions.close(session_id)
    url = services.gate.provider.sign_out_url() if services.gate else None
    # A page that leads on, and no redirect: form-action of the Content Security Policy holds for redirects too.
    response = templates.TemplateResponse(request, "signed_out.html", {"url": url})
    response.delete_cookie(
        cookie_name(request), path="/", secure=is_secure(request), httponly=True, samesite="lax"
    )
    return response


@router.get(SIGNED_OUT_PATH)
def show_signed_out(request: Request) -> Response:
    """Say that the session is over."""
    return templates.TemplateResponse(request, "signed_out.html", {"url": None})


def _refused(request: Request, error: PortalError) -> Response:
    """Say why somebody did not come in; nothing that the provider said is repeated."""
    match error:
        case SignInRefusedError():
            _logger.warning("%s was not let in: %s", error.user, error.refusal.value)
            return _page(request, HOME, 403, _WORDS[error.refusal])
        case NoUserNameError():
            _logger.error("somebody was not let in: %s", error)
            return _page(request, HOME, 403, _NO_NAME)
        case ProviderError():
            _logger.error("no sign-in: %s", error)
            return _page(request, HOME, 503, _NOT_REACHED)
        case TokenError():
            _logger.error("the identity provider's ID token is not accepted: %s", error.fault.value)
        case AttemptError():
            _logger.warning("a sign-in came back that was not begun here, or too late")
        case _:
            _logger.warning("a sign-in failed: %s", type(error).__name__)
    return _page(request, HOME, 400, _FAILED)


def _from_home(actor: Actor, target: str) -> str:
    return home_of(actor) if target == HOME else target


def _is_elsewhere(request: Request, services: Services) -> bool:
    """Return whether this machine was called by another of its names; cookies would not come back from there."""
    if not is_loopback_url(services.portal_url):
        return False
    return request.headers.get("host") != urlsplit(services.portal_url).netloc


def _attempt_cookie(request: Request) -> str:
    return "__Host-firstread-sign-in" if is_secure(request) else "firstread-sign-in"


def _set_cookie(
    request: Request, response: Response, name: str, value: str, seconds: int | None = None
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        httponly=True,
        # Not Strict: the way back from the identity provider and the link in a notice come from another site.
        samesite="lax",
        secure=is_secure(request),
        path="/",
    )


def _page(request: Request, target: str, status: int, problem: str, *, again: bool = True) -> Response:
    context = {"next": target, "problem": problem, "again": again}
    return templates.TemplateResponse(request, "sign_in.html", context, status_code=status)
