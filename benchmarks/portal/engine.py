"""DynamoDB as far as reading needs it, in this process: each index sorted, so that a query costs what it returns.

The emulators walk through a whole partition for each query, and would be measured instead of the portal. What is
counted here (requests, rows, bytes) is what DynamoDB would be asked for; its own time is not in any figure.
"""

import json
import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from typing import Any, cast

import botocore.handlers
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from pynamodb.models import Model

_CONDITION = re.compile(
    r"(#\d+)\s*(BETWEEN|<=|>=|=|<|>)\s*(:\d+)(?: AND (:\d+))?|begins_with \((#\d+), (:\d+)\)"
)
_LAST = "\U0010ffff"


@dataclass
class Count:
    """What was asked for since the last look."""

    requests: int = 0
    rows: int = 0
    size: int = 0


@dataclass
class _Index:
    hash_key: str
    range_key: str
    partitions: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


class Engine:
    """Tables with their indexes; answers Query, GetItem and BatchGetItem of botocore's clients."""

    def __init__(self) -> None:
        self.count = Count()
        self._rows: dict[tuple[str, str], str] = {}
        self._indexes: dict[tuple[str, str], _Index] = {}
        self._keys: dict[str, list[str]] = {}

    def define(self, table: type[Model]) -> None:
        """Add a table, empty."""
        name = table.Meta.table_name
        schema = table._get_schema()
        self._keys[name] = _key_names(schema)
        indexes: list[Any] = [{"index_name": "", **schema}, *schema["global_secondary_indexes"]]
        for index in indexes:
            keys = _key_names(index)
            self._indexes[name, index["index_name"]] = _Index(keys[0], keys[-1])

    def put(self, row: Model) -> None:
        """Store a row."""
        name = row.Meta.table_name
        item = row.serialize()
        identity = self._identity(name, item)
        self._rows[name, identity] = json.dumps(item)
        for (table, _), index in self._indexes.items():
            if table == name and index.hash_key in item and index.range_key in item:
                partition = index.partitions.setdefault(item[index.hash_key]["S"], [])
                insort(partition, (item[index.range_key]["S"], identity))

    def install(self) -> Callable[[], None]:
        """Answer every client that is made from now on; returns what undoes it."""
        handler = ("before-send.dynamodb.*", self._send)
        botocore.handlers.BUILTIN_HANDLERS.append(handler)
        return lambda: botocore.handlers.BUILTIN_HANDLERS.remove(handler)

    def _identity(self, table: str, item: Mapping[str, Any]) -> str:
        return "\x00".join(item[key]["S"] for key in self._keys[table])

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        target = request.headers["X-Amz-Target"]
        action = target.decode() if isinstance(target, bytes) else target
        asked = json.loads(cast("bytes", request.body))
        acts = {"Query": self._query, "GetItem": self._get, "BatchGetItem": self._batch}
        body = acts[action.rpartition(".")[2]](asked).encode()
        self.count.requests += 1
        self.count.size += len(body)
        raw: Any = _Raw(body)
        headers: Any = {"x-amzn-RequestId": "1"}
        return AWSResponse(request.url, 200, headers, raw)

    def _get(self, asked: dict[str, Any]) -> str:
        row = self._rows.get((asked["TableName"], self._identity(asked["TableName"], asked["Key"])))
        self.count.rows += row is not None
        return f'{{"Item": {row}}}' if row else "{}"

    def _batch(self, asked: dict[str, Any]) -> str:
        answers = []
        for table, wanted in asked["RequestItems"].items():
            keys = [(table, self._identity(table, key)) for key in wanted["Keys"]]
            rows = [self._rows[key] for key in keys if key in self._rows]
            self.count.rows += len(rows)
            answers.append(f'"{table}": [{", ".join(rows)}]')
        return f'{{"Responses": {{{", ".join(answers)}}}, "UnprocessedKeys": {{}}}}'

    def _query(self, asked: dict[str, Any]) -> str:
        table, name = asked["TableName"], asked.get("IndexName", "")
        index = self._indexes[table, name]
        equal, low, high = _bounds(asked, index)
        partition = index.partitions.get(equal, [])
        begin, end = bisect_left(partition, low), bisect_right(partition, high)
        forward = asked.get("ScanIndexForward", True)
        start = asked.get("ExclusiveStartKey")
        if start:
            place = (start[index.range_key]["S"], self._identity(table, start))
            if forward:
                begin = bisect_right(partition, place)
            else:
                end = bisect_left(partition, place)
        limit = asked.get("Limit", 1000)
        chosen = (
            partition[begin : min(end, begin + limit)]
            if forward
            else partition[max(begin, end - limit) : end][::-1]
        )
        rows = [self._rows[table, identity] for _, identity in chosen]
        self.count.rows += len(rows)
        last = json.loads(rows[-1]) if len(rows) < end - begin else {}
        if "ProjectionExpression" in asked:
            names = asked["ExpressionAttributeNames"]
            wanted = frozenset(names[each.strip()] for each in asked["ProjectionExpression"].split(","))
            rows = [_project(row, wanted) for row in rows]
        answer = f'"Items": [{", ".join(rows)}], "Count": {len(rows)}, "ScannedCount": {len(rows)}'
        if last:
            keys = {key: last[key] for key in (*self._keys[table], index.hash_key, index.range_key)}
            answer += f', "LastEvaluatedKey": {json.dumps(keys)}'
        return f"{{{answer}}}"


class _Raw(BytesIO):
    def stream(self, **_: object) -> Any:  # noqa: ANN401 - as urllib3 has it
        while chunk := self.read(65536):
            yield chunk


def _key_names(index: Mapping[str, Any]) -> list[str]:
    """Return the hash key, and the range key where there is one."""
    keys = sorted(index["key_schema"], key=lambda key: str(key["KeyType"]))  # HASH, RANGE
    return [key["AttributeName"] for key in keys]


@lru_cache(maxsize=100_000)
def _project(row: str, wanted: frozenset[str]) -> str:
    return json.dumps({name: value for name, value in json.loads(row).items() if name in wanted})


def _bounds(asked: dict[str, Any], index: _Index) -> tuple[str, tuple[str, str], tuple[str, str]]:
    """Return the partition that a key condition names, and the least and greatest place in it."""
    names, values = asked["ExpressionAttributeNames"], asked["ExpressionAttributeValues"]
    equal, low, high = "", ("", ""), (_LAST, _LAST)
    for name, operator, first, second, prefixed, prefix in _CONDITION.findall(
        asked["KeyConditionExpression"]
    ):
        value = values[first or prefix]["S"]
        if prefixed:
            low, high = (value, ""), (value + _LAST, _LAST)
        elif names[name] == index.hash_key:
            equal = value
        elif operator == "BETWEEN":
            low, high = (value, ""), (values[second]["S"], _LAST)
        elif operator in {">", ">="}:
            low = (value, "" if operator == ">=" else _LAST)
        else:
            high = (value, _LAST if operator == "<=" else "")
    return equal, low, high
