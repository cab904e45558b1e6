"""Serves OHIF below ``/ohif/``, where `firstread ohif` has fetched it."""

from pathlib import PurePosixPath

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

PATH = "/ohif"
# Its libraries make functions from text, and its page has scripts of its own; the portal's pages allow neither.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "worker-src 'self' blob:; font-src 'self' data:; img-src 'self' data: blob:; connect-src 'self' blob: data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)


class Ohif:
    """The files of a single-page application: an address without a file is one of its pages.

    Parameters
    ----------
    directory
        Where the prepared files are; "" where it was not fetched.
    """

    def __init__(self, directory: str) -> None:
        self._files = _Pages(directory=directory, html=True) if directory else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._files is None:
            missing = PlainTextResponse("OHIF is not here; `firstread ohif` fetches it.\n", status_code=404)
            await missing(scope, receive, send)
            return
        await self._files(scope, receive, send)


class _Pages(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or PurePosixPath(path).suffix:
                raise
            return await super().get_response("index.html", scope)
