"""Messages of the hospital's feeds (HL7 v2, ER7): kept as objects, because they carry names."""

import hashlib
import uuid

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from ingest_service.access import Sender
from ingest_service.body import whole
from ingest_service.errors import MalformedError, UnsupportedError
from ingest_service.parts import media_type
from ingest_service.services import services_of

router = APIRouter()

MOST_BYTES = 16 * 1024 * 1024
_ER7 = frozenset({"application/hl7-v2+er7", "x-application/hl7-v2+er7"})


@router.post("/ingest/feed")
async def feed(request: Request, source: Sender) -> Response:
    """Keep one message."""
    if media_type(request.headers.get("content-type", ""))[0] not in _ER7:
        raise UnsupportedError("take application/hl7-v2+er7")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedError("messages are not compressed")
    message = await whole(request, MOST_BYTES)
    if not message.startswith(b"MSH"):  # HL7 v2.5.1 2.5: every message begins with it
        raise MalformedError("the body is no HL7 v2 message")
    batch = uuid.uuid4().hex
    digest = hashlib.sha256(message).hexdigest()
    await to_thread.run_sync(services_of(request).door.keep_message, message, digest, source.name, batch)
    return JSONResponse({"batch": batch}, 202)
