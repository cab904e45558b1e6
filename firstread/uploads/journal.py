"""What S3 has acknowledged of a push that was interrupted, so that the same command goes on where it was.

One file per command, named by a digest of it, readable by its owner only. It holds digests and keys: no path, no UID.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import IO, Self

from firstread.uploads.client import Uploaded


class Journal:
    """The journal of one command.

    Parameters
    ----------
    path
        Its file; what is there of an earlier run is read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._known: dict[tuple[str, int], tuple[str, str]] = {}
        self.batch = uuid.uuid4().hex
        """Name of the batch; the one of the run that was interrupted, if there was one."""
        self._read()
        self._file = self._opened()

    @classmethod
    def of(cls, folder: Path, command: Iterable[str], *, again: bool = False) -> Self:
        """Return the journal of a command.

        Parameters
        ----------
        folder
            Where journals are; made where missing.
        command
            What tells two commands apart, such as the paths.
        again
            Forget what is there.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = hashlib.sha256(json.dumps(list(command)).encode("utf-8", "surrogateescape")).hexdigest()
        path = folder / f"{digest[:32]}.journal"
        if again:
            path.unlink(missing_ok=True)
        return cls(path)

    def find(self, sha256: str, size: int) -> tuple[str, str] | None:
        """Return key and version of an object that an earlier run has sent."""
        return self._known.get((sha256, size))

    def add(self, uploaded: Uploaded) -> None:
        """Write down an object that is sent."""
        self._write([uploaded.upload.sha256, uploaded.upload.size, uploaded.object_key, uploaded.version_id])

    def close(self) -> None:
        """Keep what is written for the next run."""
        self._file.close()

    def forget(self) -> None:
        """Remove it, as the command is done: the same command later sends everything again."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        if not self._path.exists():
            return
        for number, line in enumerate(self._path.read_text(encoding="utf-8", errors="replace").splitlines()):
            try:
                entry = json.loads(line)
                if number == 0:
                    self.batch = str(uuid.UUID(entry).hex)
                else:
                    sha256, size, key, version = entry
                    self._known[str(sha256), int(size)] = str(key), str(version)
            except (ValueError, TypeError, AttributeError):
                continue  # cut short when the process died: the object is sent again

    def _opened(self) -> IO[str]:
        new = not self._path.exists()
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        file = os.fdopen(handle, "a", encoding="utf-8")
        self._file = file
        if new:
            self._write(self.batch)
        else:
            file.write("\n")  # ends a line that was cut short
        return file

    def _write(self, entry: object) -> None:
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
