"""ASGI layers around every route: nothing of a request gets into a log, and an early answer is heard."""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstread.handling import describe, logger
from ingest_service.answers import problem

_DRAINED_BYTES = 32 * 1024 * 1024
_DRAINED_SECONDS = 10.0


class NoTracebacks:
    """Answers 500 to what nobody expected, and logs its type and place: its text may quote the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            logger.error("request failed", extra=describe(error))
            if scope["type"] == "http" and not started:
                await problem(500, "Internal error")(scope, receive, send)


class Drain:
    """Reads on before an early refusal, within limits: a sender that is cut off while it writes sees no answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        more = scope["type"] == "http"

        async def counted() -> Message:
            nonlocal more
            message = await receive()
            more = message["type"] == "http.request" and bool(message.get("more_body"))
            return message

        async def patient(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                left = _DRAINED_BYTES
                # A sender that says nothing more must not be waited for either: it may have no token.
                with anyio.move_on_after(_DRAINED_SECONDS):
                    while more and left > 0:
                        left -= len((await counted()).get("body", b""))
            await send(message)

        await self._app(scope, counted, patient)
