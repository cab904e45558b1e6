"""The page of a study, and its alerts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from firstread.clock import to_text
from firstread.policy import Action
from portal.access import Access, require
from portal.logic.looks import looked
from portal.logic.study import read_study
from portal.services import templates

router = APIRouter()


@router.get("/studies/{study_uid}")
def show_study(request: Request, access: Annotated[Access, Depends(require(Action.STUDY_VIEW))]) -> Response:
    """Show images and findings of a study."""
    services = access.services
    view = read_study(services.records, access.study, access.actor, services.clock())
    looked(access, Action.STUDY_VIEW, findings=view.shows_findings)
    identity = services.identities.shown_to(access.actor, access.study)
    context = {"actor": access.actor, "study": view, "identity": identity}
    return templates.TemplateResponse(request, "study.html", context)


@router.get("/alerts/{alert_id}")
def follow_alert(access: Annotated[Access, Depends(require(Action.ALERT_VIEW))]) -> Response:
    """Lead from the link in a notice to the study; a GET changes nothing, for mail scanners open links."""
    return RedirectResponse(f"/studies/{access.alert.study_uid}#alerts", status_code=303)


@router.post("/alerts/{alert_id}/acknowledge")
def acknowledge_alert(access: Annotated[Access, Depends(require(Action.ALERT_ACKNOWLEDGE))]) -> Response:
    """Acknowledge an alert; who was first stays."""
    services = access.services
    services.records.alerts.acknowledge(
        access.alert.alert_id, access.actor.name, access.actor.role.value, to_text(services.clock())
    )
    return RedirectResponse(f"/studies/{access.alert.study_uid}#alerts", status_code=303)
