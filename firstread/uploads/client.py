"""The client of the ingest service: it holds a token and talks HTTP, and never sees a key of AWS."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from firstread.uploads.errors import RefusedUploadError, UnreachableError, UploadError
from firstread.uploads.wire import Answer, Wire, chunks_of

MOST_ITEMS = 100
"""Objects in one request to the service."""
PART_BYTES = 64 * 1024 * 1024
FORM_BYTES = PART_BYTES
"""Larger objects go in parts of `PART_BYTES`, the last one excepted."""
MOST_STUDIES = 1000
"""Studies in one end of a batch."""
_UID = re.compile(r"[0-9.]{1,64}")
_ASKED_BYTES = 256 * 1024 * 1024  # what is signed at once can be sent before it expires, over slow lines too


@dataclass(frozen=True)
class Upload:
    """One object to send.

    Parameters
    ----------
    path
        Where its bytes are; they must not change until they are sent.
    sha256, size
        Of the bytes: hexadecimal, and their number. S3 checks both.
    study_uid, sop_uid
        Original UIDs; "" where nobody read them. The service keeps references only.
    number
        Counts from 1 within its study and batch (`firstread.arrival.lane_of`).
    urgent
        Its tags say STAT.
    """

    path: Path = field(repr=False)
    sha256: str
    size: int
    study_uid: str = field(repr=False)
    sop_uid: str = field(repr=False)
    number: int
    urgent: bool


@dataclass(frozen=True)
class Uploaded:
    """One object that S3 has acknowledged.

    Parameters
    ----------
    upload
        What was sent.
    object_key
        In the incoming bucket.
    version_id
        "" where S3 did not say.
    """

    upload: Upload
    object_key: str
    version_id: str = ""


class IngestClient:
    """Talks to one ingest service; may be used by several threads at a time.

    Parameters
    ----------
    url
        Root of the service, such as ``https://ingest.example`` or ``http://127.0.0.1:8081``.
    token
        Bearer token of the source.
    timeout
        Seconds to wait for a connection, and for each answer.

    Raises
    ------
    RefusedUploadError
        With reason ``not_https`` if the token and the bytes would travel in clear beyond this machine.
    """

    def __init__(self, url: str, token: str, timeout: float = 60) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._wire = Wire(timeout)
        self._wire.judge(self._url)

    def upload(self, items: Sequence[Upload], *, batch: str = "", backfill: bool = False) -> list[Uploaded]:
        """Send objects, one after the other, and return them in the order given.

        Parameters
        ----------
        items
            Any number of them.
        batch
            Name of the association or command they belong to, the one of `end_batch`: letters, digits and hyphens,
            random. "" lets the service make one up.
        backfill
            Nobody waits for them.

        Raises
        ------
        BusyError, UnreachableError, RefusedUploadError
            With `done`: what was acknowledged before.
        """
        done: list[Uploaded] = []
        try:
            for group in _groups(items):
                digests = [_part_digests(item) for item in group]
                ways = self._ask(group, digests, batch, backfill=backfill)
                for item, parts, way in zip(group, digests, ways, strict=True):
                    done.append(self._send(item, parts, way))
        except UploadError as error:
            error.done = tuple(done)
            raise
        except (KeyError, TypeError, ValueError):  # an answer that is not of the form
            unreachable = UnreachableError()
            unreachable.done = tuple(done)
            raise unreachable from None
        return done

    def end_batch(self, batch: str, studies: Mapping[str, int]) -> None:
        """Say that a batch is over.

        Parameters
        ----------
        batch
            Its name.
        studies
            Original Study Instance UID -> number of different SOP instances that the batch brought. What is no UID is
            left out: no study is known by it.

        Raises
        ------
        BusyError, UnreachableError, RefusedUploadError
            As `upload`.
        """
        known = [(uid, count) for uid, count in studies.items() if _UID.fullmatch(uid)]
        for start in range(0, len(known), MOST_STUDIES):
            some = dict(known[start : start + MOST_STUDIES])
            self._post(f"/ingest/batches/{batch}/end", {"studies": some})

    def feed(self, message: bytes) -> None:
        """Hand over one HL7 v2 message (ER7).

        Raises
        ------
        BusyError, UnreachableError, RefusedUploadError
            As `upload`.
        """
        headers = {**self._headers, "Content-Type": "application/hl7-v2+er7"}
        self._wire.send("POST", f"{self._url}/ingest/feed", headers, message)

    def _post(self, path: str, body: object) -> Answer:
        headers = {**self._headers, "Content-Type": "application/json"}
        return self._wire.send("POST", self._url + path, headers, json.dumps(body).encode())

    def _ask(
        self, group: Sequence[Upload], digests: Sequence[list[str]], batch: str, *, backfill: bool
    ) -> list[dict[str, Any]]:
        objects = [
            {
                "size": item.size,
                "sha256": item.sha256,
                "study_uid": _uid(item.study_uid),
                "sop_uid": _uid(item.sop_uid),
                "number": item.number,
                "urgent": item.urgent,
                "part_sha256": parts,
            }
            for item, parts in zip(group, digests, strict=True)
        ]
        answer = self._post("/uploads", {"batch": batch, "backfill": backfill, "objects": objects})
        ways: list[dict[str, Any]] = answer.json()["uploads"]
        return ways

    def _send(self, item: Upload, digests: Sequence[str], way: Mapping[str, Any]) -> Uploaded:
        key = str(way["object_key"])
        with _opened(item) as file:
            if "form" in way:
                answer = self._wire.post_form(way["form"]["url"], way["form"]["fields"], file, item.size)
                return Uploaded(item, key, answer.headers.get("x-amz-version-id", ""))
            sent = [
                {"etag": self._put_part(file, part, size), "sha256": digest}
                for part, size, digest in zip(way["parts"]["parts"], _part_sizes(item), digests, strict=True)
            ]
        body = {"object_key": key, "upload_id": way["parts"]["upload_id"], "parts": sent}
        return Uploaded(item, key, str(self._post("/uploads/complete", body).json()["version_id"]))

    def _put_part(self, file: IO[bytes], part: Mapping[str, Any], size: int) -> str:
        return self._wire.put_bytes(part["url"], part["headers"], file, size).headers["etag"]


def open_client(url: str, token_file: Path) -> IngestClient:
    """Return a client with the token in a file.

    Raises
    ------
    OSError
        If the file cannot be read.
    RefusedUploadError
        As `IngestClient`.
    """
    return IngestClient(url, token_file.read_bytes().decode("ascii", "replace").strip())


def _uid(text: str) -> str:
    """Return a UID, "" for what is none: a door must not keep an object for a name that the pipeline would hold."""
    return text if _UID.fullmatch(text) else ""


def _groups(items: Sequence[Upload]) -> Iterator[list[Upload]]:
    """Yield the items in groups that one request may ask for."""
    group: list[Upload] = []
    total = 0
    for item in items:
        if group and (len(group) == MOST_ITEMS or total + item.size > _ASKED_BYTES):
            yield group
            group, total = [], 0
        group.append(item)
        total += item.size
    if group:
        yield group


def _opened(item: Upload) -> IO[bytes]:
    try:
        return item.path.open("rb")
    except OSError:
        raise RefusedUploadError("changed") from None


def _part_digests(item: Upload) -> list[str]:
    if item.size <= FORM_BYTES:
        return []
    with _opened(item) as file:
        return [_digest_of_part(file, size) for size in _part_sizes(item)]


def _part_sizes(item: Upload) -> list[int]:
    if item.size <= FORM_BYTES:
        return []
    return [min(PART_BYTES, item.size - start) for start in range(0, item.size, PART_BYTES)]


def _digest_of_part(file: IO[bytes], size: int) -> str:
    digest = hashlib.sha256()
    for chunk in chunks_of(file, size):
        digest.update(chunk)
    return digest.hexdigest()
