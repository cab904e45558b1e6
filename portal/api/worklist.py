"""The worklist as JSON."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from firstread.policy import Action
from portal.access import Access, require
from portal.logic.worklist import Asked, ListKind, Worklist, read_worklist

router = APIRouter()


class ListAsked(Asked):
    """What may be asked, and of which list."""

    list: ListKind = ListKind.OPEN


@router.get("/api/worklist")
def get_worklist(
    access: Annotated[Access, Depends(require(Action.WORKLIST_VIEW))],
    query: Annotated[ListAsked, Query()],
) -> Worklist:
    """Return a page of a list."""
    services = access.services
    return read_worklist(
        services.records, access.actor, services.clock(), query, query.list, services.wait_limits
    )
