"""Keeps the last used values in memory, up to a size."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


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
