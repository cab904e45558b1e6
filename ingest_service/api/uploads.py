"""Uploads past this service: ask here, send to S3."""

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from ingest_service.access import Sender
from ingest_service.answers import BATCH_HEADER
from ingest_service.body import parsed
from ingest_service.services import services_of
from ingest_service.uploads import CompleteAnswer, CompleteRequest, UploadsAnswer, UploadsRequest

router = APIRouter()


@router.post("/uploads", response_model_exclude_none=True)
async def begin(request: Request, response: Response, source: Sender) -> UploadsAnswer:
    """Name and sign up to 100 objects."""
    asked = await parsed(request, UploadsRequest)
    uploads = services_of(request).uploads
    answer = await to_thread.run_sync(uploads.begin, source, asked)
    response.headers[BATCH_HEADER] = uploads.references.batch(source.name, answer.batch)
    return answer


@router.post("/uploads/complete")
async def complete(request: Request, _source: Sender) -> CompleteAnswer:
    """Put the parts of a large object together."""
    asked = await parsed(request, CompleteRequest)
    return await to_thread.run_sync(services_of(request).uploads.complete, asked)
