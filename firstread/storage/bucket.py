"""Objects in a bucket: whole, in pieces, in parts, and by who has no credentials."""

import base64
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from firstread.errors import NotFoundError
from firstread.region import making, region

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK = 1024 * 1024
_IN_MEMORY_BYTES = 64 * 1024 * 1024
NO_VERSION = "null"
"""Version id of an object in a bucket without versions."""
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})


@lru_cache(maxsize=1)
def client() -> "S3Client":
    """Return the process's S3 client; the endpoint comes from ``AWS_ENDPOINT_URL`` where set."""
    # Signature v4 by name: the default of presigned requests is not expired by every S3.
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    with making:
        return boto3.client("s3", region_name=region(), config=config)


@dataclass(frozen=True)
class StoredObject:
    """An object of which nothing but what S3 says has been read.

    Parameters
    ----------
    version_id
        Its version; "null" in a bucket without versions, as S3 itself says.
    size
        In bytes.
    metadata
        User metadata, names in lower case.
    body
        Its bytes, as they come.
    """

    version_id: str
    size: int
    metadata: Mapping[str, str]
    body: IO[bytes]

    @contextmanager
    def file(self) -> Iterator[IO[bytes]]:
        """Give the bytes as a seekable file: in memory while small, else on disk."""
        with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
            shutil.copyfileobj(self.body, file, _CHUNK)
            file.seek(0)
            yield file


