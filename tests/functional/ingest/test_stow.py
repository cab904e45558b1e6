"""STOW-RS: what is kept, what the answer says, and that the one follows the other."""

import gzip
import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from botocore.exceptions import ClientError
from fastapi import FastAPI
from pydicom.dataset import Dataset
from starlette.testclient import TestClient

from firstread.errors import Reason
from firstread.messages import BatchEnded
from firstread.receipt import Outcome, Receipt
from firstread.records.instances import LedgerRepository
from firstread.refs import References
from ingest_service import door, hints
from tests.support import ingest
from tests.support.cloud import Cloud
from tests.support.dicoms import encode, header
from tests.support.ingest import MULTIPART, body
from tests.support.loopback import served

STUDY = "1.2.826.0.1.3680043.8.498.1.1"
STUDIES = "/ingest/studies"


def instance(number: int = 1, **values: object) -> bytes:
    return encode(header(SOPInstanceUID=f"1.2.3.{number}", **values))


def post(sender: TestClient, content: bytes, path: str = STUDIES, **headers: str) -> httpx2.Response:
    named = {"Content-Type": MULTIPART} | {name.replace("_", "-"): value for name, value in headers.items()}
    return sender.post(path, content=content, headers=named)


def answer(response: httpx2.Response) -> Dataset:
    assert response.headers["content-type"] == "application/dicom+json"
    return Dataset.from_json(response.text)


def reasons(response: httpx2.Response) -> list[int]:
    found = answer(response)
    return [int(each.FailureReason) for each in found.get("FailedSOPSequence", [])]


def receipts(cloud: Cloud) -> list[Receipt]:
    rows = cloud.rows("ledger_table")
    found = [LedgerRepository().get(row["object_key"]["S"], row["version_id"]["S"]) for row in rows]
    return [each for each in found if each is not None]


def test_instances_are_kept_byte_for_byte_with_receipts(
    cloud: Cloud, sender: TestClient, references: References
) -> None:
    files = [instance(1), instance(2)]
    response = post(sender, body(*files))
    assert response.status_code == 200
    assert sorted(cloud.objects("incoming").values()) == sorted(files)
    batch = response.headers["FirstRead-Batch"]
    kept = {each.sha256: each for each in receipts(cloud)}
    for number, file in enumerate(files, start=1):
        receipt = kept[hashlib.sha256(file).hexdigest()]
        assert receipt.object_key.startswith("in/routine/")
        assert (receipt.source, receipt.batch, receipt.size) == ("ct1", batch, len(file))
        assert receipt.study_ref == references.study(STUDY)
        assert receipt.sop_ref == references.instance(f"1.2.3.{number}")
        assert receipt.outcome is Outcome.PENDING
        head = cloud.s3.head_object(Bucket="incoming", Key=receipt.object_key)
        assert head["Metadata"] == {
            "source": "ct1",
            "batch": batch,
            "study-ref": receipt.study_ref,
            "sop-ref": receipt.sop_ref,
            "sha256": receipt.sha256,
        }
    assert all(
        "ChecksumSHA256" in call and call["IfNoneMatch"] == "*" for call in cloud.wire.sent("PutObject")
    )


def test_the_answer_names_what_was_stored_and_leads_nowhere(sender: TestClient) -> None:
    found = answer(post(sender, body(instance(1)), Accept="application/dicom+json"))
    (item,) = found.ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == "1.2.3.1"
    assert item.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.1"
    assert not found.RetrieveURL and not item.RetrieveURL
    assert "FailedSOPSequence" not in found


def test_a_body_that_is_one_object_is_taken(cloud: Cloud, sender: TestClient) -> None:
    assert post(sender, instance(), Content_Type="application/dicom").status_code == 200
    assert list(cloud.objects("incoming").values()) == [instance()]


def test_the_end_of_a_request_is_told_with_the_number_of_different_instances(
    cloud: Cloud, sender: TestClient, references: References
) -> None:
    files = [instance(1), instance(2), instance(2), instance(3, StudyInstanceUID="1.2.9")]
    response = post(sender, body(*files))
    (text,) = cloud.waiting("hints")
    message = BatchEnded.model_validate_json(text)
    batch = response.headers["FirstRead-Batch"]
    assert (message.source, message.batch, message.correlation_id) == ("ct1", batch, batch)
    assert message.studies == {references.study(STUDY): 2, references.study("1.2.9"): 1}


