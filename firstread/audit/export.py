"""The daily export: the events of a day as NDJSON of FHIR AuditEvents, with the head of each chain, kept under a lock.

The bucket has S3 Object Lock in compliance mode: for years nobody, not even the root user, can change or delete what
is there. So the heads in a day's manifest show it when somebody cuts off or rewrites a chain afterwards.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from botocore.exceptions import ClientError

from firstread.audit.chain import Head
from firstread.audit.fhir import resource
from firstread.errors import FirstReadError, NotFoundError
from firstread.records.audit import AuditTrail, Entry
from firstread.storage import AUDIT_PREFIX, Bucket, Inventory, checksum_of

LOOK_BACK_DAYS = 7
SETTLES_IN = timedelta(hours=1)
"""An event is written within a moment of its time, and an index is some moments late."""
_FORMAT = "firstread audit export"
_CHUNK = 1024 * 1024
_IN_MEMORY_BYTES = 32 * 1024 * 1024
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class DayNotOverError(FirstReadError):
    """A day of which events may still come."""


class ExportError(FirstReadError):
    """Chains with gaps, or an export that is not what its manifest says; the text names no patient."""


@dataclass(frozen=True)
class Manifest:
    """What one day's export holds.

    Parameters
    ----------
    day
        Which day (UTC), as ``2026-03-02``.
    events, sha256
        Number of events, and digest of the compressed file.
    heads
        Subject -> the last event of its chain on that day.
    gaps
        Subjects of chains with a number missing in between.
    """

    day: str
    events: int
    sha256: str
    heads: dict[str, Head]
    gaps: tuple[str, ...] = ()

    @property
    def events_key(self) -> str:
        """Return where the events are: under their digest, so that two tries never overwrite each other."""
        return f"{AUDIT_PREFIX}{self.day}/{self.sha256}.ndjson.gz"

    def text(self) -> str:
        """Return it as JSON."""
        heads = {subject: [head.number, head.digest] for subject, head in sorted(self.heads.items())}
        said = {"format": _FORMAT, "version": 1, "day": self.day, "events": self.events}
        return json.dumps({**said, "sha256": self.sha256, "gaps": list(self.gaps), "heads": heads}, indent=1)

    @classmethod
    def parse(cls, text: str | bytes) -> "Manifest":
        """Read a manifest.

        Raises
        ------
        ExportError
            If it is none.
        """
        try:
            said = json.loads(text)
            if (said["format"], said["version"]) != (_FORMAT, 1):
                raise ValueError
            heads = {
                subject: Head(int(number), str(digest)) for subject, (number, digest) in said["heads"].items()
            }
            return cls(said["day"], int(said["events"]), said["sha256"], heads, tuple(said["gaps"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ExportError("this is no manifest of an audit export") from None


@dataclass
class _Chains:
    """What was seen of each chain while its events went by in the order of their times."""

    first: dict[str, int] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    seen: int = 0

    def see(self, entry: Entry) -> Entry:
        subject = entry.subject
        self.first[subject] = min(entry.number, self.first.get(subject, entry.number))
        self.count[subject] = self.count.get(subject, 0) + 1
        if subject not in self.heads or self.heads[subject].number < entry.number:
            self.heads[subject] = Head(entry.number, entry.digest)
        self.seen += 1
        return entry

    def with_gaps(self) -> list[str]:
        return [
            subject
            for subject, head in self.heads.items()
            if head.number - self.first[subject] + 1 != self.count[subject]
        ]


def write_day(trail: AuditTrail, day: str, target: IO[bytes]) -> Manifest:
    """Write the events of a day as gzipped NDJSON in the order of their times; the same events give the same bytes.

    Where clocks of programs differ at midnight, an event of the neighbouring day lies between two of this day; it is
    written too, at the end, so that each chain in the file is without gaps.
    """
    chains = _Chains()
    with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as file:
        for entry in trail.of_day(day, oldest_first=True):
            file.write(_line(chains.see(entry)))
        for subject in sorted(chains.with_gaps()):
            for entry in trail.entries(subject, chains.first[subject], chains.heads[subject].number):
                if entry.at[:10] != day:
                    file.write(_line(chains.see(entry)))
    gaps = tuple(sorted(chains.with_gaps()))
    return Manifest(day, chains.seen, sha256_of(target), chains.heads, gaps)


def sha256_of(file: IO[bytes]) -> str:
    """Return the digest of a file from its beginning on."""
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def lines_of(source: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the resources of an export.

    Raises
    ------
    ExportError
        If it is no gzipped NDJSON.
    """
    try:
        with gzip.GzipFile(fileobj=source) as file:
            for line in file:
                yield json.loads(line)
    except (OSError, EOFError, ValueError):
        raise ExportError("this is no audit export, or it was cut off") from None


