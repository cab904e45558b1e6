"""The end of a batch, and messages of feeds."""

import hashlib
import json

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from firstread.arrival import Arrival
from firstread.messages import BatchEnded
from firstread.records.instances import LedgerRepository
from firstread.refs import References
from tests.support import ingest
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header
from tests.support.ingest import MULTIPART, body

MESSAGE = b"MSH|^~\\&|RIS|HOSP|FR|FR|20040826||ORM^O01|1|P|2.5\rPID|||9988776655||QUIMBY^THEODORA\r"
ER7 = {"Content-Type": "application/hl7-v2+er7"}


def test_the_end_of_a_batch_is_told_by_reference(
    cloud: Cloud, sender: TestClient, references: References
) -> None:
    response = sender.post("/ingest/batches/b-1/end", json={"studies": {"1.2.3": 4, "1.2.9": 1}})
    assert (response.status_code, response.json()) == (202, {"batch": "b-1"})
    (text,) = cloud.waiting("hints")
    message = BatchEnded.model_validate_json(text)
    assert message.studies == {references.study("1.2.3"): 4, references.study("1.2.9"): 1}
    batch = references.batch("ct1", "b-1")
    assert (message.source, message.batch, message.correlation_id) == ("ct1", batch, batch)
    assert response.headers["FirstRead-Batch"] == batch


def test_nobody_ends_the_batch_of_another_source_nor_names_one_in_our_logs(
    cloud: Cloud, service: FastAPI, sender: TestClient
) -> None:
    """Two sources that use one name have two batches, whichever door made the first one."""
    name = "QUIMBY-THEODORA"
    content = body(encode(header()))
    stored = sender.post("/ingest/studies", content=content, headers={"Content-Type": MULTIPART})
    theirs = stored.headers["FirstRead-Batch"]
    for source, batch in (("ct1", name), ("er", name), ("er", theirs), ("ct1", theirs)):
        ended = ingest.client(service, source).post(
            f"/ingest/batches/{batch}/end", json={"studies": {"1.2.3": 1}}
        )
        assert ended.json() == {"batch": batch}
    told = [BatchEnded.model_validate_json(text) for text in cloud.waiting("hints")]
    assert len({each.batch for each in told}) == 5
    assert not any(name in each.model_dump_json() for each in told)


@pytest.mark.parametrize(
    "studies",
    [{}, {"1.2.3": 0}, {"1.2.3": -1}, {"1.2.3": "many"}, {"quimby": 1}, {"1" * 65: 1}, [], None],
)
def test_what_is_not_understood_is_said_without_a_value(
    cloud: Cloud, sender: TestClient, studies: object
) -> None:
    response = sender.post("/ingest/batches/b-1/end", json={"studies": studies})
    assert response.status_code == 422
    assert response.json()["detail"] == "studies"
    assert cloud.waiting("hints") == []


def test_more_studies_than_a_request_carries(sender: TestClient) -> None:
    studies = {f"1.2.{number}": 1 for number in range(1001)}
    assert sender.post("/ingest/batches/b-1/end", json={"studies": studies}).status_code == 422


def test_a_batch_that_is_no_name(sender: TestClient) -> None:
    assert sender.post("/ingest/batches/a.b/end", json={"studies": {"1.2.3": 1}}).status_code == 404


def test_a_hint_that_cannot_be_sent_is_sent_again(cloud: Cloud, sender: TestClient) -> None:
    cloud.sqs.delete_queue(QueueUrl=cloud.urls["hints"])
    response = sender.post("/ingest/batches/b-1/end", json={"studies": {"1.2.3": 1}})
    assert response.status_code == 503
    assert response.headers["retry-after"]


def test_a_message_is_kept_as_it_came_with_a_receipt(cloud: Cloud, sender: TestClient) -> None:
    response = sender.post("/ingest/feed", content=MESSAGE, headers=ER7)
    assert response.status_code == 202
    ((key, content),) = cloud.objects("incoming").items()
    assert key.startswith("feed/") and content == MESSAGE
    head = cloud.s3.head_object(Bucket="incoming", Key=key)
    receipt = LedgerRepository().get(key, head["VersionId"])
    assert receipt is not None
    digest = hashlib.sha256(MESSAGE).hexdigest()
    assert (receipt.source, receipt.size, receipt.sha256) == ("ct1", len(MESSAGE), digest)
    assert Arrival.from_metadata(head["Metadata"]) == Arrival(
        source="ct1", batch=response.json()["batch"], sha256=digest
    )
    assert "QUIMBY" not in response.text + json.dumps(cloud.rows("ledger_table"))


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", ER7, 400),
        (b"PID|||9988776655", ER7, 400),
        (MESSAGE, {"Content-Type": "text/plain"}, 415),
        (MESSAGE, {**ER7, "Content-Encoding": "gzip"}, 415),
        (MESSAGE + b"x" * 16 * 1024 * 1024, ER7, 413),
    ],
)
def test_what_is_no_message(
    cloud: Cloud, sender: TestClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    response = sender.post("/ingest/feed", content=content, headers=headers)
    assert response.status_code == status
    assert "9988776655" not in response.text
    assert cloud.objects("incoming") == {}


def test_a_message_that_s3_does_not_take_comes_again(cloud: Cloud, service: FastAPI) -> None:
    sender = ingest.client(service)
    cloud.s3.delete_bucket(Bucket="incoming")
    response = sender.post("/ingest/feed", content=MESSAGE, headers=ER7)
    assert response.status_code == 503
