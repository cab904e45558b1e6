"""Makes the application."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

from firstread.clock import now
from firstread.loopback import LoopbackOnly, is_loopback, is_loopback_url
from firstread.policy import Actor, Role
from firstread.records.audit import VaultAudit
from firstread.records.sessions import AttemptRepository
from firstread.records.tables import bind
from firstread.storage import Bucket
from firstread.vaults import open_rows
from portal import answers, dicomweb, ohif
from portal.api import alerts as alerts_api
from portal.api import audit as audit_api
from portal.api import identities, images, reviews, session, studies, versions
from portal.api import teaching as teaching_api
from portal.api import worklist as worklist_api
from portal.assets import Zipped
from portal.described import operation_id
from portal.errors import IssuerRefusedError
from portal.faults import Faults, not_here
from portal.identity.people import DEFAULT_GROUPS, Naming
from portal.identity.provider import Provider, Registration
from portal.identity.sign_in import Gate
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
from portal.security import SameOriginWrites, SecurityHeaders
from portal.services import STATIC, Services
from portal.sessions import Sessions
from portal.settings import PortalSettings

API_VERSION = "0"
"""Of the API, and not of the program: 0 promises nothing to programs of others yet."""


def create_app(
    settings: PortalSettings,
    clock: Callable[[], datetime] = now,
    transport: httpx.BaseTransport | None = None,
) -> FastAPI:
    """Make the portal.

    Parameters
    ----------
    settings
        Its settings; the tables are bound to the names in them.
    clock
        Says what time it is.
    transport
        Carries requests to the identity provider, for tests; else the network.

    Raises
    ------
    IssuerRefusedError
        If the identity provider is not reached over https, or is this machine's own and the portal is not.
    """
    _check_issuer(settings)
    bind(settings)
    sessions = Sessions(clock)
    app = routed()
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
        sessions=sessions,
        gate=_gate(settings, sessions, clock, transport),
        portal_url=settings.portal_url,
        fresh=timedelta(seconds=settings.fresh_seconds),
        wait_limits=settings.wait_limits,
        live=Live(first_page),
        looks=Looks(records.audit, clock),
        identities=Identities(lambda: open_rows(settings), VaultAudit()),
        alerting=settings.alerting,
    )
    app.mount("/static", Zipped(directory=STATIC), name="static")
    app.mount(ohif.PATH, ohif.Ohif(settings.ohif_dir), name="ohif")
    # The last one added is the outermost.
    app.add_middleware(SameOriginWrites)
    if is_loopback_url(settings.oidc_issuer):
        app.add_middleware(LoopbackOnly, refusal=not_here)
    app.add_middleware(Faults)
    app.add_middleware(SecurityHeaders, secure=settings.portal_url.startswith("https:"))
    return app


def routed() -> FastAPI:
    """Return the application with its routes, and nothing behind them yet."""
    # No generated documentation pages: they load their scripts from a third party.
    app = FastAPI(
        title="FirstRead",
        version=API_VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=operation_id,
    )
    answers.install(app)
    for module in (sign_in, worklist_page, study, worklist_api, studies, versions, session, images, reviews):
        app.include_router(module.router)
    for module in (alerts_page, alerts_api):
        app.include_router(module.router)
    for router in dicomweb.ROUTERS:
        app.include_router(router)
    for module in (audit_page, audit_api, identities, teaching_pages, teaching_api):
        app.include_router(module.router)
    app.add_api_route("/healthz", get_health, methods=["GET"], tags=["health"])
    return app


def _check_issuer(settings: PortalSettings) -> None:
    issuer = settings.oidc_issuer
    if not issuer:
        return
    if not is_loopback_url(issuer):
        if not issuer.startswith("https://"):
            raise IssuerRefusedError("FIRSTREAD_OIDC_ISSUER must be https, or on this machine")
        return
    here = is_loopback(settings.portal_host) and is_loopback_url(settings.portal_url)
    if not here or settings.trusted_proxies:
        raise IssuerRefusedError(
            "the users of an identity provider on this machine may sign in only where FIRSTREAD_PORTAL_HOST and "
            "FIRSTREAD_PORTAL_URL are loopback, and without FIRSTREAD_TRUSTED_PROXIES"
        )


def _gate(
    settings: PortalSettings,
    sessions: Sessions,
    clock: Callable[[], datetime],
    transport: httpx.BaseTransport | None,
) -> Gate | None:
    if not settings.oidc_issuer:
        return None
    registration = Registration(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        redirect_uri=settings.portal_url + sign_in.RETURN_PATH,
        signed_out_uri=settings.portal_url + sign_in.SIGNED_OUT_PATH,
    )
    naming = Naming(
        settings.oidc_user_claim, settings.oidc_groups_claim, settings.oidc_groups or DEFAULT_GROUPS
    )
    provider = Provider(registration, clock, transport)
    return Gate(provider, naming, settings.machine_clients, AttemptRepository(), sessions, clock)


class Health(BaseModel):
    """That the process serves."""

    status: Literal["ok"] = "ok"


def get_health() -> Health:
    """Return that the process serves."""
    return Health()
