"""Buckets that are listed, never read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firstread.clock import to_text
from firstread.storage.bucket import NO_VERSION, client

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectVersionTypeDef


@dataclass(frozen=True)
class Listed:
    """An object version as a listing names it.

    Parameters
    ----------
    version_id
        "null" in a bucket without versions.
    modified
        When it was written (`firstread.clock` text).
    latest
        Whether it is what the key stands for now.
    """

    key: str
    version_id: str
    size: int
    modified: str
    latest: bool


class Inventory:
    """A bucket that is listed, never read: for commands of operators, whose roles need no key to the bytes.

    Parameters
    ----------
    name
        Bucket name.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def pages(self, prefix: str) -> Iterator[list[Listed]]:
        """Yield all object versions below a prefix in the order of their keys, at most a thousand at a time."""
        paginator = client().get_paginator("list_object_versions")
        for page in paginator.paginate(Bucket=self.name, Prefix=prefix):
            found = [_listed(each) for each in page.get("Versions", [])]
            if found:
                yield found

    def has(self, key: str, version_id: str = "") -> bool:
        """Tell whether an object is there, or one version of it, which may lie under a delete marker."""
        found = client().list_object_versions(Bucket=self.name, Prefix=key, MaxKeys=10)
        return any(
            each["Key"] == key and (each["VersionId"] == version_id if version_id else each["IsLatest"])
            for each in found.get("Versions", [])
        )

    def delete(self, key: str, version_id: str) -> None:
        """Delete an object version for good; one that is gone already is fine."""
        extra: dict[str, Any] = {} if version_id == NO_VERSION else {"VersionId": version_id}
        client().delete_object(Bucket=self.name, Key=key, **extra)


def _listed(entry: "ObjectVersionTypeDef") -> Listed:
    return Listed(
        key=entry["Key"],
        version_id=entry["VersionId"],
        size=entry["Size"],
        modified=to_text(entry["LastModified"]),
        latest=entry["IsLatest"],
    )
