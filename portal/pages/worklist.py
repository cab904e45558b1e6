"""The worklist."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from firstread.policy import Action
from portal.access import Access, require
from portal.logic.worklist import read_worklist
from portal.services import templates

router = APIRouter()


@router.get("/")
def show_worklist(
    request: Request, access: Annotated[Access, Depends(require(Action.WORKLIST_VIEW))]
) -> Response:
    """Show all open studies."""
    services = access.services
    worklist = read_worklist(services.records, access.actor, services.clock())
    context = {"actor": access.actor, "worklist": worklist}
    return templates.TemplateResponse(request, "worklist.html", context)
