"""Uploads that go to S3 without passing through here: each is named, bounded and signed, and that is all."""

import re
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Annotated

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Field

from firstread.arrival import Arrival, lane_of
from firstread.refs import References
from firstread.sources import Source
from firstread.storage import Bucket, incoming_key
from firstread.uploads.client import FORM_BYTES, MOST_ITEMS, PART_BYTES
from ingest_service.errors import InvalidError, MissingError, TooLargeError

MOST_BYTES = 5 * 1024**3
EXPIRES_SECONDS = 15 * 60
PART_EXPIRES_SECONDS = 60 * 60
"""A large object over a slow line: S3 asks for the time at the beginning of each part."""
_KEY = re.compile(r"in/(urgent|routine|bulk)/[0-9a-f]{32}")
_GONE = frozenset({"NoSuchUpload", "404"})
_WRONG = frozenset(
    {"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML", "InvalidRequest", "BadDigest"}
)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Uid = Annotated[str, Field(pattern=r"^[0-9.]{0,64}$")]
Batch = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,64}$")]


class Json(BaseModel):
    """Base of what goes in and out: unknown fields are errors."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class Wanted(Json):
    """One object that somebody wants to send.

    Parameters
    ----------
    size, sha256
        Of its bytes.
    study_uid, sop_uid
        Original UIDs; "" where the sender did not read them.
    urgent
        Its tags say STAT.
    number
        Counts from 1 within its study and batch; 0 lets its place in this request count.
    part_sha256
        Of each part of `PART_BYTES`, where it is larger than `FORM_BYTES`.
    """

    size: int = Field(ge=0)
    sha256: Sha256
    study_uid: Uid = Field("", repr=False)
    sop_uid: Uid = Field("", repr=False)
    urgent: bool = False
    number: int = Field(0, ge=0, le=10_000_000)
    part_sha256: tuple[Sha256, ...] = Field((), max_length=MOST_BYTES // PART_BYTES)


class UploadsRequest(Json):
    """What `POST /uploads` takes."""

    batch: Batch = ""
    urgent: bool = False
    backfill: bool = False
    objects: tuple[Wanted, ...] = Field(min_length=1, max_length=MOST_ITEMS)


class FormAnswer(Json):
    """An S3 POST policy: a form of these fields, and then the file."""

    url: str
    fields: dict[str, str]


class PartAnswer(Json):
    """Where one part is put, with these headers."""

    url: str
    headers: dict[str, str]


class PartsAnswer(Json):
    """A multipart upload: put each part, then `POST /uploads/complete`."""

    upload_id: str
    part_bytes: int
    parts: tuple[PartAnswer, ...]


class UploadAnswer(Json):
    """How one object is sent: as a form or in parts."""

    object_key: str
    form: FormAnswer | None = None
    parts: PartsAnswer | None = None


class UploadsAnswer(Json):
    """What `POST /uploads` answers, in the order of the request."""

    batch: str
    uploads: tuple[UploadAnswer, ...]


class DonePart(Json):
    """One part that S3 has acknowledged."""

    etag: str = Field(pattern=r'^"?[0-9A-Za-z+/=-]{1,128}"?$')
    sha256: Sha256


class CompleteRequest(Json):
    """What `POST /uploads/complete` takes."""

    object_key: str = Field(pattern=f"^{_KEY.pattern}$")
    upload_id: str = Field(pattern=r"^[\x21-\x7e]{1,1024}$")
    parts: tuple[DonePart, ...] = Field(min_length=1, max_length=MOST_BYTES // PART_BYTES)


class CompleteAnswer(Json):
    """What `POST /uploads/complete` answers."""

    object_key: str
    version_id: str


@dataclass(frozen=True)
class Uploads:
    """Signs uploads.

    Parameters
    ----------
    incoming
        The bucket.
    references
        Of original UIDs: they are signed in their place, and go no further than here.
    """

    incoming: Bucket
    references: References

    def begin(self, source: Source, asked: UploadsRequest) -> UploadsAnswer:
        """Return how each object is sent.

        Raises
        ------
        TooLargeError
            If one is larger than S3 takes as one object of ours.
        InvalidError
            If the digests of parts do not fit the size.
        """
        if any(each.size > MOST_BYTES for each in asked.objects):
            raise TooLargeError("an object may have 5 GiB")
        if any(len(each.part_sha256) != _part_count(each.size) for each in asked.objects):
            raise InvalidError("objects.part_sha256")
        name = asked.batch or uuid.uuid4().hex
        batch = self.references.batch(source.name, name)
        places: Counter[str] = Counter()
        answers = []
        for each in asked.objects:
            places[each.study_uid] += 1
            lane = lane_of(
                urgent=source.urgent or asked.urgent or each.urgent,
                number=each.number or places[each.study_uid],
                backfill=source.backfill or asked.backfill,
            )
            arrival = Arrival(
                source=source.name,
                batch=batch,
                study_ref=self.references.study(each.study_uid),
                sop_ref=self.references.instance(each.sop_uid),
                sha256=each.sha256,
            )
            answers.append(self._begin(incoming_key(lane), each, arrival))
        return UploadsAnswer(batch=name, uploads=tuple(answers))

    def _begin(self, key: str, wanted: Wanted, arrival: Arrival) -> UploadAnswer:
        metadata = arrival.metadata()
        if not wanted.part_sha256:
            form = self.incoming.form(key, wanted.size, wanted.sha256, metadata, EXPIRES_SECONDS)
            return UploadAnswer(object_key=key, form=FormAnswer(url=form.url, fields=form.fields))
        upload_id = self.incoming.begin_multipart(key, metadata)
        parts = [
            self.incoming.part_url(key, upload_id, number, sha256, PART_EXPIRES_SECONDS)
            for number, sha256 in enumerate(wanted.part_sha256, start=1)
        ]
        answers = tuple(PartAnswer(url=part.url, headers=part.headers) for part in parts)
        return UploadAnswer(
            object_key=key, parts=PartsAnswer(upload_id=upload_id, part_bytes=PART_BYTES, parts=answers)
        )

    def complete(self, asked: CompleteRequest) -> CompleteAnswer:
        """Put the parts of an object together.

        Raises
        ------
        MissingError
            If there is no such upload.
        InvalidError
            If S3 has other parts.
        """
        parts = [(each.etag, each.sha256) for each in asked.parts]
        try:
            version_id = self.incoming.end_multipart(asked.object_key, asked.upload_id, parts)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _GONE:
                raise MissingError("no such upload, or it is complete") from None
            if code in _WRONG:
                raise InvalidError("parts") from None
            raise
        return CompleteAnswer(object_key=asked.object_key, version_id=version_id)


def _part_count(size: int) -> int:
    return 0 if size <= FORM_BYTES else -(-size // PART_BYTES)
