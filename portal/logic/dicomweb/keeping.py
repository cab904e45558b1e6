"""Keeps the last used values in memory, up to a size, and some of them for some seconds only."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

_Value = TypeVar("_Value")
_LOCKS = 64


class Kept(Generic[_Value]):
    """Values by key; those used least lately are let go.

    Parameters
    ----------
    limit
        Sum of the sizes that may be kept; the last value is kept whatever its size.
    size
        Tells the size of a value.
    """

    def __init__(self, limit: int, size: Callable[[_Value], int]) -> None:
        self._limit, self._size = limit, size
        self._total = 0
        self._lock = Lock()
        self._values: OrderedDict[Hashable, _Value] = OrderedDict()

    def get(self, key: Hashable) -> _Value | None:
        """Return a value, or None where it is not kept."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: Hashable, value: _Value) -> None:
        """Keep a value."""
        with self._lock:
            before = self._values.pop(key, None)
            if before is not None:
                self._total -= self._size(before)
            self._values[key] = value
            self._total += self._size(value)
            while len(self._values) > 1 and self._total > self._limit:
                _, gone = self._values.popitem(last=False)
                self._total -= self._size(gone)


class Renewed(Generic[_Value]):
    """Values that hold for some seconds, each made by one caller at a time.

    Whoever asks while a value is made anew gets the one before, unless that is older than twice its time; whoever asks
    while it is made for the first time waits for it.

    Parameters
    ----------
    limit, size
        As for `Kept`.
    seconds
        How long a value holds.
    tick
        Seconds from anywhere.
    """

    def __init__(
        self, limit: int, size: Callable[[_Value], int], seconds: float, tick: Callable[[], float]
    ) -> None:
        self._kept: Kept[tuple[float, _Value]] = Kept(limit, lambda made: size(made[1]))
        self._seconds, self._tick = seconds, tick
        self._locks = tuple(Lock() for _ in range(_LOCKS))

    def get(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        """Return a value that holds; `make` is called where there is none."""
        found = self._younger_than(self._seconds, key)
        if found is not None:
            return found[1]
        before = self._younger_than(2 * self._seconds, key)
        lock = self._locks[hash(key) % _LOCKS]
        if not lock.acquire(blocking=before is None) and before is not None:
            return before[1]
        try:
            found = self._younger_than(self._seconds, key)  # made while this one waited
            if found is None:
                found = (self._tick(), make())
                self._kept.put(key, found)
            return found[1]
        finally:
            lock.release()

    def _younger_than(self, seconds: float, key: Hashable) -> tuple[float, _Value] | None:
        found = self._kept.get(key)
        return found if found is not None and self._tick() - found[0] < seconds else None
