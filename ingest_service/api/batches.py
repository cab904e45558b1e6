"""The end of a batch, as a sender with a token of its own knows it."""

import re
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from firstread.uploads.client import MOST_STUDIES
from ingest_service.access import Sender
from ingest_service.answers import BATCH_HEADER
from ingest_service.body import parsed
from ingest_service.errors import MissingError
from ingest_service.hints import tell
from ingest_service.services import services_of
from ingest_service.uploads import Json

router = APIRouter()

_BATCH = re.compile(r"[A-Za-z0-9-]{1,64}")
_StudyUid = Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]
_Count = Annotated[int, Field(ge=1, le=10_000_000)]


class EndRequest(Json):
    """What is told: original Study Instance UID -> number of different SOP instances."""

    studies: dict[_StudyUid, _Count] = Field(min_length=1, max_length=MOST_STUDIES)


@router.post("/ingest/batches/{batch}/end")
async def end(request: Request, source: Sender, batch: str) -> Response:
    """Say that a batch of the sender's own is over."""
    if not _BATCH.fullmatch(batch):
        raise MissingError("the URL names no batch")
    asked = await parsed(request, EndRequest)
    services = services_of(request)
    references = services.door.references
    studies = {references.study(study): count for study, count in asked.studies.items()}
    reference = references.batch(source.name, batch)
    await to_thread.run_sync(tell, services, source.name, reference, studies)
    return JSONResponse({"batch": batch}, 202, {BATCH_HEADER: reference})
