"""The vault's rows in DynamoDB, and its master keys wrapped by KMS beside them."""

import random
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from firstread.deid.vault.errors import VaultKeyError
from firstread.deid.vault.keys import KEY_BYTES
from firstread.errors import TransientError
from firstread.region import making, region

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BATCH = 100  # BatchGetItem's limit, and TransactWriteItems'
_BATCH_BYTES = 3_000_000  # a transaction may have 4 MB
_MASTER = "#master-key"
_GENERATIONS = 16
_TRIES = 8
_CONFLICTS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class DynamoVaultStore:
    """A `SealedArchive` in a DynamoDB table with the hash key ``lookup``.

    Parameters
    ----------
    table
        Table name.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        with making:
            self._client: DynamoDBClient = boto3.client("dynamodb", region_name=region())

    def get_many(self, lookups: Iterable[str]) -> dict[str, bytes]:
        """Return the rows that exist.

        Raises
        ------
        TransientError
            If the table did not answer in full after several tries.
        """
        keys = sorted(set(lookups))
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), _BATCH):
            found.update(self._get_batch(keys[start : start + _BATCH]))
        return found

    def _get_batch(self, keys: list[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        request: Any = {
            self._table: {"Keys": [{"lookup": {"S": key}} for key in keys], "ConsistentRead": True}
        }
        for attempt in range(_TRIES):
            response = self._client.batch_get_item(RequestItems=request)
            for item in response["Responses"].get(self._table, []):
                found[item["lookup"]["S"]] = bytes(item["value"]["B"])
            request = response.get("UnprocessedKeys")
            if not request:
                return found
            _pause(attempt)
        raise TransientError("the vault could not be read in full")

    def add_many(self, rows: Mapping[str, bytes]) -> dict[str, bytes]:
        """Write each row unless one is there, a hundred in one transaction; return what is there now.

        Raises
        ------
        TransientError
            If a transaction still conflicted with others after several tries.
        """
        there: dict[str, bytes] = {}
        for batch in _batches(rows):
            there |= self._add_batch(batch)
        return there

    def _add_batch(self, rows: dict[str, bytes]) -> dict[str, bytes]:
        left, theirs = dict(rows), dict[str, bytes]()
        for attempt in range(_TRIES):
            try:
                self._client.transact_write_items(
                    TransactItems=[{"Put": self._new(key, value)} for key, value in left.items()]
                )
            except ClientError as error:
                first = self._first(error, list(left))
            else:
                return {key: theirs.get(key, value) for key, value in rows.items()}
            # Somebody was first with some rows; all or nothing was written, so the others are tried again.
            theirs |= first
            left = {key: value for key, value in left.items() if key not in first}
            if not left:
                return {key: theirs[key] for key in rows}
            if not first:
                _pause(attempt)
        raise TransientError("writing to the vault kept conflicting with others")

    def _new(self, key: str, value: bytes) -> Any:  # noqa: ANN401 - boto3's item types
        return {
            "TableName": self._table,
            "Item": {"lookup": {"S": key}, "value": {"B": value}},
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": "lookup"},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _first(self, error: ClientError, keys: list[str]) -> dict[str, bytes]:
        """Return the rows because of which a transaction was cancelled; none where it only met others."""
        reasons: Any = error.response.get("CancellationReasons")
        if error.response["Error"]["Code"] != "TransactionCanceledException" or not reasons:
            raise error
        codes = {reason.get("Code", "None") for reason in reasons}
        if codes - {"None", "ConditionalCheckFailed"} - _CONFLICTS:
            raise error
        failed = [
            key
            for key, reason in zip(keys, reasons, strict=True)
            if reason.get("Code") == "ConditionalCheckFailed"
        ]
        given = {
            key: bytes(reason["Item"]["value"]["B"])
            for key, reason in zip(keys, reasons, strict=True)
            if reason.get("Item")
        }
        return given if given.keys() >= set(failed) else self.get_many(failed)

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Yield every row. Needs the permission to scan, which no program has: this is for the commands."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        for page in pages:
            for item in page["Items"]:
                yield item["lookup"]["S"], bytes(item["value"]["B"])

    def replace(self, lookup: str, old: bytes, new: bytes) -> bool:
        """Put a value in the place of the one that was read; False where another is there."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item={"lookup": {"S": lookup}, "value": {"B": new}},
                ConditionExpression="#value = :old",
                ExpressionAttributeNames={"#value": "value"},
                ExpressionAttributeValues={":old": {"B": old}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def master_key(self, kms_key_id: str) -> bytes:
        """Return the vault's master keys of all generations, oldest first, by one call of KMS.

        The first is made by KMS on first use; only wrapped forms are stored.
        """
        with making:
            kms = boto3.client("kms", region_name=region())
        wrapped = self._newest()
        if wrapped is None:
            made = kms.generate_data_key_without_plaintext(
                KeyId=kms_key_id, KeySpec="AES_256", EncryptionContext=self._context
            )
            wrapped = self.add_many({_MASTER: made["CiphertextBlob"]})[_MASTER]
        opened = kms.decrypt(CiphertextBlob=wrapped, KeyId=kms_key_id, EncryptionContext=self._context)
        return opened["Plaintext"]

    def add_generation(self, kms_key_id: str) -> None:
        """Add a master key; programs seal under it from their next start, and can open its rows at once.

        Raises
        ------
        VaultKeyError
            If there are as many generations as a vault can have.
        """
        known = self.master_key(kms_key_id)
        if len(known) >= _GENERATIONS * KEY_BYTES:
            raise VaultKeyError(
                "the vault has had all its key generations; export it and import it elsewhere"
            )
        with making:
            kms = boto3.client("kms", region_name=region())
        wrapped = kms.encrypt(
            KeyId=kms_key_id,
            Plaintext=known + secrets.token_bytes(KEY_BYTES),
            EncryptionContext=self._context,
        )
        # All generations in one blob, which is written once: where two add one at once, the first counts for both.
        self.add_many({_generation(len(known) // KEY_BYTES + 1): wrapped["CiphertextBlob"]})

    @property
    def _context(self) -> dict[str, str]:
        return {"purpose": "firstread-vault", "table": self._table}

    def _newest(self) -> bytes | None:
        names = [_generation(number) for number in range(1, _GENERATIONS + 1)]
        found = self.get_many(names)
        return next((found[name] for name in reversed(names) if name in found), None)


def _generation(number: int) -> str:
    return _MASTER if number == 1 else f"{_MASTER}-{number}"


def _batches(rows: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    batch: dict[str, bytes] = {}
    size = 0
    for key, value in rows.items():
        if batch and (len(batch) == _BATCH or size + len(value) > _BATCH_BYTES):
            yield batch
            batch, size = {}, 0
        batch[key] = value
        size += len(value)
    if batch:
        yield batch


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0.5, 1) * 0.05 * 2**attempt)  # noqa: S311 - jitter, not a secret
