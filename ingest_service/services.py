"""What the routes work with, made once per process."""

from dataclasses import dataclass

from anyio import CapacityLimiter
from fastapi import Request

from firstread.queues import Queue
from firstread.sources import Sources
from ingest_service.door import Door
from ingest_service.limits import Gate, StowLimits
from ingest_service.uploads import Uploads


@dataclass(frozen=True)
class Services:
    """The service's parts.

    Parameters
    ----------
    door
        Where objects go.
    hints
        Where the end of a batch is told.
    writers
        How many threads write objects at a time.
    """

    sources: Sources
    door: Door
    uploads: Uploads
    hints: Queue
    gate: Gate
    limits: StowLimits
    writers: CapacityLimiter


def services_of(request: Request) -> Services:
    """Return the services of the application that serves a request."""
    services = request.app.state.services
    if not isinstance(services, Services):
        raise TypeError("the application was not made by create_app")
    return services
