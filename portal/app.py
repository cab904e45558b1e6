"""Makes the application."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from firstread.clock import now
from firstread.records.tables import bind
from firstread.storage import Bucket
from portal import answers
from portal.api import images, studies
from portal.api import worklist as worklist_api
from portal.dicomweb import router as dicomweb
from portal.errors import LocalSignInRefusedError
from portal.local_users import LocalUsers, is_loopback, load
from portal.logic.dicomweb.service import DicomWeb
from portal.logic.pictures import Pictures
from portal.logic.records import Records
from portal.pages import sign_in, study
from portal.pages import worklist as worklist_page
from portal.security import LoopbackOnly, SameOriginWrites, SecurityHeaders
from portal.services import STATIC, Services
from portal.sessions import Sessions
from portal.settings import PortalSettings
from portal.throttle import SignInThrottle


def create_app(settings: PortalSettings, clock: Callable[[], datetime] = now) -> FastAPI:
    """Make the portal.

    Parameters
    ----------
    settings
        Its settings; the tables are bound to the names in them.
    clock
        Says what time it is.

    Raises
    ------
    LocalSignInRefusedError
        If local users are given and the portal is not bound to loopback.
    LocalUsersError
        If the file of local users cannot be used.
    """
    users = _local_users(settings)
    bind(settings)
    # No generated documentation pages: they load their scripts from a third party.
    app = FastAPI(title="FirstRead", docs_url=None, redoc_url=None, openapi_url=None)
    records = Records()
    stored, results = Bucket(settings.studies_bucket), Bucket(settings.results_bucket)
    pictures = Pictures(stored)
    app.state.services = Services(
        clock=clock,
        records=records,
        pictures=pictures,
        results_bucket=results,
        dicomweb=DicomWeb.make(records, stored, results, pictures, settings, clock),
        users=users,
        sessions=Sessions(clock),
        throttle=SignInThrottle(clock),
    )
    answers.install(app)
    for module in (sign_in, worklist_page, study, worklist_api, studies, images):
        app.include_router(module.router)
    app.include_router(dicomweb)
    app.add_api_route("/healthz", _healthz, methods=["GET"])
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    # The last one added is the outermost.
    app.add_middleware(SameOriginWrites)
    if users is not None:
        app.add_middleware(LoopbackOnly)
    app.add_middleware(SecurityHeaders)
    return app


def _local_users(settings: PortalSettings) -> LocalUsers | None:
    if not settings.local_users_file:
        return None
    if not is_loopback(settings.portal_host):
        raise LocalSignInRefusedError("local users may sign in only where FIRSTREAD_PORTAL_HOST is loopback")
    return load(Path(settings.local_users_file))


def _healthz() -> dict[str, str]:
    return {"status": "ok"}
