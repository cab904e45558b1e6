"""The vault's rows and its wrapped master key in DynamoDB."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from firstread.deid import IdentityVault
from firstread.errors import TransientError
from firstread.records.vault_store import DynamoVaultStore
from tests.support.cloud import Cloud


@pytest.fixture
def store(cloud: Cloud) -> DynamoVaultStore:
    assert cloud.key_id
    return DynamoVaultStore("vault")


def test_the_first_row_stays(store: DynamoVaultStore) -> None:
    store.add_many({"a": b"1"})
    store.add_many({"a": b"2", "b": b"3"})
    assert store.get_many(["a", "b", "c"]) == {"a": b"1", "b": b"3"}


def test_more_rows_than_one_batch_takes_are_found(store: DynamoVaultStore) -> None:
    rows = {f"{number:03d}": b"x" for number in range(230)}
    store.add_many(rows)
    assert store.get_many([*rows, *rows]) == rows


def test_keys_left_unprocessed_are_asked_for_again(
    store: DynamoVaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstread.records.vault_store.time.sleep", lambda _seconds: None)
    rows = {f"{number:03d}": b"x" for number in range(150)}
    store.add_many(rows)
    original: Any = store._client.batch_get_item

    def a_few_at_a_time(RequestItems: dict[str, Any]) -> Any:  # noqa: ANN401, N803 - boto3's
        keys = RequestItems["vault"]["Keys"]
        response = dict(original(RequestItems={"vault": {**RequestItems["vault"], "Keys": keys[:40]}}))
        left = keys[40:]
        response["UnprocessedKeys"] = {"vault": {**RequestItems["vault"], "Keys": left}} if left else {}
        return response

    monkeypatch.setattr(store._client, "batch_get_item", a_few_at_a_time)
    assert store.get_many(rows) == rows


def test_a_table_that_never_answers_in_full_is_transient(
    store: DynamoVaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstread.records.vault_store.time.sleep", lambda _seconds: None)

    def nothing(RequestItems: Mapping[str, Any]) -> Any:  # noqa: ANN401, N803 - boto3's
        return {"Responses": {}, "UnprocessedKeys": RequestItems}

    monkeypatch.setattr(store._client, "batch_get_item", nothing)
    with pytest.raises(TransientError):
        store.get_many(["a"])


def test_the_master_key_is_made_once_and_stored_wrapped(cloud: Cloud, store: DynamoVaultStore) -> None:
    key = store.master_key(cloud.key_id)
    assert len(key) == 32
    assert DynamoVaultStore("vault").master_key(cloud.key_id) == key
    (row,) = cloud.rows("vault")
    assert key not in row["value"]["B"]


def test_processes_that_start_at_once_agree_on_everything(cloud: Cloud) -> None:
    def start(_number: int) -> dict[str, str]:
        mine = DynamoVaultStore("vault")
        return IdentityVault(mine, mine.master_key(cloud.key_id)).uids(["1.2.3", "1.2.4"])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(start, range(8)))
    assert all(each == found[0] for each in found)


def test_a_key_that_kms_does_not_give_out_opens_nothing(cloud: Cloud, store: DynamoVaultStore) -> None:
    store.master_key(cloud.key_id)
    other = cloud.kms.create_key()["KeyMetadata"]["KeyId"]
    with pytest.raises(ClientError):
        store.master_key(other)
