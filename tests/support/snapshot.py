"""What tables and buckets hold, taken once and put back often: cheaper than to make it anew for each test."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from tests.support.aws import client

_BATCH = 25  # BatchWriteItem takes no more


@dataclass(frozen=True)
class Snapshot:
    """Rows by table, and objects by bucket and key."""

    rows: dict[str, list[dict[str, Any]]]
    objects: dict[tuple[str, str], tuple[bytes, str]]

    @classmethod
    def take(cls, tables: Iterable[str], buckets: Iterable[str]) -> Self:
        """Read everything that tables and buckets hold."""
        dynamodb, s3 = client("dynamodb"), client("s3")
        rows: dict[str, list[dict[str, Any]]] = {}
        for table in tables:
            pages = dynamodb.get_paginator("scan").paginate(TableName=table)
            rows[table] = [row for page in pages for row in page["Items"]]
        objects: dict[tuple[str, str], tuple[bytes, str]] = {}
        for bucket in buckets:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for entry in page.get("Contents", []):
                    found = s3.get_object(Bucket=bucket, Key=entry["Key"])
                    objects[bucket, entry["Key"]] = (found["Body"].read(), found["ContentType"])
        return cls(rows, objects)

    def restore(self) -> None:
        """Write everything into tables and buckets that are there and empty."""
        dynamodb, s3 = client("dynamodb"), client("s3")
        for table, rows in self.rows.items():
            for start in range(0, len(rows), _BATCH):
                puts = [{"PutRequest": {"Item": row}} for row in rows[start : start + _BATCH]]
                left = dynamodb.batch_write_item(RequestItems={table: puts})["UnprocessedItems"]
                assert not left, table
        for (bucket, key), (body, content_type) in self.objects.items():
            s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
