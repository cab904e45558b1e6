"""What the spool holds, for whoever looks after the gateway. No UID, no AE title, no name of a patient."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import urllib3

from firstread.errors import FirstReadError
from firstread.gateway.items import Kind
from firstread.gateway.landing import Watermark
from firstread.gateway.settings import GatewaySettings, token_from
from firstread.gateway.spool import SpoolError
from firstread.gateway.tls import server_context

_LONG = 3600.0  # seconds; what waits longer is told as a problem


@dataclass(frozen=True)
class Refused:
    """Something in `refused/`.

    Parameters
    ----------
    file
        Its random name there.
    source
        Who sent it.
    reason
        Why the other side will not take it.
    """

    file: str
    source: str
    reason: str


@dataclass(frozen=True)
class GatewayStatus:
    """A look at the spool.

    Parameters
    ----------
    objects, messages
        Number that wait.
    waiting_bytes
        Their size.
    oldest_seconds
        How long the oldest has waited; 0 if none does.
    by_source
        Number of waiting objects.
    refused
        What was put aside.
    counters
        Events since the spool was made.
    is_full
        Whether objects are refused now.
    """

    objects: int
    messages: int
    waiting_bytes: int
    oldest_seconds: float
    by_source: dict[str, int]
    refused: list[Refused] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    is_full: bool = False

    @property
    def problems(self) -> list[str]:
        """What a person has to look at."""
        found = []
        if self.is_full:
            found.append("the spool is full: objects are refused with A700")
        if self.refused:
            found.append(f"{len(self.refused)} refused; they lie in the folder refused of the spool")
        if self.oldest_seconds > _LONG:
            found.append(f"something has waited for {self.oldest_seconds / 3600:.1f} hours")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {**asdict(self), "problems": self.problems}


def gateway_status(settings: GatewaySettings) -> GatewayStatus:
    """Look at the spool, while the gateway runs or not.

    Raises
    ------
    SpoolError
        If there is no spool, or it cannot be read.
    """
    index = settings.spool.path / "index.sqlite"
    if not index.is_file():
        raise SpoolError("there is no spool yet: the gateway has not run")
    try:
        with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True)) as connection:
            return _look(connection, settings)
    except sqlite3.Error:
        raise SpoolError("the index of the spool cannot be read") from None


def _look(connection: sqlite3.Connection, settings: GatewaySettings) -> GatewayStatus:
    def rows(query: str, *values: object) -> list[Any]:
        return connection.execute(query, values).fetchall()

    kinds = dict(rows("SELECT kind, count(*) FROM items WHERE refusal IS NULL GROUP BY kind"))
    ((size, oldest),) = rows("SELECT coalesce(sum(size), 0), min(received) FROM items WHERE refusal IS NULL")
    ((everything,),) = rows("SELECT coalesce(sum(size), 0) FROM items")
    by_source = rows(
        "SELECT source, count(*) FROM items WHERE refusal IS NULL AND kind = ? GROUP BY source", Kind.OBJECT
    )
    refused = rows("SELECT name, source, refusal FROM items WHERE refusal IS NOT NULL ORDER BY id")
    return GatewayStatus(
        objects=kinds.get(Kind.OBJECT, 0),
        messages=kinds.get(Kind.FEED, 0),
        waiting_bytes=size,
        oldest_seconds=time.time() - oldest if oldest else 0.0,
        by_source=dict(by_source),
        refused=[Refused(*row) for row in refused],
        counters=dict(rows("SELECT name, value FROM counters ORDER BY name")),
        is_full=Watermark(settings.spool).reached(everything),
    )


def problems_of(settings: GatewaySettings) -> list[str]:
    """Return what would keep a gateway with this configuration from working; nothing is changed."""
    checks: list[Callable[[], object]] = [partial(token_from, settings.forward.token_file)]
    for listener in (settings.dimse, settings.hl7):
        if listener is not None:
            checks.append(partial(server_context, listener.tls))
    found = [text for check in checks if (text := _said(check))]
    return found + _problems_of_spool(settings) + _problems_of_service(settings)


def _said(check: Callable[[], object]) -> str:
    try:
        check()
    except FirstReadError as error:
        return str(error)
    return ""


def _problems_of_spool(settings: GatewaySettings) -> list[str]:
    path = settings.spool.path
    existing = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return ["the folder of the spool cannot be written"]
    limits = settings.spool.model_copy(update={"path": existing})
    return ["the disk of the spool is full"] if Watermark(limits).reached(0) else []


def _problems_of_service(settings: GatewaySettings) -> list[str]:
    url = f"{settings.forward.url.rstrip('/')}/healthz"
    try:
        with urllib3.PoolManager(retries=False, timeout=10) as pool:
            status = pool.request("GET", url).status
    except urllib3.exceptions.HTTPError as error:
        return [f"the ingest service does not answer ({type(error).__name__})"]
    return [] if status == 200 else [f"the ingest service answers {status} to /healthz"]
