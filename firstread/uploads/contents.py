"""What there is to send below paths: files, and what is in zip archives, under limits.

A file's name may carry a patient's name: it never becomes part of a key, a record or a log.
"""

import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import mkstemp
from typing import IO

from firstread.errors import FirstReadError

_CHUNK = 1024 * 1024
_ENCRYPTED = 0x1  # general purpose flag of a zip entry


class Refusal(StrEnum):
    """Why something was not sent."""

    NOT_FOUND = "not_found"
    UNREADABLE = "unreadable"
    ZIP_DAMAGED = "zip_damaged"
    ZIP_TOO_MANY_ENTRIES = "zip_too_many_entries"
    ZIP_INFLATES_TOO_FAR = "zip_inflates_too_far"
    ZIP_ENCRYPTED = "zip_encrypted"
    TOO_LARGE = "too_large"
    CHANGED = "changed"


class RefusedError(FirstReadError):
    """Something that cannot be sent; the text is the refusal, never a name."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True)
class ZipLimits:
    """How far an archive may inflate.

    Parameters
    ----------
    entries
        Number of files in it.
    total_bytes, entry_bytes
        Inflated sizes, of all files and of one.
    ratio
        Inflated to stored size, judged for entries above a mebibyte.
    """

    entries: int = 100_000
    total_bytes: int = 64 * 1024**3
    entry_bytes: int = 2 * 1024**3
    ratio: int = 200


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield every file under the paths, in a stable order; links to folders are not followed.

    A folder that cannot be read is yielded itself, so that sending it is refused and said, not passed over.
    """
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir, it never raises
            yield path
            continue
        errors: list[OSError] = []
        for folder, subfolders, names in os.walk(path, onerror=errors.append):
            subfolders.sort()
            yield from (Path(folder) / name for name in sorted(names))
        yield from (Path(error.filename) for error in errors)


@dataclass(frozen=True)
class Content:
    """Something to send.

    Parameters
    ----------
    path
        Its bytes.
    temporary
        The file was made here, and goes when it is sent.
    """

    path: Path
    temporary: bool = False

    def release(self) -> None:
        """Let go of it."""
        if self.temporary:
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Contents:
    """Finds what there is to send.

    Parameters
    ----------
    folder
        Where archives are unpacked, one entry at a time.
    limits
        For archives.
    """

    folder: Path
    limits: ZipLimits = ZipLimits()

    def of(self, path: Path) -> Iterator[Content]:
        """Yield what is in a file.

        Raises
        ------
        RefusedError
            If it cannot be sent, or the rest of it cannot.
        OSError
            If it cannot be read.
        """
        if path.exists() and not path.is_file():  # a folder that cannot be listed, a pipe that would block
            raise RefusedError(Refusal.UNREADABLE)
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                yield Content(path)
                return
            file.seek(0)
            try:
                with zipfile.ZipFile(file) as archive:
                    yield from self._unzipped(archive)
            except RefusedError:
                raise
            except (RuntimeError, NotImplementedError):  # how `zipfile` says: encrypted, or unknown method
                raise RefusedError(Refusal.ZIP_ENCRYPTED) from None
            except Exception:
                # Damage shows in many ways: BadZipFile, zlib.error, OSError of bz2, IndexError of an empty name.
                raise RefusedError(Refusal.ZIP_DAMAGED) from None

    def _unzipped(self, archive: zipfile.ZipFile) -> Iterator[Content]:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > self.limits.entries:
            raise RefusedError(Refusal.ZIP_TOO_MANY_ENTRIES)
        # The whole archive is judged before any of it is sent: half a bomb is still a bomb.
        if any(entry.flag_bits & _ENCRYPTED for entry in entries):
            raise RefusedError(Refusal.ZIP_ENCRYPTED)
        declared = sum(entry.file_size for entry in entries)
        if declared > self.limits.total_bytes or any(self._is_bomb(entry) for entry in entries):
            raise RefusedError(Refusal.ZIP_INFLATES_TOO_FAR)
        for entry in entries:
            yield self._unpacked(archive, entry)

    def _unpacked(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Content:
        handle, name = mkstemp(dir=self.folder)
        content = Content(Path(name), temporary=True)
        try:
            with os.fdopen(handle, "wb") as target, archive.open(entry) as source:
                self._inflate(source, target)
        except BaseException:
            content.release()
            raise
        return content

    def _is_bomb(self, entry: zipfile.ZipInfo) -> bool:
        if entry.file_size > self.limits.entry_bytes:
            return True
        return entry.file_size > _CHUNK and entry.file_size > self.limits.ratio * max(1, entry.compress_size)

    def _inflate(self, source: IO[bytes], target: IO[bytes]) -> None:
        # The declared size may lie; zipfile stops at it, and this stops before it costs too much.
        written = 0
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > self.limits.entry_bytes:
                raise RefusedError(Refusal.ZIP_INFLATES_TOO_FAR)
            target.write(chunk)
