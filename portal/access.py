"""The one dependency through which every route that is not public asks the policy."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request
from fastapi.routing import APIRoute

from firstread.alert import Alert
from firstread.policy import Action, Actor, can
from firstread.session import Session
from firstread.study import Study
from portal.errors import (
    BearerNotHereError,
    MissingError,
    NotAllowedError,
    NotSignedInError,
    ReauthenticationRequiredError,
)
from portal.logic.records import resource_for
from portal.logic.review.overlay import is_kept_back
from portal.security import bearer_of, takes_tokens
from portal.services import Services, services_of

BACKGROUND_HEADER = "X-FirstRead-Background"
"""Set by a page that asks by itself; such a request does not count as activity of the reader."""

UID = re.compile(r"[0-9.]{1,64}")  # PS3.5 9.1
ALERT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REQUIREMENT = "requirement"


@dataclass(frozen=True)
class Access:
    """An allowed request: who asks, and for which study or alert.

    Parameters
    ----------
    actor
        The reader, or the program.
    action
        What was allowed.
    polled
        Whether a page asks by itself, which is no new look of the reader.
    """

    actor: Actor
    action: Action
    services: Services
    found_study: Study | None = None
    found_alert: Alert | None = None
    polled: bool = False

    @property
    def study(self) -> Study:
        """Return the study of a route that names a study or an alert."""
        if self.found_study is None:
            raise MissingError("no such study")
        return self.found_study

    @property
    def keeps_back(self) -> bool:
        """Return whether what models say of the study is to be kept from the reader for now."""
        services = self.services
        policy = services.reading.overlay_policy
        return is_kept_back(policy, self.study, self.actor, services.records.reviews)

    @property
    def alert(self) -> Alert:
        """Return the alert of a route that names one."""
        if self.found_alert is None:
            raise MissingError("no such alert")
        return self.found_alert


@dataclass(frozen=True)
class Requirement:
    """What a route asks for (`require`): for what, and whether for a recent sign-in."""

    action: Action
    fresh: bool


def is_secure(request: Request) -> bool:
    """Return whether cookies are bound to https; plain ones exist on loopback only (`PortalSettings`)."""
    return services_of(request).portal_url.startswith("https:")


def cookie_name(request: Request) -> str:
    """Return the name of the session cookie.

    The prefix ``__Host-`` binds it to this host; browsers take such a cookie over https only (RFC 6265bis, 4.1.3.2).
    """
    return "__Host-firstread-session" if is_secure(request) else "firstread-session"


def session_of(request: Request, *, active: bool | None = None) -> Session | None:
    """Return the session of the request's cookie, or None.

    Parameters
    ----------
    active
        Whether this counts as activity of the reader; without it, every request does that no page made by itself.
    """
    session_id = request.cookies.get(cookie_name(request))
    if not session_id:
        return None
    counts = BACKGROUND_HEADER not in request.headers if active is None else active
    session = services_of(request).sessions.use(session_id, active=counts)
    request.state.session = session
    return session


def require(action: Action, *, fresh: bool = False, background: bool = False) -> Callable[[Request], Access]:
    """Return the dependency that lets a request pass if who asks may do `action`.

    Who asks is a program where the request brings a bearer token, and the reader of the session else. Where the path
    names a study or an alert, the policy is asked about that study. A study that is not for this reader answers like
    one that does not exist.

    Parameters
    ----------
    action
        What the route does.
    fresh
        Whether the reader must have shown their credentials within ``FIRSTREAD_FRESH_SECONDS``; else the answer is
        401 with the type ``reauthentication-required``.
    background
        Whether only a page by itself asks for the route, so that it never counts as activity of the reader.
    """

    def allowed(request: Request) -> Access:
        services = services_of(request)
        token = bearer_of(request.headers)
        session = session_of(request, active=False if background else None) if token is None else None
        actor = _machine(request, token) if token is not None else session.actor if session else None
        if actor is None:
            raise NotSignedInError("nobody is signed in")
        study, alert = _named(request, services)
        if study is None:
            decision = can(actor, action)
            if not decision.allowed:
                raise NotAllowedError(decision.reason)
        elif not can(actor, action, resource_for(services.records, study, actor)).allowed:
            raise MissingError("no such study")
        if fresh and not (session and session.is_fresh(services.clock(), services.fresh)):
            raise ReauthenticationRequiredError(f"/studies/{study.study_uid}" if study else "/")
        polled = background or BACKGROUND_HEADER in request.headers
        return Access(actor, action, services, study, alert, polled)

    setattr(allowed, _REQUIREMENT, Requirement(action, fresh))
    return allowed


def requirement_of(route: APIRoute) -> Requirement | None:
    """Return what a route asks the policy for; None for a public one."""
    asked = [getattr(each.call, _REQUIREMENT, None) for each in route.dependant.dependencies]
    found = [each for each in asked if isinstance(each, Requirement)]
    if len(found) > 1:
        raise TypeError("a route asks the policy once")
    return found[0] if found else None


def _machine(request: Request, token: str) -> Actor | None:
    if not takes_tokens(request.url.path):
        raise BearerNotHereError("programs use the API and DICOMweb")
    gate = services_of(request).gate
    return gate.machine(token) if gate else None


def _named(request: Request, services: Services) -> tuple[Study | None, Alert | None]:
    alert = None
    study_uid = request.path_params.get("study_uid")
    alert_id = request.path_params.get("alert_id")
    if alert_id is not None:
        alert = services.records.alerts.get(alert_id) if ALERT_ID.fullmatch(alert_id) else None
        if alert is None:
            raise MissingError("no such alert")
        study_uid = alert.study_uid
    if study_uid is None:
        return None, None
    study = services.records.studies.get(study_uid) if UID.fullmatch(study_uid) else None
    if study is None:
        raise MissingError("no such study")
    return study, alert
