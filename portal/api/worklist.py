"""The worklist as JSON."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from firstread.policy import Action
from portal.access import Access, require
from portal.logic.looks import looked
from portal.logic.worklist import MAX_ROWS, Worklist, read_worklist

router = APIRouter()


class WorklistQuery(BaseModel):
    """What may be asked; anything else is refused, for an ignored filter would answer with too much."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(MAX_ROWS, ge=1, le=MAX_ROWS)


@router.get("/api/worklist")
def get_worklist(
    access: Annotated[Access, Depends(require(Action.WORKLIST_VIEW))],
    query: Annotated[WorklistQuery, Query()],
) -> Worklist:
    """Return the worklist of the reader."""
    services = access.services
    looked(access, Action.WORKLIST_VIEW, read_elsewhere=False)
    return read_worklist(services.records, access.actor, services.clock(), query.limit)
