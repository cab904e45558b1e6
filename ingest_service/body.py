"""Bodies: read as far as they may go, and JSON of a known form."""

import json
from collections.abc import AsyncIterator
from typing import TypeVar

import anyio
from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from ingest_service.errors import (
    InvalidError,
    MalformedError,
    StalledError,
    TooLargeError,
    UnsupportedError,
)
from ingest_service.parts import media_type

JSON_BYTES = 2 * 1024 * 1024
_PATIENCE_SECONDS = 60.0
_SLOWEST = 1024  # bytes a second; without it a byte a minute would hold a place for ever
Model = TypeVar("Model", bound=BaseModel)


def announced(request: Request, most: int) -> int:
    """Return the Content-Length of a request, 0 where there is none.

    Raises
    ------
    TooLargeError
        If it is above `most`.
    """
    text = request.headers.get("content-length", "0")
    length = int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else 0
    if length > most:
        raise TooLargeError("the body is too large")
    return length


async def blocks(request: Request, size: int) -> AsyncIterator[bytes]:
    """Yield the body in blocks of at least `size` bytes, the last one excepted.

    Raises
    ------
    MalformedError
        If the sender goes away before its end.
    StalledError
        If nothing comes for a minute, or so little that it comes to that. What is done with a block does not count.
    """
    held = bytearray()
    stream, patience = request.stream(), _PATIENCE_SECONDS
    try:
        while True:
            asked = anyio.current_time()
            with anyio.fail_after(patience):
                chunk = await anext(stream, None)
            if chunk is None:
                break
            patience += len(chunk) / _SLOWEST - (anyio.current_time() - asked)
            patience = min(patience, _PATIENCE_SECONDS)
            held += chunk
            if len(held) >= size:
                yield bytes(held)
                held.clear()
    except ClientDisconnect:
        raise MalformedError("the body ends too early") from None
    except TimeoutError:
        raise StalledError("the body did not come for a minute") from None
    if held:
        yield bytes(held)


async def whole(request: Request, most: int) -> bytes:
    """Return the whole body.

    Raises
    ------
    TooLargeError
        If it is longer than `most`.
    """
    announced(request, most)
    body = b""
    async for block in blocks(request, most + 1):
        body += block
        if len(body) > most:
            raise TooLargeError("the body is too large")
    return body


async def parsed(request: Request, kind: type[Model]) -> Model:
    """Return a JSON body.

    Raises
    ------
    InvalidError
        If it is not of the form; the text names fields of ours and no value, nor a name, from outside.
    """
    if media_type(request.headers.get("content-type", ""))[0] != "application/json":
        raise UnsupportedError("take application/json")
    body = await whole(request, JSON_BYTES)
    try:
        return kind.model_validate(json.loads(body))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        fields = sorted({_field(each["loc"], each["type"]) for each in found})
        raise InvalidError("; ".join(fields)[:200]) from None
    except (ValueError, RecursionError):
        raise InvalidError("the body is not JSON") from None


def _field(place: tuple[int | str, ...], kind: str) -> str:
    # A name from outside may stand where a field is unknown, and below `studies`.
    shown = place[:1] if place[:1] == ("studies",) else place[:-1] if kind == "extra_forbidden" else place
    return ".".join(str(part) for part in shown) or "body"
