"""Answers when something is wrong: a page for people, problem+json for programs (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from pynamodb.exceptions import PynamoDBException
from starlette.exceptions import HTTPException

from firstread.dicomweb.errors import CannotRenderError
from firstread.errors import NotFoundError, TransientError
from portal.errors import MissingError, NotSignedInError, PortalError, ReauthenticationRequiredError
from portal.identity.tokens import TokenError
from portal.problems import problem
from portal.security import is_for_programs
from portal.services import templates

REAUTHENTICATION_REQUIRED = "reauthentication-required"


def install(app: FastAPI) -> None:
    """Install the handlers of errors."""
    app.add_exception_handler(PortalError, _portal_error)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(CannotRenderError, _cannot_render)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind in (BotoCoreError, ClientError, PynamoDBException, TransientError):
        app.add_exception_handler(kind, _unreachable)


def answer(
    request: Request,
    status: int,
    title: str,
    detail: str = "",
    members: Mapping[str, object] | None = None,
    kind: str = "about:blank",
) -> Response:
    """Return an error as a page or as problem+json, by who asked.

    Parameters
    ----------
    members
        Further members of the problem.
    kind
        What a program tells problems apart by (RFC 9457, 3.1.1).
    """
    if not is_for_programs(request.url.path):
        context = {"title": title, "detail": detail, "status": status}
        return templates.TemplateResponse(request, "error.html", context, status_code=status)
    return problem(status, title, detail, members, kind)


def _portal_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, PortalError):
        raise error
    if isinstance(error, NotSignedInError) and not is_for_programs(request.url.path):
        target = request.url.path if request.method == "GET" else "/"
        return RedirectResponse("/sign-in?" + urlencode({"next": target}), status_code=303)
    if isinstance(error, ReauthenticationRequiredError):
        if not is_for_programs(request.url.path):
            return RedirectResponse(error.sign_in, status_code=303)
        more = {"sign_in": error.sign_in}
        return answer(request, error.status, error.title, str(error), more, REAUTHENTICATION_REQUIRED)
    response = answer(request, error.status, error.title, str(error), error.members)
    if isinstance(error, TokenError):
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'  # RFC 6750, section 3
    return response


def _not_found(request: Request, error: Exception) -> Response:
    return answer(request, MissingError.status, MissingError.title, str(error))


def _cannot_render(request: Request, error: Exception) -> Response:
    return answer(request, 422, "The image cannot be shown", str(error))


def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    response = answer(request, error.status_code, HTTPStatus(error.status_code).phrase)
    response.headers.update(error.headers or {})
    return response


def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    # Names of fields only: the values came from outside and may be anything.
    fields = sorted({".".join(str(part) for part in each["loc"]) for each in error.errors()})
    return answer(request, 422, "Not understood", "; ".join(fields)[:200])


def _unreachable(request: Request, _: Exception) -> Response:
    return answer(request, 503, "The records cannot be reached", "Try again in a moment.")
