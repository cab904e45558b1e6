"""Who sends: a bearer token (RFC 6750) of a configured source."""

from typing import Annotated

from fastapi import Depends, Request

from firstread.sources import Source
from ingest_service.errors import UnknownSenderError
from ingest_service.services import services_of


def sender(request: Request) -> Source:
    """Return the source whose token a request carries.

    Raises
    ------
    UnknownSenderError
        If it carries none, or one that is not known.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    source = services_of(request).sources.by_token(token.strip()) if scheme.lower() == "bearer" else None
    if source is None:
        raise UnknownSenderError("a bearer token of a configured source is needed")
    return source


Sender = Annotated[Source, Depends(sender)]
