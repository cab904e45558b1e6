"""The worklist, and the lists of studies that are done with."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from firstread.policy import Action
from portal.access import Access, require
from portal.logic.looks import looked
from portal.logic.worklist import Asked, ListKind, read_worklist
from portal.services import templates

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Access, Depends(require(Action.WORKLIST_VIEW))]
_Asked = Annotated[Asked, Query()]


@router.get("/")
def show_worklist(request: Request, access: _Reader, asked: _Asked) -> Response:
    """Show the open studies."""
    return _page(request, access, asked, ListKind.OPEN)


@router.get("/read-elsewhere")
def show_read_elsewhere(request: Request, access: _Reader, asked: _Asked) -> Response:
    """Show the studies of which a final report came from elsewhere."""
    return _page(request, access, asked, ListKind.READ_ELSEWHERE)


@router.get("/signed")
def show_signed(request: Request, access: _Reader, asked: _Asked) -> Response:
    """Show the studies that were signed here."""
    return _page(request, access, asked, ListKind.SIGNED)


def _page(request: Request, access: Access, asked: Asked, kind: ListKind) -> Response:
    services = access.services
    worklist = read_worklist(
        services.records, access.actor, services.clock(), asked, kind, services.wait_limits
    )
    looked(access, Action.WORKLIST_VIEW, list=kind.value)
    context = {"actor": access.actor, "worklist": worklist, "asked": asked}
    return templates.TemplateResponse(request, "worklist.html", context)
