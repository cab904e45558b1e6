"""The door of `firstread push`: files, folders and zip archives into the incoming bucket, with receipts.

A file's name may carry a patient's name: it never becomes part of a key, a record or a log.
"""

import base64
import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from botocore.exceptions import ClientError

from firstread.clock import now, to_text
from firstread.errors import FirstReadError
from firstread.records.instances import LedgerRepository
from firstread.storage import Bucket, incoming_key
from firstread.study import Receipt

_CHUNK = 1024 * 1024
SOURCE = "push"
_ENCRYPTED = 0x1  # general purpose flag of a zip entry


class Refusal(StrEnum):
    """Why something was not sent."""

    NOT_FOUND = "not_found"
    UNREADABLE = "unreadable"
    ZIP_DAMAGED = "zip_damaged"
    ZIP_TOO_MANY_ENTRIES = "zip_too_many_entries"
    ZIP_INFLATES_TOO_FAR = "zip_inflates_too_far"
    ZIP_ENCRYPTED = "zip_encrypted"


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


@dataclass(frozen=True)
class Sent:
    """What became of one thing that was to be sent.

    Parameters
    ----------
    number
        Counts from 1, in the order of the walk.
    path
        For the person who pushes; not sent anywhere.
    receipt
        None where it was refused.
    """

    number: int
    path: Path
    receipt: Receipt | None = None
    refusal: Refusal | None = None


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
class Push:
    """Sends objects.

    Parameters
    ----------
    incoming
        The bucket.
    ledger
        Where receipts go.
    limits
        For archives.
    """

    incoming: Bucket
    ledger: LedgerRepository
    limits: ZipLimits = ZipLimits()

    def send(self, paths: Iterable[Path]) -> Iterator[Sent]:
        """Send everything under the paths; what is refused is yielded with its reason, and the rest goes on."""
        number = 0
        for path in files(paths):
            try:
                for content in self._contents(path):
                    number += 1
                    yield Sent(number, path, receipt=self._put(content))
            except RefusedError as refused:
                number += 1
                yield Sent(number, path, refusal=refused.refusal)
            except FileNotFoundError:
                number += 1
                yield Sent(number, path, refusal=Refusal.NOT_FOUND)
            except OSError:
                number += 1
                yield Sent(number, path, refusal=Refusal.UNREADABLE)

    def _contents(self, path: Path) -> Iterator[IO[bytes]]:
        if path.exists() and not path.is_file():  # a folder that cannot be listed, a pipe that would block
            raise RefusedError(Refusal.UNREADABLE)
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                file.seek(0)
                yield file
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

    def _unzipped(self, archive: zipfile.ZipFile) -> Iterator[IO[bytes]]:
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
            with archive.open(entry) as source, SpooledTemporaryFile(max_size=64 * _CHUNK) as target:
                self._inflate(source, target)
                target.seek(0)
                yield target

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

    def _put(self, content: IO[bytes]) -> Receipt:
        digest = hashlib.sha256()
        size = 0
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
        content.seek(0)
        received_at = to_text(now())
        key = incoming_key()
        checksum = base64.b64encode(digest.digest()).decode()
        version_id = self._put_new(key, content, checksum)
        # After the object: a receipt without an object would be pending for ever, while an object without a
        # receipt gets one from its event.
        return self.ledger.hand_in(
            Receipt(
                object_key=key,
                version_id=version_id,
                source=SOURCE,
                received_at=received_at,
                size=size,
                sha256=digest.hexdigest(),
            )
        )

    def _put_new(self, key: str, content: IO[bytes], checksum: str) -> str:
        """Write under a key made a moment ago; where it exists already, our own earlier try has written it."""
        try:
            return self.incoming.put_once(key, content, "application/octet-stream", sha256=checksum)
        except ClientError as error:
            # The SDK tries again after a lost answer, and S3 then says that the condition is not met.
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            return self.incoming.version_of(key)