def ndjson(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield events as lines of NDJSON."""
    return map(_line, entries)


def _line(entry: Entry) -> bytes:
    return json.dumps(resource(entry), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def must_be_over(day: str, moment: datetime) -> None:
    """Refuse a day of which events may still come.

    Raises
    ------
    DayNotOverError
        If it is not over, or was until an hour ago.
    """
    over = datetime.combine(date.fromisoformat(day) + timedelta(1), time.min, UTC)
    if moment < over + SETTLES_IN:
        raise DayNotOverError(
            "the day is not over yet; its events can be exported an hour after midnight UTC"
        )


@dataclass(frozen=True)
class Exports:
    """The exports in their bucket.

    Parameters
    ----------
    trail
        The events.
    bucket
        The bucket with the lock.
    """

    trail: AuditTrail
    bucket: Bucket

    def catch_up(self, moment: datetime) -> list[Manifest]:
        """Export each of the last days that has no manifest yet, oldest first, and return what was written.

        Raises
        ------
        ExportError
            If chains have gaps; all days are exported first.
        """
        today = moment.date()
        days = [(today - timedelta(back)).isoformat() for back in range(LOOK_BACK_DAYS, 0, -1)]
        done: list[Manifest] = []
        for day in days:
            try:
                must_be_over(day, moment)
            except DayNotOverError:
                continue
            if self.manifest(day) is None:
                done.append(self.export(day, moment))
        broken = sorted({subject for manifest in done for subject in manifest.gaps})
        if broken:
            # Exported all the same: what is left is evidence. The failure is for whoever watches.
            raise ExportError(
                f"audit events are missing in {len(broken)} chains; see `firstread audit verify`"
            )
        return done

    def export(self, day: str, moment: datetime) -> Manifest:
        """Export a day, unless that was done before, and return its manifest.

        Raises
        ------
        DayNotOverError
            If events of it may still come.
        """
        must_be_over(day, moment)
        there = self.manifest(day)
        if there is not None:
            return there
        with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
            manifest = write_day(self.trail, day, file)
            file.seek(0)
            self._put(manifest.events_key, file, "application/gzip", manifest.sha256)
        text = manifest.text().encode()
        # The manifest comes last: where it is, its events are. Another try at the same moment may have been first.
        self._put(_manifest_key(day), text, "application/json", hashlib.sha256(text).hexdigest())
        return self.manifest(day) or manifest

    def manifest(self, day: str) -> Manifest | None:
        """Return the manifest of a day, or None where it was not exported."""
        try:
            return Manifest.parse(self.bucket.get(_manifest_key(day)))
        except NotFoundError:
            return None

    def first_day(self) -> date | None:
        """Return the first day that was exported, or None."""
        page = next(Inventory(self.bucket.name).pages(AUDIT_PREFIX), [])
        return date.fromisoformat(page[0].key.removeprefix(AUDIT_PREFIX)[:10]) if page else None

    def _put(self, key: str, body: bytes | IO[bytes], content_type: str, sha256: str) -> None:
        try:
            self.bucket.put_once(key, body, content_type, checksum_of(sha256))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _TAKEN:
                raise


def _manifest_key(day: str) -> str:
    return f"{AUDIT_PREFIX}{day}/manifest.json"
