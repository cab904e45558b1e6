"""The worklist as JSON."""

from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from firstread.policy import Action
from portal.access import Access, require, session_of
from portal.logic.live import Change
from portal.logic.looks import looked
from portal.logic.worklist import Asked, ListKind, Worklist, read_worklist

_EVENTS = "Events `change`, of which the data is described here, `trouble` and `end`, until the session ends."
PING_SECONDS = 15
"""Between comments that keep proxies from cutting a quiet stream; the load balancer waits for a minute."""

router = APIRouter(tags=["worklist"])


class _Events(EventSourceResponse):
    media_type = "text/event-stream"  # of the class, for the OpenAPI document


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
    looked(access, Action.WORKLIST_VIEW, list=query.list.value)
    return read_worklist(
        services.records, access.actor, services.clock(), query, query.list, services.wait_limits
    )


@router.get(
    "/api/worklist/events", response_class=_Events, responses={200: {"model": Change, "description": _EVENTS}}
)
async def follow_worklist(
    request: Request, access: Annotated[Access, Depends(require(Action.WORKLIST_VIEW, background=True))]
) -> EventSourceResponse:
    """Tell what changes on the first page of the open list, until the session ends."""
    actor = access.actor
    await to_thread(looked, access, Action.WORKLIST_VIEW, list=ListKind.OPEN.value)

    async def events() -> AsyncIterator[ServerSentEvent]:
        def is_signed_in() -> bool:
            session = session_of(request, active=False)
            return session is not None and session.actor == actor

        said = access.services.live.follow(actor.role, is_signed_in)
        async with aclosing(said):
            async for each in said:
                kind = "change" if isinstance(each, Change) else "trouble"
                yield ServerSentEvent(each.model_dump_json(), event=kind)
        yield ServerSentEvent("", event="end")

    return EventSourceResponse(events(), ping=PING_SECONDS)
