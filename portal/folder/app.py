"""The application that shows a folder, on this machine and to its user alone."""

from fastapi import FastAPI

from firstread.loopback import LoopbackOnly
from portal import answers
from portal.assets import Zipped
from portal.faults import Faults, not_here
from portal.folder import pages, routes
from portal.folder.guard import TokenOnly
from portal.folder.kinds import Folder
from portal.folder.local import Local
from portal.security import SecurityHeaders
from portal.services import STATIC


def create_app(folder: Folder, token: str) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    folder
        What was found.
    token
        Whoever opens ``/open/TOKEN`` may see it.
    """
    app = FastAPI(title="FirstRead", docs_url=None, redoc_url=None, openapi_url=None)
    answers.install(app)
    app.state.local = Local.of(folder)
    for module in (pages, routes):
        app.include_router(module.router)
    app.mount("/static", Zipped(directory=STATIC), name="static")
    # The last one added is the outermost.
    app.add_middleware(Faults)
    app.add_middleware(TokenOnly, token=token)
    app.add_middleware(LoopbackOnly, refusal=not_here)
    app.add_middleware(SecurityHeaders)
    return app