def test_the_end_of_many_studies_is_told_in_several_messages(
    cloud: Cloud, sender: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "_IN_A_MESSAGE", 2)
    post(sender, body(*(instance(1, StudyInstanceUID=f"1.2.{study}") for study in range(1, 4))))
    told = [BatchEnded.model_validate_json(each) for each in cloud.waiting("hints")]
    assert sorted(len(each.studies) for each in told) == [1, 2]


def test_a_hint_that_cannot_be_sent_fails_nothing(cloud: Cloud, sender: TestClient) -> None:
    cloud.sqs.delete_queue(QueueUrl=cloud.urls["hints"])
    assert post(sender, body(instance())).status_code == 200
    assert len(cloud.objects("incoming")) == 1


def test_what_is_not_of_the_study_in_the_url_is_refused(cloud: Cloud, sender: TestClient) -> None:
    response = post(sender, body(instance(1), instance(2, StudyInstanceUID="1.2.9")), f"{STUDIES}/{STUDY}")
    assert response.status_code == 202
    assert reasons(response) == [43265]
    assert list(cloud.objects("incoming").values()) == [instance(1)]


def test_what_is_no_instance_is_refused_and_the_rest_is_kept(cloud: Cloud, sender: TestClient) -> None:
    response = post(sender, body(b"no DICOM", instance(1), encode(header(StudyInstanceUID=None)), b""))
    assert response.status_code == 202
    assert [int(each.FailureReason) for each in answer(response).OtherFailuresSequence] == [43264] * 3
    assert list(cloud.objects("incoming").values()) == [instance(1)]
    assert len(cloud.rows("ledger_table")) == 1


def test_nothing_kept_is_409_and_no_end_is_told(cloud: Cloud, sender: TestClient) -> None:
    assert post(sender, body(b"no DICOM")).status_code == 409
    assert cloud.objects("incoming") == {}
    assert cloud.waiting("hints") == []


def test_what_only_the_pipeline_can_judge_is_kept(cloud: Cloud, sender: TestClient) -> None:
    """Pixels that do not fit their header are held with a reason later, and not left with the sender."""
    file = encode(header(Rows=60000, Columns=60000))
    assert post(sender, body(file)).status_code == 200
    assert list(cloud.objects("incoming").values()) == [file]


def test_odd_identifiers_are_kept_with_a_warning(sender: TestClient) -> None:
    response = post(sender, body(instance(StudyInstanceUID="1.2.03")))
    assert response.status_code == 202
    (item,) = answer(response).ReferencedSOPSequence
    assert int(item.WarningReason) == 45063


def test_the_same_instance_again_is_kept_again(cloud: Cloud, sender: TestClient) -> None:
    assert post(sender, body(instance())).status_code == 200
    assert post(sender, body(instance())).status_code == 200
    assert list(cloud.objects("incoming").values()) == [instance()] * 2


def test_other_bytes_of_an_instance_are_kept_with_a_warning(cloud: Cloud, sender: TestClient) -> None:
    post(sender, body(instance()))
    response = post(sender, body(instance(PatientSex="M")))
    assert response.status_code == 202
    assert int(answer(response).ReferencedSOPSequence[0].WarningReason) == 273
    assert len(cloud.objects("incoming")) == 2


def settle(receipt: Receipt, reason: Reason, **values: object) -> None:
    update = {"outcome": Outcome.QUARANTINED, "reason": reason.value, "settled_at": "x", **values}
    assert LedgerRepository().settle(receipt.model_copy(update=update))


def test_bytes_that_are_held_as_a_conflict_are_not_taken_twice(cloud: Cloud, sender: TestClient) -> None:
    post(sender, body(instance()))
    settle(receipts(cloud)[0], Reason.CONFLICT)
    response = post(sender, body(instance()))
    assert response.status_code == 409
    assert reasons(response) == [45070]
    assert len(cloud.objects("incoming")) == 1
    assert post(sender, body(instance(PatientSex="M"))).status_code == 202


