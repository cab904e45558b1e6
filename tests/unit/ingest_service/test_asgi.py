"""The layers around every route."""

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from ingest_service import asgi
from ingest_service.answers import problem


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await problem(401, "Unauthorized")(scope, receive, send)


def test_a_refused_sender_that_says_nothing_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "_DRAINED_SECONDS", 0.05)
    sent: list[Message] = []

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    async def serve() -> None:
        with anyio.fail_after(5):
            await asgi.Drain(_refuse)({"type": "http"}, receive, send)

    anyio.run(serve)
    assert sent[0]["status"] == 401


def test_a_refused_sender_is_heard_to_its_end() -> None:
    pieces = [{"type": "http.request", "body": b"x", "more_body": more} for more in (True, True, False)]

    async def receive() -> Message:
        return pieces.pop(0)

    async def send(_message: Message) -> None:
        return None

    anyio.run(asgi.Drain(_refuse), {"type": "http"}, receive, send)
    assert not pieces
