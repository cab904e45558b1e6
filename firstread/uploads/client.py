"""The client of the ingest service: it holds a token and talks HTTP, and never sees a key of AWS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


MOST_ITEMS = 100
"""Objects in one request to the service."""
PART_BYTES = 64 * 1024 * 1024
FORM_BYTES = PART_BYTES
"""Larger objects go in parts of `PART_BYTES`, the last one excepted."""


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
    """

    def __init__(self, url: str, token: str, timeout: float = 60) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = timeout

    def upload(self, items: Sequence[Upload], *, batch: str = "", backfill: bool = False) -> list[Uploaded]:
        """Send objects, one after the other, and return them in the order given.

        Parameters
        ----------
        items
            At most 100.
        batch
            Name of the association or command they belong to, the one of `end_batch`; random, no patient data.
        backfill
            Nobody waits for them.

        Raises
        ------
        BusyError, UnreachableError, RefusedUploadError
            With `done`: what was acknowledged before.
        """
        raise NotImplementedError

    def end_batch(self, batch: str, studies: Mapping[str, int]) -> None:
        """Say that a batch is over.

        Parameters
        ----------
        batch
            Its name.
        studies
            Original Study Instance UID -> number of different SOP instances that the batch brought.

        Raises
        ------
        BusyError, UnreachableError, RefusedUploadError
            As `upload`.
        """
        raise NotImplementedError

    def feed(self, message: bytes) -> None:
        """Hand over one HL7 v2 message (ER7).

        Raises
        ------
        BusyError, UnreachableError, RefusedUploadError
            As `upload`.
        """
        raise NotImplementedError