def test_bytes_that_are_held_for_another_reason_are_taken_again(cloud: Cloud, sender: TestClient) -> None:
    post(sender, body(instance()))
    settle(receipts(cloud)[0], Reason.NOT_AN_IMAGE)
    assert post(sender, body(instance())).status_code == 200


def test_a_study_is_looked_up_once_per_request(cloud: Cloud, sender: TestClient) -> None:
    post(sender, body(*(instance(number) for number in range(20))))
    assert len(cloud.wire.sent("Query")) == 1


def test_a_sender_of_one_instance_per_request_reads_no_more_with_each(
    cloud: Cloud, sender: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond that many receipts the pipeline alone tells a conflict: the object is kept."""
    for number in range(3):
        post(sender, body(instance(number)))
    for receipt in receipts(cloud):
        settle(receipt, Reason.CONFLICT)
    assert [post(sender, body(instance(number))).status_code for number in range(3)] == [409] * 3
    monkeypatch.setattr(door, "_LOOKED_UP", 2)
    cloud.wire.calls.clear()
    statuses = [post(sender, body(instance(number))).status_code for number in range(3)]
    # Which receipts are among those that are read depends on the random names of batches.
    assert set(statuses) <= {200, 409} and 200 in statuses
    assert [query["Limit"] for query in cloud.wire.sent("Query")] == [2] * 3


def test_an_end_tells_of_no_study_of_which_nothing_was_kept(cloud: Cloud, sender: TestClient) -> None:
    post(sender, body(instance(1)))
    settle(receipts(cloud)[0], Reason.CONFLICT)
    cloud.waiting("hints")
    assert post(sender, body(instance(1))).status_code == 409
    assert cloud.waiting("hints") == []


@pytest.mark.parametrize(
    ("source", "values", "lane"),
    [
        ("ct1", {}, "routine"),
        ("ct1", {"RequestedProcedurePriority": "STAT"}, "urgent"),
        ("ct1", {"RequestedProcedurePriority": "HIGH"}, "urgent"),
        ("ct1", {"RequestedProcedurePriority": "LOW"}, "routine"),
        ("er", {}, "urgent"),
        ("archive", {"RequestedProcedurePriority": "STAT"}, "bulk"),
    ],
)
def test_the_lane(cloud: Cloud, service: FastAPI, source: str, values: dict[str, str], lane: str) -> None:
    assert post(ingest.client(service, source), body(instance(1, **values))).status_code == 200
    (key,) = cloud.objects("incoming")
    assert key.startswith(f"in/{lane}/")


def test_the_rest_of_a_large_study_goes_by_the_bulk_lane(cloud: Cloud, sender: TestClient) -> None:
    assert post(sender, body(*(instance(number) for number in range(43)))).status_code == 200
    lanes = [key.split("/")[1] for key in cloud.objects("incoming")]
    assert (lanes.count("routine"), lanes.count("bulk")) == (40, 3)


@pytest.mark.parametrize(
    "token", ["", "Bearer", "Bearer ", "Bearer nobody's", "Basic dTpw", "Bearer t\xf6ken"]
)
def test_who_has_no_token_is_sent_away(cloud: Cloud, service: FastAPI, token: str) -> None:
    with TestClient(service, base_url="http://ingest") as nobody:
        headers = {b"Content-Type": MULTIPART.encode(), b"Authorization": token.encode("latin-1")}
        response = nobody.post(STUDIES, content=body(instance()), headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert cloud.objects("incoming") == {}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "application/dicom+json"}, 415),
        ({"Content_Type": 'multipart/related; type="application/dicom+json"; boundary=a-boundary'}, 415),
        ({"Content_Type": 'multipart/related; type="application/dicom+xml"; boundary=a-boundary'}, 415),
        ({"Content_Type": "multipart/form-data; boundary=a-boundary"}, 415),
        ({"Content_Type": ""}, 415),
        ({"Content_Encoding": "br"}, 415),
        ({"Accept": "application/dicom+xml"}, 406),
        ({"Accept": "text/html, image/png"}, 406),
        ({"Content_Type": 'multipart/related; type="application/dicom"'}, 400),
        ({"Content_Type": f'multipart/related; type="application/dicom"; boundary={"x" * 200}'}, 400),
        ({"Content_Type": 'multipart/related; type="application/dicom"; boundary=other'}, 400),
    ],
)
def test_headers_that_cannot_be_served(
    cloud: Cloud, sender: TestClient, headers: dict[str, str], status: int
) -> None:
    response = post(sender, body(instance()), **headers)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert cloud.objects("incoming") == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "*/*"},
        {"Accept": "application/dicom+xml;q=0.5, application/dicom+json"},
        {"Content_Type": "multipart/related; type=application/dicom; boundary=a-boundary"},
        {"Content_Type": "Multipart/Related;boundary=a-boundary"},
    ],
)
def test_headers_are_read_leniently(sender: TestClient, headers: dict[str, str]) -> None:
    assert post(sender, body(instance()), **headers).status_code == 200


def test_parts_of_another_type(cloud: Cloud, sender: TestClient) -> None:
    assert post(sender, body(instance(), kind="application/dicom+json")).status_code == 415
    mixed = body(instance())[: -len(b"--a-boundary--\r\n")] + body(b"{}", kind="application/json")
    response = post(sender, mixed)
    assert response.status_code == 202
    assert list(cloud.objects("incoming").values()) == [instance()]


@pytest.mark.parametrize("url", [f"{STUDIES}/1.2.3abc", f"{STUDIES}/{'1' * 65}"])
def test_a_url_without_a_study_uid(sender: TestClient, url: str) -> None:
    assert post(sender, body(instance()), url).status_code == 400


@pytest.mark.parametrize("content", [b"", b"--a-boundary--\r\n", b"--a-boundary", b"no boundary at all"])
def test_a_body_without_parts_is_malformed(sender: TestClient, content: bytes) -> None:
    assert post(sender, content).status_code == 400
    assert post(sender, b"", Content_Type="application/dicom").status_code == 400


def test_a_body_that_breaks_off_is_malformed_and_keeps_what_was_whole(
    cloud: Cloud, sender: TestClient
) -> None:
    whole = body(instance(1), instance(2))
    for cut in (len(whole) - 8, len(whole) - 30, len(body(instance(1))) + 60):
        response = post(sender, whole[:cut])
        assert response.status_code == 400
    assert set(cloud.objects("incoming").values()) <= {instance(1), instance(2)}
    assert len(cloud.objects("incoming")) == len(cloud.rows("ledger_table"))
    assert cloud.waiting("hints") == []


def test_a_gzipped_body(cloud: Cloud, sender: TestClient) -> None:
    whole = body(instance(1), instance(2))
    assert post(sender, gzip.compress(whole), Content_Encoding="gzip").status_code == 200
    members = gzip.compress(whole[:100]) + gzip.compress(whole[100:])
    assert post(sender, members, Content_Encoding="gzip").status_code == 200
    assert len(cloud.objects("incoming")) == 4


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(body(instance()))[:-20]])
def test_a_damaged_gzip_is_malformed(sender: TestClient, content: bytes) -> None:
    assert post(sender, content, Content_Encoding="gzip").status_code == 400


def test_a_body_that_inflates_too_far_is_too_large(cloud: Cloud, sender: TestClient) -> None:
    bomb = gzip.compress(b"--a-boundary\r\n\r\n" + bytes(20_000_000))
    assert post(sender, bomb, Content_Encoding="gzip").status_code == 413
    assert cloud.objects("incoming") == {}


def chunked(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


def test_a_body_beyond_the_limit_is_too_large_announced_or_not(cloud: Cloud, tmp_path: Path) -> None:
    sender = ingest.client(ingest.app(tmp_path, request_bytes=1500))
    large = body(instance(StudyDescription="x" * 3000))
    assert post(sender, large).status_code == 413
    unannounced = sender.post(STUDIES, content=chunked(large), headers={"Content-Type": MULTIPART})
    assert unannounced.status_code == 413
    assert cloud.objects("incoming") == {}
    assert post(sender, body(instance())).status_code == 200


def fail(cloud: Cloud, operation: str, code: str, times: int = 1_000) -> None:
    left = times

    def before(called: str, _parameters: dict[str, Any]) -> None:
        nonlocal left
        if called == operation and left:
            left -= 1
            raise ClientError({"Error": {"Code": code, "Message": "m"}}, operation)

    cloud.wire.before = before


def test_an_object_that_s3_does_not_take_is_a_failure(cloud: Cloud, sender: TestClient) -> None:
    fail(cloud, "PutObject", "InternalError", times=1)
    response = post(sender, body(instance(1)))
    assert response.status_code == 409
    assert reasons(response) == [272]
    assert cloud.rows("ledger_table") == []


def test_an_object_without_a_receipt_is_a_failure(cloud: Cloud, sender: TestClient) -> None:
    cloud.dynamodb.delete_table(TableName="ledger_table")
    response = post(sender, body(instance(1)))
    assert response.status_code == 409
    assert reasons(response) == [272]


def test_when_s3_asks_to_slow_down_the_sender_comes_again(cloud: Cloud, sender: TestClient) -> None:
    fail(cloud, "PutObject", "SlowDown")
    response = post(sender, body(instance(1), instance(2)))
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0


def test_a_key_that_an_earlier_try_has_written_is_left_alone(cloud: Cloud, sender: TestClient) -> None:
    fail(cloud, "PutObject", "PreconditionFailed", times=1)
    assert post(sender, body(instance())).status_code == 200
    assert len(cloud.objects("incoming")) == 1


def test_who_comes_when_all_places_are_taken_comes_again(service: FastAPI, sender: TestClient) -> None:
    gate = service.state.services.gate
    places = [gate.place(0) for _ in range(gate.requests)]
    response = post(sender, body(instance()))
    assert response.status_code == 503
    assert response.headers["retry-after"]
    with places[0]:
        pass
    assert post(sender, body(instance())).status_code == 200


def test_nothing_of_a_patient_gets_into_logs_or_records(
    cloud: Cloud, sender: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(cloud, "PutObject", "InternalError", times=1)
    post(sender, body(instance(1), instance(2), b"Quimby"), f"{STUDIES}/{STUDY}")
    printed = capsys.readouterr()
    told = (
        printed.out
        + printed.err
        + json.dumps(cloud.rows("ledger_table"))
        + str(list(cloud.objects("incoming")))
    )
    told += str(cloud.waiting("hints"))
    for secret in ("Quimby", "MRN-998877", STUDY, "1.2.3.1", "1.2.3.2"):
        assert secret not in told


def test_what_nobody_expected_is_500_without_a_word(
    service: FastAPI, sender: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("Quimby")

    monkeypatch.setattr(type(service.state.services.gate), "place", fails)
    response = post(sender, body(instance()))
    assert response.status_code == 500
    printed = capsys.readouterr()
    assert "Quimby" not in response.text + printed.out + printed.err


def test_health_needs_no_token(service: FastAPI) -> None:
    response = TestClient(service, base_url="http://ingest").get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_a_sender_that_stops_is_told_and_the_connection_is_closed(
    cloud: Cloud, service: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest_service.body._PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr("ingest_service.asgi._DRAINED_SECONDS", 0.1)
    head = (
        f"POST {STUDIES} HTTP/1.1\r\nHost: ingest\r\nAuthorization: Bearer {ingest.TOKENS['ct1']}\r\n"
        f"Content-Type: {MULTIPART}\r\nContent-Length: 100000\r\n\r\n--{ingest.BOUNDARY}\r\n"
    )
    with served(service) as url:
        address = urlsplit(url)
        with socket.create_connection((str(address.hostname), address.port or 0), timeout=60) as connection:
            connection.sendall(head.encode())
            answered = b"".join(iter(lambda: connection.recv(4096), b""))  # until it is closed
    assert answered.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answered.lower()
    gate = service.state.services.gate
    with ExitStack() as places:
        for _ in range(gate.requests):
            places.enter_context(gate.place(0))
    assert cloud.objects("incoming") == {}
