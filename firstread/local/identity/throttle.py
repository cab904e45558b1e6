"""Slows down guessing of passwords."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from firstread.clock import now

FREE_TRIES = 3
_FIRST_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(minutes=15)
_REMEMBERED = 10_000


@dataclass
class _Failures:
    count: int
    locked_until: datetime


class SignInThrottle:
    """Locks a user name for a time that doubles with every failure after the third.

    Names that do not exist are counted like others, so that the lock tells nobody which names do.

    Parameters
    ----------
    clock
        Says what time it is.
    """

    def __init__(self, clock: Callable[[], datetime] = now) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_seconds(self, name: str) -> int:
        """Return how long this name is still locked; 0 where it may try."""
        with self._lock:
            failures = self._failures.get(name)
        if failures is None:
            return 0
        left = (failures.locked_until - self._clock()).total_seconds()
        return max(0, -int(-left // 1))

    def failed(self, name: str) -> None:
        """Count a failure."""
        moment = self._clock()
        with self._lock:
            failures = self._failures.pop(name, None) or _Failures(0, moment)
            failures.count += 1
            # The exponent is bounded before the power is taken: hours of guessing must not make huge numbers.
            over = min(failures.count - FREE_TRIES, 10)
            if over >= 0:
                failures.locked_until = moment + min(_FIRST_WAIT * 2**over, _LONGEST_WAIT)
            self._failures[name] = failures
            while len(self._failures) > _REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        with self._lock:
            self._failures.pop(name, None)
