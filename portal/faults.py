"""What is answered where nothing else can be: a fault of the program, and a reader on another machine.

Neither says what it is about. The pages here are made without templates and without the reader's session, as either may
be what failed.
"""

import logging
from http import HTTPStatus

from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstread.handling import describe
from portal.errors import PortalError
from portal.problems import problem
from portal.security import is_for_programs

_logger = logging.getLogger(__name__)
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} – FirstRead</title>'
    "<h1>{title}</h1><p>{text}</p></html>\n"
)
_NOT_HERE = "This answers to its own machine only."


class BrokenOffError(PortalError):
    """An answer that had begun and could not be finished."""


class Faults:
    """Answers 500 where a route failed in a way that nobody foresaw, and logs type and place of the error.

    Its text may quote what the route worked on, so it goes nowhere: not into the answer, and not into the server's log,
    which writes whatever leaves the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises
        ------
        BrokenOffError
            If the answer had begun: the server has to break it off, so that nobody takes it for whole.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            _logger.error("a request failed: %s", describe(error))
            if begun:
                raise BrokenOffError from None
            fault = _said(scope, HTTPStatus.INTERNAL_SERVER_ERROR, PortalError.title, "")
            await fault(scope, receive, send)


async def not_here(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse whoever is not on this machine (`firstread.loopback.LoopbackOnly`)."""
    refusal = _said(scope, HTTPStatus.FORBIDDEN, "Not from another machine", _NOT_HERE)
    await refusal(scope, receive, send)


def _said(scope: Scope, status: HTTPStatus, title: str, text: str) -> Response:
    if is_for_programs(scope["path"]):
        return problem(status, title, text)
    return HTMLResponse(_PAGE.format(title=title, text=text), status)