def checksum_of(sha256: str) -> str:
    """Return a hexadecimal SHA-256 as S3 writes it: Base64."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


@dataclass(frozen=True)
class Piece:
    """Some bytes of an object.

    Parameters
    ----------
    body
        The bytes; fewer than asked for where the object ends.
    size
        Of the whole object, in bytes.
    """

    body: bytes
    size: int


@dataclass(frozen=True)
class Form:
    """A presigned S3 POST policy: whoever holds it may write one object, and no other.

    Parameters
    ----------
    url
        Where to post to.
    fields
        Form fields that go before the file.
    """

    url: str
    fields: dict[str, str]


@dataclass(frozen=True)
class PartUrl:
    """A presigned URL for one part of a multipart upload, and the headers that were signed with it."""

    url: str
    headers: dict[str, str]


class Bucket:
    """One bucket.

    Parameters
    ----------
    name
        Bucket name.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def put(self, key: str, body: bytes | IO[bytes], content_type: str) -> str:
        """Write an object and return its version id."""
        response = client().put_object(Bucket=self.name, Key=key, Body=body, ContentType=content_type)
        return response.get("VersionId", NO_VERSION)

    def put_once(
        self,
        key: str,
        body: bytes | IO[bytes],
        content_type: str,
        sha256: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Write an object under a key that must be new, and return its version id.

        Parameters
        ----------
        key, body, content_type
            The object.
        sha256
            Its SHA-256 in Base64, which S3 then checks; "" for none.
        metadata
            User metadata (`firstread.arrival.Arrival.metadata`).

        Raises
        ------
        botocore.exceptions.ClientError
            With code ``PreconditionFailed`` if the key exists, ``BadDigest`` if the bytes are not as promised.
        """
        extra: dict[str, Any] = {"ChecksumSHA256": sha256} if sha256 else {}
        response = client().put_object(
            Bucket=self.name,
            Key=key,
            Body=body,
            ContentType=content_type,
            IfNoneMatch="*",
            Metadata=metadata or {},
            **extra,
        )
        return response.get("VersionId", NO_VERSION)

    @contextmanager
    def stored(self, key: str, version_id: str | None = None) -> Iterator[StoredObject]:
        """Give an object before its bytes are read; without a version id, the current version.

        Raises
        ------
        NotFoundError
            If the object or version is not there.
        """
        versioned = version_id not in (None, NO_VERSION)
        extra: dict[str, Any] = {"VersionId": version_id} if versioned else {}
        try:
            found = client().get_object(Bucket=self.name, Key=key, **extra)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise NotFoundError("no such object") from None
            raise
        with closing(found["Body"]) as body:
            yield StoredObject(
                version_id=found.get("VersionId", NO_VERSION),
                size=found["ContentLength"],
                metadata=found.get("Metadata", {}),
                body=cast(IO[bytes], body),
            )

    def form(self, key: str, size: int, sha256: str, metadata: Mapping[str, str], seconds: int) -> Form:
        """Return a form with which somebody without credentials may write one object of known bytes.

        Parameters
        ----------
        key, metadata
            The object; both are fixed by the policy.
        size, sha256
            Of its bytes: exact number, hexadecimal digest. S3 checks both.
        seconds
            How long the form may be used.
        """
        fixed = {
            "Content-Type": "application/octet-stream",
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": checksum_of(sha256),
            "success_action_status": "201",
            **{f"x-amz-meta-{name}": value for name, value in metadata.items()},
        }
        conditions: list[Any] = [{name: value} for name, value in fixed.items()]
        conditions.append(["content-length-range", size, size])
        made = client().generate_presigned_post(
            self.name, key, Fields=fixed, Conditions=conditions, ExpiresIn=seconds
        )
        return Form(made["url"], made["fields"])

    def begin_multipart(self, key: str, metadata: Mapping[str, str]) -> str:
        """Begin an object in parts, each with its SHA-256, and return the upload's id."""
        response = client().create_multipart_upload(
            Bucket=self.name,
            Key=key,
            ContentType="application/octet-stream",
            ChecksumAlgorithm="SHA256",
            Metadata=metadata,
        )
        return response["UploadId"]

    def part_url(self, key: str, upload_id: str, number: int, sha256: str, seconds: int) -> PartUrl:
        """Return where one part goes, for whoever knows bytes of that hexadecimal SHA-256."""
        checksum = checksum_of(sha256)
        url = client().generate_presigned_url(
            "upload_part",
            Params={
                "Bucket": self.name,
                "Key": key,
                "UploadId": upload_id,
                "PartNumber": number,
                "ChecksumSHA256": checksum,
            },
            ExpiresIn=seconds,
        )
        return PartUrl(url, {"x-amz-checksum-sha256": checksum})

    def end_multipart(self, key: str, upload_id: str, parts: Sequence[tuple[str, str]]) -> str:
        """Put the parts together, and return the object's version id.

        Parameters
        ----------
        key, upload_id
            As begun.
        parts
            ETag and hexadecimal SHA-256 of each, in order.

        Raises
        ------
        botocore.exceptions.ClientError
            With code ``NoSuchUpload``, ``InvalidPart`` or ``EntityTooSmall``.
        """
        named = [
            {"ETag": etag, "ChecksumSHA256": checksum_of(sha256), "PartNumber": number}
            for number, (etag, sha256) in enumerate(parts, start=1)
        ]
        response = client().complete_multipart_upload(
            Bucket=self.name,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": named},  # type: ignore[typeddict-item]
        )
        return response.get("VersionId", NO_VERSION)

    def get(self, key: str) -> bytes:
        """Return an object's bytes.

        Raises
        ------
        NotFoundError
            If it is not there.
        """
        with self.open(key) as file:
            return file.read()

    def has(self, key: str) -> bool:
        """Tell whether an object is there."""
        try:
            client().head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return False
            raise
        return True

    def piece(self, key: str, start: int, length: int) -> Piece:
        """Return some bytes of an object that is not empty.

        Parameters
        ----------
        key
            The object.
        start, length
            Offset in bytes, which must lie inside the object, and how many bytes.

        Raises
        ------
        NotFoundError
            If the object is not there.
        """
        try:
            found = client().get_object(
                Bucket=self.name, Key=key, Range=f"bytes={start}-{start + length - 1}"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise NotFoundError("no such object") from None
            raise
        with closing(found["Body"]) as body:
            return Piece(body.read(), int(found["ContentRange"].rpartition("/")[2]))

    @contextmanager
    def open(self, key: str, version_id: str | None = None) -> Iterator[IO[bytes]]:
        """Give an object as a seekable file: in memory while small, else on disk.

        Raises
        ------
        NotFoundError
            If the object or version is not there.
        """
        with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
            versioned = version_id not in (None, NO_VERSION)
            extra: dict[str, Any] = {"VersionId": version_id} if versioned else {}
            try:
                client().download_fileobj(self.name, key, file, ExtraArgs=extra)
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    raise NotFoundError("no such object") from None
                raise
            file.seek(0)
            yield file
