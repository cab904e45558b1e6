"""A file that the worker touches with every round of its loop, and the health check of the container looks at."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from firstread.errors import FirstReadError

LONGEST_SECONDS = 4000
"""An analysis may take an hour (`BundleManifest.timeout_seconds`); a worker that is silent for longer hangs."""
_EVERY_SECONDS = 1.0


class HeartbeatError(FirstReadError):
    """The worker does not move any more, or never did; the text says so."""


def default_path() -> Path:
    """Return where the heartbeat of this user's worker is: in the scratch space, as the rest is read-only."""
    return Path(tempfile.gettempdir()) / f"firstread-heartbeat-{os.getuid()}"


class Heartbeat:
    """The heartbeat of a worker.

    Parameters
    ----------
    path
        The file.
    clock
        Seconds since the epoch.
    """

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path or default_path(), clock
        self._last = float("-inf")

    def beat(self) -> None:
        """Touch the file, once a second at most."""
        now = self._clock()
        if now - self._last >= _EVERY_SECONDS:
            self._last = now
            self._path.touch(mode=0o600)
            os.utime(self._path, (now, now))

    def check(self) -> float:
        """Return the seconds since the last beat.

        Raises
        ------
        HeartbeatError
            If there was none, or it is too long ago.
        """
        try:
            age = self._clock() - self._path.stat().st_mtime
        except FileNotFoundError:
            raise HeartbeatError("the worker has not started to work") from None
        if age > LONGEST_SECONDS:
            raise HeartbeatError(f"the worker has not moved for {age:.0f} seconds")
        return age
