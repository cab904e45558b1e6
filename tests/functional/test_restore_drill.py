"""The restore drill against moto, whose restored tables are copies."""

from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient
from typer.testing import CliRunner

from firstread.cli import app
from firstread.records.restore import RestoreError, drill


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDBClient]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName="vault",
            KeySchema=[{"AttributeName": "lookup", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "lookup", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def fill(client: DynamoDBClient, count: int) -> None:
    for number in range(count):
        client.put_item(TableName="vault", Item={"lookup": {"S": str(number)}, "v": {"S": "first"}})


def after_restore(client: DynamoDBClient, action: Callable[[], object]) -> None:
    """Do something to the table right after the copy was made."""

    def act(**_: object) -> None:
        action()

    client.meta.events.register_last("after-call.dynamodb.RestoreTableToPointInTime", act)


def refuse(client: DynamoDBClient, monkeypatch: pytest.MonkeyPatch, method: str, code: str) -> None:
    def refused(**_: object) -> None:
        raise ClientError({"Error": {"Code": code}}, method)

    monkeypatch.setattr(client, method, refused)


def test_a_table_is_restored_compared_and_its_copy_deleted(client: DynamoDBClient) -> None:
    fill(client, 30)
    done = drill(client, "vault", sample=20, look_every=0)
    assert (done.items, done.restored, done.sampled, done.changed, done.gone) == (30, 30, 20, 0, 0)
    assert done.passed
    assert client.list_tables()["TableNames"] == ["vault"]


def test_what_changed_since_is_no_failure(client: DynamoDBClient) -> None:
    fill(client, 3)
    after_restore(client, lambda: fill(client, 4))
    newer = {"lookup": {"S": "1"}, "v": {"S": "second"}}
    after_restore(client, lambda: client.put_item(TableName="vault", Item=newer))
    done = drill(client, "vault", sample=10, look_every=0)
    assert (done.items, done.restored, done.changed, done.gone) == (3, 3, 1, 0)
    assert done.passed


def test_an_item_that_is_gone_is_a_failure(client: DynamoDBClient) -> None:
    fill(client, 3)
    after_restore(client, lambda: client.delete_item(TableName="vault", Key={"lookup": {"S": "1"}}))
    done = drill(client, "vault", sample=10, look_every=0)
    assert done.gone == 1
    assert not done.passed


def test_nothing_restored_of_something_is_a_failure(client: DynamoDBClient) -> None:
    fill(client, 3)

    def empty_the_copy() -> None:
        (copy,) = (name for name in client.list_tables()["TableNames"] if name != "vault")
        for number in range(3):
            client.delete_item(TableName=copy, Key={"lookup": {"S": str(number)}})

    after_restore(client, empty_the_copy)
    done = drill(client, "vault", sample=10, look_every=0)
    assert (done.restored, done.sampled, done.passed) == (0, 0, False)


def test_an_empty_table_passes(client: DynamoDBClient) -> None:
    assert drill(client, "vault", sample=10, look_every=0).passed


def test_a_table_that_is_not_there(client: DynamoDBClient) -> None:
    with pytest.raises(RestoreError, match="no such table"):
        drill(client, "nowhere", sample=10, look_every=0)


def test_a_table_that_cannot_be_restored(client: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(client, monkeypatch, "restore_table_to_point_in_time", "PointInTimeRecoveryUnavailableException")
    with pytest.raises(RestoreError, match="PointInTimeRecoveryUnavailable"):
        drill(client, "vault", sample=10, look_every=0)


def test_a_copy_that_stays_is_named(client: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(client, monkeypatch, "delete_table", "ResourceInUseException")
    with pytest.raises(RestoreError, match="vault-drill-"):
        drill(client, "vault", sample=10, look_every=0)


def test_the_command_says_what_it_found(client: DynamoDBClient) -> None:
    fill(client, 5)
    done = CliRunner().invoke(app, ["restore-drill", "--table", "vault"])
    assert done.exit_code == 0
    assert "5 items restored" in done.output
    assert "passed" in done.output


def test_the_command_fails_with_the_drill(client: DynamoDBClient) -> None:
    fill(client, 1)
    assert CliRunner().invoke(app, ["restore-drill", "--table", "nowhere"]).exit_code == 1


def test_without_a_table_the_command_explains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRSTREAD_VAULT_TABLE", raising=False)
    done = CliRunner().invoke(app, ["restore-drill"])
    assert done.exit_code == 1
    assert "vault export" in " ".join(done.output.split())
