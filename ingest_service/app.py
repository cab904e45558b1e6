"""Makes the application."""

from collections.abc import Callable
from datetime import datetime

from anyio import CapacityLimiter
from fastapi import FastAPI

from firstread.clock import now
from firstread.queues import Queue
from firstread.records.instances import LedgerRepository
from firstread.records.tables import bind
from firstread.refs import open_references
from firstread.sources import open_sources
from firstread.storage import Bucket
from ingest_service import answers
from ingest_service.api import batches, feed, stow, uploads
from ingest_service.asgi import Drain, NoTracebacks
from ingest_service.door import Door
from ingest_service.limits import Gate, StowLimits
from ingest_service.services import Services
from ingest_service.settings import IngestSettings
from ingest_service.uploads import Uploads

_WRITERS = 10  # connections that the SDK keeps


def create_app(settings: IngestSettings, clock: Callable[[], datetime] = now) -> FastAPI:
    """Make the ingest service.

    Parameters
    ----------
    settings
        Its settings; the tables are bound to the names in them.
    clock
        Says what time it is.

    Raises
    ------
    SourcesError
        If the configured sources cannot be used.
    """
    sources = open_sources(settings)
    references = open_references(settings)
    bind(settings)
    incoming = Bucket(settings.incoming_bucket)
    # No generated documentation pages: they load their scripts from a third party.
    app = FastAPI(title="FirstRead ingest", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.services = Services(
        sources=sources,
        door=Door(incoming, LedgerRepository(), references, clock),
        uploads=Uploads(incoming, references),
        hints=Queue(settings.hints_queue_url),
        gate=Gate(settings.ingest_requests, settings.ingest_spool_bytes),
        limits=StowLimits(settings.ingest_request_bytes),
        writers=CapacityLimiter(_WRITERS),
    )
    answers.install(app)
    for module in (stow, uploads, batches, feed):
        app.include_router(module.router)
    app.add_api_route("/healthz", _healthz, methods=["GET"])
    # The last one added is the outermost.
    app.add_middleware(NoTracebacks)
    app.add_middleware(Drain)
    return app


def _healthz() -> dict[str, str]:
    return {"status": "ok"}
