"""The worklist."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from firstread.policy import Action
from portal.access import Access, require
from portal.logic.looks import looked
from portal.logic.worklist import read_worklist
from portal.services import templates

router = APIRouter()


@router.get("/")
def show_worklist(
    request: Request, access: Annotated[Access, Depends(require(Action.WORKLIST_VIEW))]
) -> Response:
    """Show all open studies."""
    return _page(request, access, read_elsewhere=False)


@router.get("/read-elsewhere")
def show_read_elsewhere(
    request: Request, access: Annotated[Access, Depends(require(Action.WORKLIST_VIEW))]
) -> Response:
    """Show the studies of which a final report came from elsewhere."""
    return _page(request, access, read_elsewhere=True)


def _page(request: Request, access: Access, *, read_elsewhere: bool) -> Response:
    services = access.services
    worklist = read_worklist(services.records, access.actor, services.clock(), read_elsewhere=read_elsewhere)
    looked(access, Action.WORKLIST_VIEW, read_elsewhere=read_elsewhere)
    context = {"actor": access.actor, "worklist": worklist}
    return templates.TemplateResponse(request, "worklist.html", context)
