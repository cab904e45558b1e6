"""The vault's rows in DynamoDB, and its master key wrapped by KMS beside them."""

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from firstread.errors import TransientError
from firstread.region import region

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BATCH = 100  # BatchGetItem's limit
_MASTER = "#master-key"
_TRIES = 8


class DynamoVaultStore:
    """A `VaultStore` in a DynamoDB table with the hash key ``lookup``.

    Parameters
    ----------
    table
        Table name.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._client: DynamoDBClient = boto3.client("dynamodb", region_name=region())

    def get_many(self, lookups: Iterable[str]) -> dict[str, bytes]:
        """Return the rows that exist."""
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
            time.sleep(0.05 * 2**attempt)
        raise TransientError("the vault could not be read in full")

    def add_many(self, rows: Mapping[str, bytes]) -> None:
        """Write each row unless one is there."""
        for key, value in rows.items():
            self._add(key, value)

    def _add(self, key: str, value: bytes) -> None:
        try:
            self._client.put_item(
                TableName=self._table,
                Item={"lookup": {"S": key}, "value": {"B": value}},
                ConditionExpression="attribute_not_exists(#key)",
                ExpressionAttributeNames={"#key": "lookup"},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise

    def master_key(self, kms_key_id: str) -> bytes:
        """Return the vault's master key, made by KMS on first use; only its wrapped form is stored."""
        kms = boto3.client("kms", region_name=region())
        context = {"purpose": "firstread-vault", "table": self._table}
        wrapped = self.get_many([_MASTER]).get(_MASTER)
        if wrapped is None:
            made = kms.generate_data_key_without_plaintext(
                KeyId=kms_key_id, KeySpec="AES_256", EncryptionContext=context
            )
            self._add(_MASTER, made["CiphertextBlob"])
            wrapped = self.get_many([_MASTER])[_MASTER]
        return kms.decrypt(CiphertextBlob=wrapped, KeyId=kms_key_id, EncryptionContext=context)["Plaintext"]
