"""What the routes work with, made once per process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fastapi import Request
from fastapi.templating import Jinja2Templates

from firstread.alerting import AlertingPolicy
from firstread.policy import Action, Actor, can
from firstread.storage import Bucket
from portal.assets import asset, is_built
from portal.identity.sign_in import Gate
from portal.logic.dicomweb.service import DicomWeb
from portal.logic.identity import Identities
from portal.logic.limits import WaitLimits
from portal.logic.live import Live
from portal.logic.looks import Looks
from portal.logic.pictures import Pictures
from portal.logic.records import Records
from portal.sessions import Sessions
from portal.settings import ReadingSettings

_HERE = Path(__file__).parent


def _session(request: Request) -> dict[str, object]:
    known: dict[str, object] = {"session": getattr(request.state, "session", None)}
    if hasattr(request.app.state, "local"):  # a folder of the user's own, with no account and no worklist
        known["local"] = True
    return known


templates = Jinja2Templates(directory=_HERE / "templates", context_processors=[_session])
"""The pages; Jinja2 escapes every value, and each page knows the session, or that it is of a folder."""

templates.env.globals.update(asset=asset, is_built=is_built)


def _may(actor: Actor, action: str) -> bool:
    return can(actor, Action(action)).allowed


templates.env.globals.update(asset=asset, is_built=is_built, may=_may)

STATIC = _HERE / "static"


@dataclass(frozen=True)
class Services:
    """The portal's parts.

    Parameters
    ----------
    reading
        How studies are read here.
    alerting
        The site's policy of alerts and communications.
    wait_limits
        When a study is overdue.
    live
        Who has the worklist open.
    gate
        Where people and programs show who they are, or None where there is no identity provider.
    portal_url
        Root of the portal, as browsers reach it.
    fresh
        How long ago credentials may have been shown, for what asks for them again.
    """

    clock: Callable[[], datetime]
    records: Records
    pictures: Pictures
    studies_bucket: Bucket
    results_bucket: Bucket
    reading: ReadingSettings
    dicomweb: DicomWeb
    wait_limits: WaitLimits
    live: Live
    sessions: Sessions
    gate: Gate | None
    portal_url: str
    fresh: timedelta
    looks: Looks
    identities: Identities
    alerting: AlertingPolicy


def services_of(request: Request) -> Services:
    """Return the services of the application that serves a request."""
    services = request.app.state.services
    if not isinstance(services, Services):
        raise TypeError("the application was not made by create_app")
    return services
