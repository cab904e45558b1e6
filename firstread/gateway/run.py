"""The gateway as one process: listeners, spool and forwarder."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from firstread.gateway.commitment import Commitments
from firstread.gateway.dimse import Listener
from firstread.gateway.forward import Client, Forwarder
from firstread.gateway.landing import Landings, Watermark
from firstread.gateway.mllp import FeedListener
from firstread.gateway.settings import GatewaySettings
from firstread.gateway.spool import Spool
from firstread.gateway.stack import configured

log = logging.getLogger(__name__)


class _Part(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Gateway:
    """What runs.

    Parameters
    ----------
    spool
        Where objects wait.
    dimse
        The DICOM listener.
    feed
        The HL7 v2 listener; None where it is not configured.
    """

    spool: Spool
    dimse: Listener
    feed: FeedListener | None


@contextmanager
def running(
    settings: GatewaySettings, client: Client, watermark: Watermark | None = None
) -> Iterator[Gateway]:
    """Run the gateway; at the end it stops listening, lets associations end, and leaves the rest in the spool.

    Parameters
    ----------
    settings
        The configuration.
    client
        Who takes what is forwarded.
    watermark
        Tells when the disk is full; made from the settings where it is missing.

    Raises
    ------
    SpoolError
        If the spool cannot be used.
    ConfigurationError
        If TLS cannot be set up.
    OSError
        If a port cannot be had.
    """
    limit = watermark or Watermark(settings.spool)
    with Spool(settings.spool.path, remember=settings.commitment.commit_storage) as spool:
        landings = Landings(spool.objects, lambda more: limit.reached(spool.size, more))
        with landings, configured(landings):
            commitments = Commitments(settings, spool)
            listener = Listener(settings, spool, landings, commitments)
            feed = FeedListener(settings.hl7, spool, landings) if settings.hl7 else None
            forwarder = Forwarder(
                spool,
                client,
                uploads=settings.forward.uploads,
                longest_pause=settings.forward.longest_pause,
                backfill=frozenset(source.name for source in settings.sources if source.backfill),
            )
            parts: list[_Part] = [forwarder, commitments, listener, *([feed] if feed else [])]
            for part in parts:
                part.start()
            try:
                yield Gateway(spool, listener, feed)
            finally:
                for part in reversed(parts):
                    part.stop()


def run(settings: GatewaySettings, client: Client) -> None:
    """Run until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with running(settings, client) as gateway:
        feed = f", HL7 on port {gateway.feed.port}" if gateway.feed else ""
        log.info("listening: DICOM on port %d%s", gateway.dimse.port, feed)
        stopping.wait()
        log.info("stopping")
