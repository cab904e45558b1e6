"""Files that are being received: written once, in pieces, with their digest, and given up rather than failing.

pynetdicom writes an incoming dataset from the thread that reads the network. An error there would end that thread
and with it the association, without an answer. So a disk that is full is remembered, the rest is thrown away, and
the answer of C-STORE says it.
"""

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self
from uuid import uuid4

from firstread.gateway.settings import SpoolSettings

_BUFFER = 1024 * 1024
_LOOK_AGAIN = 64 * 1024 * 1024  # bytes of one object between two looks at the disk


class Watermark:
    """Tells when the disk holds enough.

    Parameters
    ----------
    settings
        The limits.
    statvfs
        Of the operating system.
    """

    def __init__(
        self, settings: SpoolSettings, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
    ) -> None:
        self._settings, self._statvfs = settings, statvfs

    def reached(self, spooled: int, more: int = 0) -> bool:
        """Return whether no further object may come.

        Parameters
        ----------
        spooled
            Bytes that wait.
        more
            Bytes that are being received and not counted by the disk yet.
        """
        settings = self._settings
        if settings.max_bytes and spooled + more > settings.max_bytes:
            return True
        disk = self._statvfs(settings.path)
        free = disk.f_bavail * disk.f_frsize - more
        total = disk.f_blocks * disk.f_frsize
        return free < max(settings.free_bytes, total * settings.free_percent / 100)


class Landing:
    """One file that is being received; what pynetdicom takes for a temporary file.

    Parameters
    ----------
    folder
        Where it lies.
    suffix
        Of its name once it is whole; until then it ends in ``.part``.
    is_full
        Asked with the bytes so far, whether to give up.
    """

    def __init__(self, folder: Path, suffix: str, is_full: Callable[[int], bool]) -> None:
        self._whole = folder / f"{uuid4().hex}{suffix}"
        self.path = self._whole.with_suffix(".part")
        self.name = str(
            self.path
        )  # pynetdicom reads this and `file`, and removes the name when it has answered
        self.file = self
        self.size = 0
        self.failure: int | None = None
        """Number of the system's error that the file was given up for; ENOSPC also at the watermark."""
        self._digest = hashlib.sha256()
        self._is_full, self._look_at = is_full, 0
        self._file = None
        try:
            self._look()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            self._file = os.fdopen(os.open(self.path, flags, 0o600), "wb", _BUFFER)
        except OSError as error:
            self._give_up(error)

    def write(self, data: bytes) -> int:
        """Append bytes, or throw them away once the file was given up."""
        self.size += len(data)
        if self._file is None:
            return len(data)
        try:
            if self.size >= self._look_at:
                self._look()
            self._file.write(data)
            self._digest.update(data)
        except OSError as error:
            self._give_up(error)
        return len(data)

    def flush(self) -> None:
        """Do nothing: pynetdicom asks after every fragment, and the disk is asked once, in `finish`."""

    def close(self) -> None:
        """Do nothing: pynetdicom closes after the answer is made, when the file is no longer its own."""

    def flush_buffer(self) -> None:
        """Let other readers of the file see all of it.

        Raises
        ------
        OSError
            If the disk is full or broken; the file is given up.
        """
        try:
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            self._give_up(error)
            raise

    def finish(self) -> None:
        """Put everything on the disk, and give the file its name; the folder is not on the disk then.

        Raises
        ------
        OSError
            If the file was given up, or cannot be kept.
        """
        if self.failure is not None or self._file is None:
            raise OSError(self.failure or errno.EIO, "the object was not written")
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self.path = self.path.rename(self._whole)
        except OSError as error:
            self._give_up(error)
            raise

    @property
    def sha256(self) -> str:
        """Digest of what was written, in hexadecimal."""
        return self._digest.hexdigest()

    def discard(self) -> None:
        """Remove the file."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _look(self) -> None:
        self._look_at = self.size + _LOOK_AGAIN
        if self._is_full(self.size):
            raise OSError(errno.ENOSPC, "the spool is full")

    def _give_up(self, error: OSError) -> None:
        self.failure = error.errno or errno.EIO
        self._close()
        try:
            self.path.unlink(missing_ok=True)  # its room is needed
        except OSError:
            return  # what is left is removed at the next start

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError:
            return  # the buffer could not be written; the file is given up


class Landings:
    """The files that are being received now.

    Parameters
    ----------
    folder
        Where they lie.
    is_full
        Asked with the bytes of a file so far, whether to give it up.
    """

    def __init__(self, folder: Path, is_full: Callable[[int], bool]) -> None:
        self._folder, self._is_full = folder, is_full
        self._files: dict[str, Landing] = {}
        self._lock = threading.Lock()

    def new(self, suffix: str) -> Landing:
        """Begin a file."""
        landing = self.own(suffix)
        with self._lock:
            self._files[landing.name] = landing
        return landing

    def own(self, suffix: str) -> Landing:
        """Begin a file that is the caller's."""
        return Landing(self._folder, suffix, self._is_full)

    def take(self, path: Path) -> Landing:
        """Return a file that was begun, which is the caller's from now on."""
        with self._lock:
            return self._files.pop(str(path))

    def discard(self, path: Path | None) -> None:
        """Remove a file whose rest will not come."""
        with self._lock:
            landing = self._files.pop(str(path), None)
        if landing is not None:
            landing.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for name in list(self._files):
            self.discard(Path(name))
