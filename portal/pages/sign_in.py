"""Signing in and out."""

import logging
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from portal.access import actor_of, cookie_name
from portal.redirects import HOME, home_of, safe_next
from portal.services import services_of, templates

_logger = logging.getLogger(__name__)
_NO_PROVIDER = "No identity provider is configured."
_WRONG = "Name and password do not match."

router = APIRouter()


@router.get("/sign-in")
def show_sign_in(request: Request, next: Annotated[str, Query()] = HOME) -> Response:
    """Show the form."""
    if actor_of(request) is not None:
        return RedirectResponse(safe_next(next), status_code=303)
    if services_of(request).users is None:
        return _page(request, next, 503, _NO_PROVIDER)
    return _page(request, next, 200)


@router.post("/sign-in")
def sign_in(
    request: Request,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=128)],
    next: Annotated[str, Form()] = HOME,
) -> Response:
    """Open a session."""
    services = services_of(request)
    if services.users is None:
        return _page(request, next, 503, _NO_PROVIDER)
    seconds = services.throttle.wait_seconds(name)
    if seconds:
        response = _page(request, next, 429, f"Too many tries. Wait {seconds} seconds.")
        response.headers["Retry-After"] = str(seconds)
        return response
    actor = services.users.check(name, password)
    if actor is None:
        services.throttle.failed(name)
        # Without the name: people type passwords into the wrong field.
        _logger.warning("a sign-in failed")
        return _page(request, next, 401, _WRONG)
    services.throttle.succeeded(name)
    previous = request.cookies.get(cookie_name(request))
    if previous:
        services.sessions.close(previous)
    _logger.info("%s signed in as %s", actor.name, actor.role.value)
    target = safe_next(next)
    response = RedirectResponse(home_of(actor) if target == HOME else target, status_code=303)
    response.set_cookie(
        cookie_name(request),
        services.sessions.open(actor),
        httponly=True,
        # Not Strict: the link in an alert's notice must find the session.
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )
    return response


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session."""
    session_id = request.cookies.get(cookie_name(request))
    if session_id:
        services_of(request).sessions.close(session_id)
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(
        cookie_name(request), path="/", secure=request.url.scheme == "https", httponly=True
    )
    return response


def _page(request: Request, target: str, status: int, problem: str = "") -> Response:
    context = {"next": safe_next(target), "problem": problem, "is_open": status != 503}
    return templates.TemplateResponse(request, "sign_in.html", context, status_code=status)
