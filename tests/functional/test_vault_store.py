"""The vault's rows and its wrapped master key in DynamoDB."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from firstread.cli import app
from firstread.deid.vault import IdentityVault, PatientPseudonym
from firstread.deid.vault.keys import generation_of
from firstread.deid.vault.rotation import reseal
from firstread.deid.vault.rows import Rows
from firstread.errors import TransientError
from firstread.records.vault_store import DynamoVaultStore
from tests.support.cloud import Cloud

UIDS = [f"1.2.3.{number}" for number in range(40)]


@pytest.fixture
def store(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> DynamoVaultStore:
    assert cloud.key_id
    made = DynamoVaultStore("vault")
    # moto undoes a cancelled transaction by putting back a copy of the table, with all that others wrote meanwhile.
    # DynamoDB serializes transactions; one call at a time, in any order, is what it promises.
    turn = threading.Lock()
    original = made._client._make_api_call  # type: ignore[attr-defined]

    def one_at_a_time(operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - botocore's
        with turn:
            return original(operation, parameters)

    monkeypatch.setattr(made._client, "_make_api_call", one_at_a_time)
    return made


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstread.records.vault_store.time.sleep", lambda _seconds: None)


def calls(cloud: Cloud, store: DynamoVaultStore, do: Callable[[], object]) -> list[str]:
    """Return the operations that something takes, in order."""
    made: list[str] = []
    before = store._client._make_api_call  # type: ignore[attr-defined]
    kms = cloud.kms._make_api_call

    def note(call: Any) -> Any:  # noqa: ANN401 - botocore's
        def noted(operation: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401
            made.append(operation)
            return call(operation, parameters)

        return noted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store._client, "_make_api_call", note(before))
        patch.setattr(cloud.kms, "_make_api_call", note(kms))
        do()
    return made


def test_the_first_row_stays_and_is_told(store: DynamoVaultStore) -> None:
    assert store.add_many({"a": b"1"}) == {"a": b"1"}
    assert store.add_many({"a": b"2", "b": b"3"}) == {"a": b"1", "b": b"3"}
    assert store.add_many({"a": b"4", "b": b"5"}) == {"a": b"1", "b": b"3"}
    assert store.get_many(["a", "b", "c"]) == {"a": b"1", "b": b"3"}


def test_more_rows_than_one_batch_takes_are_found(store: DynamoVaultStore) -> None:
    rows = {f"{number:03d}": b"x" for number in range(230)}
    assert store.add_many(rows) == rows
    assert store.get_many([*rows, *rows]) == dict(store.rows()) == rows


def test_keys_left_unprocessed_are_asked_for_again(
    store: DynamoVaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_rows_that_are_too_many_bytes_for_one_transaction_are_written_in_several(
    cloud: Cloud, store: DynamoVaultStore
) -> None:
    rows = {str(number): bytes(300_000) for number in range(15)}
    made = calls(cloud, store, lambda: store.add_many(rows))
    assert made == ["TransactWriteItems"] * 2
    assert store.get_many(rows) == rows


def test_a_new_instance_costs_one_read_and_one_write_and_a_known_one_nothing(
    cloud: Cloud, store: DynamoVaultStore
) -> None:
    vault = IdentityVault(store, lambda: store.master_key(cloud.key_id))
    assert calls(cloud, store, lambda: vault.uids(UIDS)) == ["BatchGetItem", "TransactWriteItems"]
    assert calls(cloud, store, lambda: vault.uids(UIDS)) == []
    assert calls(cloud, store, lambda: vault.patient("A", "1", "s")) == ["BatchGetItem", "TransactWriteItems"]
    assert calls(cloud, store, lambda: vault.patient("A", "1", "s")) == []
    other = IdentityVault(store, lambda: store.master_key(cloud.key_id))
    assert calls(cloud, store, lambda: other.uids(UIDS)) == ["BatchGetItem"]


def test_kms_is_asked_once_per_cold_start(cloud: Cloud, store: DynamoVaultStore) -> None:
    store.master_key(cloud.key_id)
    for generation in (1, 2, 3):

        def start() -> None:
            vault = IdentityVault(store, lambda: store.master_key(cloud.key_id))
            for number in range(20):
                vault.uids([f"1.{number}"])
                vault.patient("A", str(number), "s")
                vault.keyed_digest("d")

        made = calls(cloud, store, start)
        assert [each for each in made if "Item" not in each] == ["Decrypt"], generation
        store.add_generation(cloud.key_id)


def _cancelled(*codes: str) -> ClientError:
    reasons = [{"Code": code} for code in codes]
    error: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    return ClientError(error, "TransactWriteItems")


def _failing(store: DynamoVaultStore, monkeypatch: pytest.MonkeyPatch, errors: Iterable[ClientError]) -> None:
    original, left = store._client.transact_write_items, iter(errors)

    def transact(TransactItems: Any) -> Any:  # noqa: ANN401, N803 - boto3's
        for error in left:
            raise error
        return original(TransactItems=TransactItems)

    monkeypatch.setattr(store._client, "transact_write_items", transact)


def test_conflicts_and_throttling_are_waited_out(
    store: DynamoVaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing(
        store,
        monkeypatch,
        [
            _cancelled("TransactionConflict", "None"),
            _cancelled("None", "ThrottlingError"),
            _cancelled("ProvisionedThroughputExceeded", "None"),
        ],
    )
    assert store.add_many({"a": b"1", "b": b"2"}) == store.get_many(["a", "b"]) == {"a": b"1", "b": b"2"}


def test_a_lost_row_without_its_value_is_read(
    store: DynamoVaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_many({"a": b"0"})
    _failing(store, monkeypatch, [_cancelled("ConditionalCheckFailed", "TransactionConflict")])
    assert store.add_many({"a": b"1", "b": b"2"}) == {"a": b"0", "b": b"2"}


def test_a_conflict_that_does_not_end_is_transient(
    store: DynamoVaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing(store, monkeypatch, [_cancelled("TransactionConflict")] * 99)
    with pytest.raises(TransientError):
        store.add_many({"a": b"1"})


@pytest.mark.parametrize(
    "error",
    [
        _cancelled("ValidationError"),
        ClientError({"Error": {"Code": "AccessDeniedException"}}, "TransactWriteItems"),
    ],
)
def test_other_errors_are_not_tried_again(
    error: ClientError, store: DynamoVaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _failing(store, monkeypatch, [error])
    with pytest.raises(ClientError):
        store.add_many({"a": b"1"})
    assert store.get_many(["a"]) == {}


def test_processes_that_start_at_once_agree_on_everything(cloud: Cloud, store: DynamoVaultStore) -> None:
    def start(number: int) -> tuple[dict[str, str], PatientPseudonym, str]:
        vault = IdentityVault(store, lambda: store.master_key(cloud.key_id))
        # Overlapping parts in different order, as instances of one series come.
        uids: dict[str, str] = {}
        for turn in range(10):
            uids |= vault.uids(UIDS[(turn + number) % 10 * 4 :][:8])
        return uids, vault.patient("A", "1", "s"), vault.keyed_digest("d")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(start, range(16)))
    assert all(each == found[0] for each in found)
    assert len(set(found[0][0].values())) == len(UIDS)


def test_a_generation_is_added_and_taken_up_while_others_work(cloud: Cloud, store: DynamoVaultStore) -> None:
    def key() -> bytes:
        return store.master_key(cloud.key_id)

    early = IdentityVault(store, key, remembered=2)
    before = early.uids(UIDS)
    digest = early.keyed_digest("d")
    store.add_generation(cloud.key_id)
    assert len(key()) == 64
    late = IdentityVault(store, key)
    assert late.uids(UIDS) == before
    assert late.uids(["1.9"]) == early.uids(["1.9"])
    assert early.uids(["1.8"]) == late.uids(["1.8"])
    count = reseal(Rows(store, key()), store)
    assert count > 2 * len(UIDS) and reseal(Rows(store, key()), store) == 0
    assert {generation_of(value) for name, value in store.rows() if not name.startswith("#master")} == {2}
    assert early.uids(UIDS) == before and IdentityVault(store, key).keyed_digest("d") == digest


def test_a_row_that_changed_since_it_was_read_is_not_replaced(store: DynamoVaultStore) -> None:
    store.add_many({"a": b"1"})
    assert not store.replace("a", b"0", b"2") and store.get_many(["a"]) == {"a": b"1"}
    assert store.replace("a", b"1", b"2") and store.get_many(["a"]) == {"a": b"2"}


def test_the_commands_on_a_table(cloud: Cloud, store: DynamoVaultStore) -> None:
    vault = IdentityVault(store, lambda: store.master_key(cloud.key_id))
    code, uid = vault.patient("Haus A", "MRN-9988776655", "1.2.3").code, vault.uids(["1.2.3"])["1.2.3"]
    place = ["--table", "vault", "--kms-key", cloud.key_id, "--audit-table", "audit_table", "--actor", "kim"]

    def run(*command: str) -> str:
        done = CliRunner().invoke(app, ["vault", *command, *place])
        assert done.exit_code == 0, done.stderr
        return done.stdout

    assert json.loads(run("lookup", code))["patient_id"] == "MRN-9988776655"
    assert len(run("show").splitlines()) == 2
    assert not run("rotate").startswith("0 ")
    assert run("rotate", "--resume").startswith("0 ")
    assert json.loads(run("lookup", uid))["uid"] == "1.2.3"
    events = [json.loads(row["body"]["S"]) for row in cloud.rows("audit_table")]
    assert {event["what"] for event in events} == {"identify", "list", "rotate"}
    assert {row["subject"]["S"] for row in cloud.rows("audit_table")} == {
        f"identity#{each}" for each in (code, uid, "")
    }
    assert "9988776655" not in str(events)


def test_a_key_that_kms_does_not_give_out_opens_nothing(cloud: Cloud, store: DynamoVaultStore) -> None:
    store.master_key(cloud.key_id)
    other = cloud.kms.create_key()["KeyMetadata"]["KeyId"]
    with pytest.raises(ClientError):
        store.master_key(other)
