"""The audit trail as a page, for auditors."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from firstread.policy import Action
from portal.access import Access, require
from portal.api.audit import AuditQuery, searched
from portal.services import templates

_MOST = 50

router = APIRouter(include_in_schema=False)


@router.get("/audit")
def show_audit(
    request: Request,
    access: Annotated[Access, Depends(require(Action.AUDIT_VIEW))],
    asked: Annotated[AuditQuery, Query()],
) -> Response:
    """Show events that are looked for; the events of today where nothing is."""
    asked = asked.or_today(access.services.clock())
    found = searched(access, asked, _MOST)
    given = {name: value for name, value in asked.model_dump(exclude={"after"}).items() if value}
    context = {
        "actor": access.actor,
        "asked": asked,
        "found": found,
        "save": "/api/audit/events.ndjson?" + urlencode(given),
        "following": "/audit?" + urlencode({**given, "after": found.following}) if found.following else "",
    }
    return templates.TemplateResponse(request, "audit.html", context)
