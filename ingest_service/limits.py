"""How far a request may go, and how much is done at a time."""

from dataclasses import dataclass, field
from threading import Lock
from types import TracebackType
from typing import Self

from ingest_service.errors import BusyError


@dataclass(frozen=True)
class StowLimits:
    """Bounds of one STOW-RS request.

    Parameters
    ----------
    bytes
        Of the body, inflated.
    parts
        In the body.
    ratio
        Inflated to received bytes, judged above a mebibyte.
    """

    bytes: int
    parts: int = 20_000
    ratio: int = 100


@dataclass
class Gate:
    """Back-pressure: so many requests and bytes are at work at a time, and who comes after them comes again.

    Parameters
    ----------
    requests
        At a time.
    bytes
        Of all of them together: what is announced, or what has come where that is more.
    """

    requests: int
    bytes: int
    _requests: int = 0
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def place(self, announced: int) -> "Place":
        """Return the place of a request with so many announced bytes.

        Raises
        ------
        BusyError
            If there is none.
        """
        with self._lock:
            # One request alone always has a place: what it may hold is bounded by its own limit.
            if self._requests and (self._requests >= self.requests or self._bytes + announced > self.bytes):
                raise BusyError("too many requests at a time")
            self._requests += 1
            self._bytes += announced
        return Place(self, announced)

    def _grow(self, more: int) -> None:
        with self._lock:
            if self._requests > 1 and self._bytes + more > self.bytes:
                raise BusyError("too many requests at a time")
            self._bytes += more

    def _leave(self, held: int) -> None:
        with self._lock:
            self._requests -= 1
            self._bytes -= held


class Place:
    """What one request holds of a `Gate` while it is at work."""

    def __init__(self, gate: Gate, held: int) -> None:
        self._gate, self._held = gate, held

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._gate._leave(self._held)

    def came(self, total: int) -> None:
        """Take note of how many bytes have come.

        Raises
        ------
        BusyError
            If more came than was announced and there is no place for it.
        """
        if total > self._held:
            self._gate._grow(total - self._held)
            self._held = total
