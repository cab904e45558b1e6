"""Alerts, their statistics, and communications of critical results as JSON."""

from datetime import date, timedelta
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from firstread.policy import Action
from portal.access import Access, require
from portal.logic.alert_statistics import MOST_DAYS, AlertStatistics, read_statistics
from portal.logic.alerts import AlertLists, AlertView, acknowledge, alert_view, close, read_alerts
from portal.logic.communications import (
    CommunicationEntry,
    CommunicationView,
    communication_view,
    read_communications,
    record,
)

router = APIRouter(tags=["alerts"])
_USUAL_DAYS = 7


class StatisticsQuery(BaseModel):
    """Which days; without any, the last seven until today, in UTC."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    first: date | None = Field(None, alias="from")
    last: date | None = Field(None, alias="to")

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if (self.first is None) != (self.last is None):
            raise ValueError("from and to belong together")
        if self.first and self.last and not 0 <= (self.last - self.first).days < MOST_DAYS:
            raise ValueError(f"from comes before to, and by less than {MOST_DAYS} days")
        return self

    def days(self, today: date) -> tuple[date, date]:
        """Return the first and the last day."""
        return self.first or today - timedelta(days=_USUAL_DAYS - 1), self.last or today


def statistics_of(access: Access, query: StatisticsQuery) -> AlertStatistics:
    """Return the statistics that a query asks for."""
    services = access.services
    return read_statistics(services.records, *query.days(services.clock().date()))


@router.get("/api/alerts")
def get_alerts(access: Annotated[Access, Depends(require(Action.ALERT_VIEW))]) -> AlertLists:
    """Return the open alerts, and those the reader has acknowledged."""
    return read_alerts(access.services.records, access.actor)


@router.get("/api/alerts/statistics")
def get_statistics(
    access: Annotated[Access, Depends(require(Action.ALERT_STATISTICS))],
    query: Annotated[StatisticsQuery, Query()],
) -> AlertStatistics:
    """Return how much alerts ask of their readers, and how often they are right."""
    return statistics_of(access, query)


@router.post("/api/alerts/{alert_id}/acknowledge")
def post_acknowledge(access: Annotated[Access, Depends(require(Action.ALERT_ACKNOWLEDGE))]) -> AlertView:
    """Acknowledge an alert; who was first stays."""
    services = access.services
    return alert_view(
        acknowledge(services.records, access.alert, access.actor, services.clock()), access.actor
    )


@router.post("/api/alerts/{alert_id}/close", responses={409: {}})
def post_close(access: Annotated[Access, Depends(require(Action.ALERT_ACKNOWLEDGE))]) -> AlertView:
    """Close an alert whose critical result was communicated."""
    services = access.services
    return alert_view(close(services.records, access.alert, access.actor, services.clock()), access.actor)


@router.get("/api/studies/{study_uid}/communications")
def get_communications(
    access: Annotated[Access, Depends(require(Action.COMMUNICATION_RECORD))],
) -> tuple[CommunicationView, ...]:
    """Return what was communicated of a study, oldest first."""
    return read_communications(access.services.records, access.study)


@router.post("/api/studies/{study_uid}/communications", status_code=201)
def post_communication(
    access: Annotated[Access, Depends(require(Action.COMMUNICATION_RECORD))], entry: CommunicationEntry
) -> CommunicationView:
    """Record the communication of a critical result."""
    services = access.services
    minutes = services.alerting.communication_minutes
    return communication_view(
        record(services.records, access.study, access.actor, entry, minutes, services.clock())
    )
