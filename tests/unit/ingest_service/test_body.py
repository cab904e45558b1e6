"""Bodies that come slowly, or stop."""

from collections.abc import AsyncIterator

import anyio
import pytest
from fastapi import Request
from starlette.types import Message

from ingest_service import body
from ingest_service.errors import StalledError


def request(chunks: AsyncIterator[bytes]) -> Request:
    """Return a request whose body has no end."""

    async def receive() -> Message:
        return {"type": "http.request", "body": await anext(chunks), "more_body": True}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def taken(chunks: AsyncIterator[bytes], handle_seconds: float = 0.0) -> list[bytes]:
    """Take blocks until the sender is given up."""
    found = []
    with anyio.fail_after(5), pytest.raises(StalledError):
        async for block in body.blocks(request(chunks), 10):
            found.append(block)
            await anyio.sleep(handle_seconds)
    return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_PATIENCE_SECONDS", 0.2)


def test_a_body_that_stops_is_given_up() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 10
        await anyio.sleep_forever()

    assert anyio.run(taken, chunks()) == [b"x" * 10]


def test_a_body_that_comes_byte_by_byte_is_given_up() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            await anyio.sleep(0.05)
            yield b"x"

    assert anyio.run(taken, chunks()) == []


def test_the_time_that_we_take_is_not_the_senders() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * 10
        await anyio.sleep_forever()

    assert len(anyio.run(taken, chunks(), 0.15)) == 4


def test_a_slow_body_that_goes_on_is_taken() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(6):
            await anyio.sleep(0.1)
            yield b"x" * 200  # at 1 KiB/s as much time as it took
        await anyio.sleep_forever()

    assert len(anyio.run(taken, chunks())) == 6
