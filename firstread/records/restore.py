"""The restore drill: a backup that nobody has restored is a hope.

Restores a table as it was a few minutes ago under another name, compares the two, and deletes the copy. It is the
one place that scans a table, and no program of FirstRead has a role for it: an administrator runs it.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from firstread.errors import FirstReadError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A restore takes minutes for a small table and hours for a large one.
_LOOK_EVERY_SECONDS = 20
_LONGEST_LOOKS = 3 * 60 * 6


class RestoreError(FirstReadError):
    """The drill could not be done; the text says how far it came and what it left behind."""


@dataclass(frozen=True)
class Drill:
    """What a drill found.

    Parameters
    ----------
    table, copy
        Names; the copy is deleted again.
    items, restored
        Number of items in the table before the drill, and in the copy.
    sampled
        Items of the copy that were looked up in the table.
    changed
        Of these, how many are different there by now.
    gone
        Of these, how many are not there: no item of the vault is ever deleted.
    seconds
        Until the copy could be read.
    """

    table: str
    copy: str
    items: int
    restored: int
    sampled: int
    changed: int
    gone: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether something was restored, if there was something, and none of the sample is unknown."""
        return bool(self.restored) >= bool(self.items) and not self.gone


def drill(
    client: "DynamoDBClient", table: str, *, sample: int, look_every: float = _LOOK_EVERY_SECONDS
) -> Drill:
    """Restore a table to the latest point in time under another name, compare, and delete the copy.

    Parameters
    ----------
    client
        Must be allowed to restore, describe, read and delete tables, and to use the table's key.
    table
        Its name; point-in-time recovery must be on.
    sample
        How many items are compared.
    look_every
        Seconds between looks whether the copy is there.

    Raises
    ------
    RestoreError
        If there is no such table, it cannot be restored, or the copy could not be deleted.
    """
    began = time.monotonic()
    keys = _keys(client, table)
    items = _count(client, table)
    with _restored(client, table, look_every) as copy:
        seconds = time.monotonic() - began
        restored = _count(client, copy)
        found = client.scan(TableName=copy, Limit=sample)["Items"] if sample else []
        now = [_get(client, table, {key: item[key] for key in keys}) for item in found]
    changed = sum(there is not None and there != item for there, item in zip(now, found, strict=True))
    return Drill(
        table=table,
        copy=copy,
        items=items,
        restored=restored,
        sampled=len(found),
        changed=changed,
        gone=now.count(None),
        seconds=seconds,
    )


@contextmanager
def _restored(client: "DynamoDBClient", table: str, look_every: float) -> Iterator[str]:
    copy = f"{table[:200]}-drill-{datetime.now(UTC):%Y%m%d%H%M%S}"
    try:
        client.restore_table_to_point_in_time(
            SourceTableName=table, TargetTableName=copy, UseLatestRestorableTime=True
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise RestoreError(f"the table cannot be restored ({code})") from None
    try:
        waiter = client.get_waiter("table_exists")
        waiter.wait(TableName=copy, WaiterConfig={"Delay": look_every, "MaxAttempts": _LONGEST_LOOKS})  # type: ignore[typeddict-item] # seconds may be less than one
        yield copy
    finally:
        _delete(client, copy)


def _delete(client: "DynamoDBClient", copy: str) -> None:
    try:
        client.delete_table(TableName=copy)
    except (BotoCoreError, ClientError):
        raise RestoreError(f"the copy {copy} could not be deleted; it costs money until it is") from None


def _keys(client: "DynamoDBClient", table: str) -> list[str]:
    try:
        found = client.describe_table(TableName=table)["Table"]["KeySchema"]
    except ClientError as error:
        raise RestoreError(f"no such table here ({error.response['Error']['Code']})") from None
    return [key["AttributeName"] for key in found]


def _count(client: "DynamoDBClient", table: str) -> int:
    pages = client.get_paginator("scan").paginate(TableName=table, Select="COUNT")
    return sum(page["Count"] for page in pages)


def _get(client: "DynamoDBClient", table: str, key: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
