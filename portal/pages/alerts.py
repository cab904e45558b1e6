"""The link in a notice, the forms of an alert, and the page on over-alerting."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from firstread.policy import Action
from portal.access import Access, require
from portal.api.alerts import StatisticsQuery, statistics_of
from portal.logic.alerts import acknowledge, close
from portal.logic.communications import CommunicationForm, record
from portal.services import templates

router = APIRouter(include_in_schema=False)


@router.get("/alerts")
def show_statistics(
    request: Request,
    access: Annotated[Access, Depends(require(Action.ALERT_STATISTICS))],
    query: Annotated[StatisticsQuery, Query()],
) -> Response:
    """Show how much alerts ask of their readers, and how often they are right."""
    context = {"actor": access.actor, "statistics": statistics_of(access, query)}
    return templates.TemplateResponse(request, "alerts.html", context)


@router.get("/alerts/{alert_id}")
def follow_alert(access: Annotated[Access, Depends(require(Action.ALERT_VIEW))]) -> Response:
    """Lead from the link in a notice to the study; a GET changes nothing, for mail scanners open links."""
    return _back(access.alert.study_uid)


@router.post("/alerts/{alert_id}/acknowledge")
def acknowledge_alert(access: Annotated[Access, Depends(require(Action.ALERT_ACKNOWLEDGE))]) -> Response:
    """Acknowledge an alert; who was first stays."""
    acknowledge(access.services.records, access.alert, access.actor, access.services.clock())
    return _back(access.alert.study_uid)


@router.post("/alerts/{alert_id}/close")
def close_alert(access: Annotated[Access, Depends(require(Action.ALERT_ACKNOWLEDGE))]) -> Response:
    """Close an alert whose critical result was communicated."""
    close(access.services.records, access.alert, access.actor, access.services.clock())
    return _back(access.alert.study_uid)


@router.post("/studies/{study_uid}/communications")
def record_communication(
    access: Annotated[Access, Depends(require(Action.COMMUNICATION_RECORD))],
    form: Annotated[CommunicationForm, Form()],
) -> Response:
    """Record the communication of a critical result."""
    services = access.services
    minutes = services.alerting.communication_minutes
    record(services.records, access.study, access.actor, form, minutes, services.clock())
    return _back(access.study.study_uid)


def _back(study_uid: str) -> Response:
    return RedirectResponse(f"/studies/{study_uid}#alerts", status_code=303)
