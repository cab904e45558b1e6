"""Makes the application."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from firstread.clock import now
from firstread.policy import Actor, Role
from firstread.records.audit import VaultAudit
from firstread.records.tables import bind
from firstread.storage import Bucket
from firstread.vaults import open_rows
from portal import answers, dicomweb, ohif
from portal.api import alerts as alerts_api
from portal.api import audit as audit_api
from portal.api import identities, images, reviews, studies
from portal.api import teaching as teaching_api
from portal.api import worklist as worklist_api
from portal.errors import LocalSignInRefusedError
from portal.local_users import LocalUsers, is_loopback, load
from portal.logic.dicomweb.service import DicomWeb
from portal.logic.identity import Identities
from portal.logic.live import Live
from portal.logic.looks import Looks
from portal.logic.pictures import Pictures
from portal.logic.records import Records
from portal.logic.worklist import Worklist, read_worklist
from portal.pages import alerts as alerts_page
from portal.pages import audit as audit_page
from portal.pages import sign_in, study
from portal.pages import teaching as teaching_pages
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

    def first_page(role: Role) -> Worklist:
        return read_worklist(records, Actor("", role), clock(), limits=settings.wait_limits)

    app.state.services = Services(
        clock=clock,
        records=records,
        pictures=pictures,
        studies_bucket=stored,
        results_bucket=results,
        dicomweb=DicomWeb.make(records, stored, results, pictures, settings, settings.overlay_policy),
        reading=settings,
        users=users,
        sessions=Sessions(clock),
        throttle=SignInThrottle(clock),
        wait_limits=settings.wait_limits,
        live=Live(first_page),
        looks=Looks(records.audit, clock),
        identities=Identities(lambda: open_rows(settings), VaultAudit()),
        alerting=settings.alerting,
    )
    answers.install(app)
    for module in (sign_in, worklist_page, study, worklist_api, studies, images, reviews):
        app.include_router(module.router)
    for module in (alerts_page, alerts_api):
        app.include_router(module.router)
    for router in dicomweb.ROUTERS:
        app.include_router(router)
    for module in (audit_page, audit_api, identities, teaching_pages, teaching_api):
        app.include_router(module.router)
    app.add_api_route("/healthz", _healthz, methods=["GET"])
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.mount(ohif.PATH, ohif.Ohif(settings.ohif_dir), name="ohif")
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
