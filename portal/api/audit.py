"""The audit trail as JSON, and as NDJSON of FHIR AuditEvents to be saved."""

from datetime import date, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends
from fastapi import Query as Parameters
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from firstread.audit.search import NothingAskedError, Query
from firstread.policy import Action
from portal.access import Access, require
from portal.described import sends
from portal.errors import NotUnderstoodError
from portal.logic.audit import AuditView, lines, read_audit
from portal.logic.looks import looked

router = APIRouter(tags=["audit"])
_NDJSON = "application/fhir+ndjson"


class AuditQuery(BaseModel):
    """What is looked for: a subject, an actor or a day, and an action.

    Parameters
    ----------
    after
        `following` of the answer before.
    """

    model_config = ConfigDict(extra="forbid")

    day: str = Field("", max_length=10)
    actor: str = Field("", max_length=64)
    subject: str = Field("", max_length=256)
    action: str = Field("", max_length=64)
    after: str = Field("", max_length=1024)

    @field_validator("day")
    @classmethod
    def _is_day(cls, value: str) -> str:
        return date.fromisoformat(value).isoformat() if value else ""

    def or_today(self, moment: datetime) -> Self:
        """Return the same, or the events of today where nothing is looked for."""
        if self.day or self.actor or self.subject:
            return self
        return self.model_copy(update={"day": moment.date().isoformat()})

    @property
    def search(self) -> Query:
        """Return the search."""
        return Query(self.day, self.actor.strip(), self.subject.strip(), self.action.strip())


def searched(access: Access, asked: AuditQuery, most: int) -> AuditView:
    """Search, write down that somebody did, and return what was found.

    Raises
    ------
    NotUnderstoodError
        If `after` is not from an answer.
    """
    try:
        found = read_audit(access.services.records.audit, asked.search, asked.after, most)
    except NothingAskedError as error:
        raise NotUnderstoodError(str(error)) from None
    _write_down(access, asked, "search", known=bool(found.events))
    return found


@router.get("/api/audit")
def get_audit(
    access: Annotated[Access, Depends(require(Action.AUDIT_VIEW))],
    asked: Annotated[AuditQuery, Parameters()],
) -> AuditView:
    """Return events, newest first, at most a hundred at once."""
    return searched(access, asked.or_today(access.services.clock()), 100)


@router.get("/api/audit/events.ndjson", response_class=StreamingResponse, responses=sends(_NDJSON))
def save_audit(
    access: Annotated[Access, Depends(require(Action.AUDIT_VIEW))],
    asked: Annotated[AuditQuery, Parameters()],
) -> StreamingResponse:
    """Return all that is found as FHIR AuditEvents, one per line."""
    trail = access.services.records.audit
    asked = asked.or_today(access.services.clock())
    known = bool(searched(access, asked, 1).events)
    _write_down(access, asked, "export", known=known)
    headers = {"Content-Disposition": 'attachment; filename="audit.ndjson"'}
    return StreamingResponse(lines(trail, asked.search), media_type=_NDJSON, headers=headers)


def _write_down(access: Access, asked: AuditQuery, what: str, *, known: bool) -> None:
    # What was typed may be a patient's name by mistake; what an event has is none.
    told = {"day": asked.day, **({"by": asked.search.actor, "about": asked.search.about} if known else {})}
    looked(access, Action.AUDIT_VIEW, what=what, **{name: value for name, value in told.items() if value})
