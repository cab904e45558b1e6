"""`POST /uploads`: what is signed, and that nothing else can be written with it."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from fastapi import FastAPI
from starlette.testclient import TestClient

from firstread.arrival import Arrival
from firstread.messages import BatchEnded
from firstread.refs import References
from firstread.uploads.client import FORM_BYTES, PART_BYTES
from tests.support import ingest
from tests.support.cloud import Cloud

SHA256 = hashlib.sha256(b"content").hexdigest()
GIB = 1024**3


def wanted(**values: object) -> dict[str, object]:
    return {"size": 7, "sha256": SHA256, "study_uid": "1.2.3", "sop_uid": "1.2.3.4"} | values


def ask(sender: TestClient, *objects: dict[str, object], **values: object) -> dict[str, Any]:
    response = sender.post("/uploads", json={"objects": objects, **values})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def policy(upload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(upload["form"]["fields"]["policy"]))
    return found


def test_a_form_is_good_for_one_object_and_these_bytes(sender: TestClient, references: References) -> None:
    answer = ask(sender, wanted(), batch="a-batch")
    (upload,) = answer["uploads"]
    fields = upload["form"]["fields"]
    conditions = policy(upload)["conditions"]
    assert ["content-length-range", 7, 7] in conditions
    exact = {name: value for each in conditions if isinstance(each, dict) for name, value in each.items()}
    assert exact["bucket"] == "incoming"
    assert exact["key"] == fields["key"] == upload["object_key"]
    assert exact["x-amz-checksum-sha256"] == base64.b64encode(bytes.fromhex(SHA256)).decode()
    assert set(fields) == (set(exact) - {"bucket"}) | {"policy", "x-amz-signature"}
    metadata = {n.removeprefix("x-amz-meta-"): v for n, v in exact.items() if n.startswith("x-amz-meta-")}
    assert Arrival.from_metadata(metadata) == Arrival(
        source="ct1",
        batch=references.batch("ct1", "a-batch"),
        study_ref=references.study("1.2.3"),
        sop_ref=references.instance("1.2.3.4"),
        sha256=SHA256,
    )
    assert answer["batch"] == "a-batch"
    left = datetime.fromisoformat(policy(upload)["expiration"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)


def batches(answer: dict[str, Any]) -> set[str]:
    return {each["form"]["fields"]["x-amz-meta-batch"] for each in answer["uploads"]}


@pytest.mark.parametrize("name", ["", "b-1"])
def test_objects_and_the_end_of_their_batch_agree_on_its_name(
    cloud: Cloud, sender: TestClient, name: str
) -> None:
    answer = ask(sender, wanted(), batch=name)
    ended = sender.post(f"/ingest/batches/{answer['batch']}/end", json={"studies": {"1.2.3": 1}})
    (hint,) = cloud.waiting("hints")
    assert batches(answer) == {BatchEnded.model_validate_json(hint).batch}
    assert ended.headers["FirstRead-Batch"] in batches(answer)
    assert answer["batch"] not in batches(answer)


def test_a_batch_is_its_sources_own(service: FastAPI) -> None:
    first, second = (ask(ingest.client(service, each), wanted(), batch="b-1") for each in ("ct1", "er"))
    assert first["batch"] == second["batch"] == "b-1"
    assert not batches(first) & batches(second)


def test_original_identifiers_do_not_come_back(sender: TestClient) -> None:
    response = sender.post("/uploads", json={"objects": [wanted(study_uid="1.9.8.7", sop_uid="1.9.8.7.6")]})
    assert "1.9.8.7" not in response.text
    assert (
        "1.9.8.7" not in base64.b64decode(response.json()["uploads"][0]["form"]["fields"]["policy"]).decode()
    )


def test_every_object_gets_a_key_of_its_own_in_the_order_asked(sender: TestClient) -> None:
    answer = ask(sender, *(wanted(size=size) for size in range(100)))
    assert len({each["object_key"] for each in answer["uploads"]}) == 100
    for size, upload in enumerate(answer["uploads"]):
        assert ["content-length-range", size, size] in policy(upload)["conditions"]


@pytest.mark.parametrize(
    ("source", "values", "request_values", "lane"),
    [
        ("ct1", {}, {}, "routine"),
        ("ct1", {"urgent": True}, {}, "urgent"),
        ("ct1", {}, {"urgent": True}, "urgent"),
        ("ct1", {"number": 41}, {}, "bulk"),
        ("ct1", {"number": 40}, {}, "routine"),
        ("ct1", {"urgent": True}, {"backfill": True}, "bulk"),
        ("er", {}, {}, "urgent"),
        ("archive", {"urgent": True}, {}, "bulk"),
    ],
)
def test_the_lane(
    service: FastAPI, source: str, values: dict[str, object], request_values: dict[str, object], lane: str
) -> None:
    answer = ask(ingest.client(service, source), wanted(**values), **request_values)
    assert answer["uploads"][0]["object_key"].startswith(f"in/{lane}/")


def test_objects_that_nobody_has_numbered_count_by_study(sender: TestClient) -> None:
    objects = [wanted() for _ in range(41)] + [wanted(study_uid="1.2.9")]
    lanes = [each["object_key"].split("/")[1] for each in ask(sender, *objects)["uploads"]]
    assert lanes == ["routine"] * 40 + ["bulk", "routine"]


def test_a_large_object_goes_in_parts(cloud: Cloud, sender: TestClient, references: References) -> None:
    parts = [hashlib.sha256(bytes([n])).hexdigest() for n in range(3)]
    size = 2 * PART_BYTES + 1
    (upload,) = ask(sender, wanted(size=size, part_sha256=parts))["uploads"]
    assert "form" not in upload
    assert upload["parts"]["part_bytes"] == PART_BYTES
    for part, digest in zip(upload["parts"]["parts"], parts, strict=True):
        assert part["headers"] == {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(digest)).decode()}
        assert "x-amz-checksum-sha256" in part["url"]
    (call,) = cloud.wire.sent("CreateMultipartUpload")
    assert call["Metadata"]["study-ref"] == references.study("1.2.3")
    assert call["ChecksumAlgorithm"] == "SHA256"


def test_the_parts_of_an_object_are_put_together(cloud: Cloud, sender: TestClient) -> None:
    content = bytes(FORM_BYTES + 1)
    pieces = [content[:PART_BYTES], content[PART_BYTES:]]
    digests = [hashlib.sha256(piece).hexdigest() for piece in pieces]
    (upload,) = ask(sender, wanted(size=len(content), part_sha256=digests))["uploads"]
    key, upload_id = upload["object_key"], upload["parts"]["upload_id"]
    done = []
    for number, (piece, digest) in enumerate(zip(pieces, digests, strict=True), start=1):
        put = cloud.s3.upload_part(
            Bucket="incoming", Key=key, UploadId=upload_id, PartNumber=number, Body=piece
        )
        done.append({"etag": put["ETag"], "sha256": digest})
    body = {"object_key": key, "upload_id": upload_id, "parts": done}
    response = sender.post("/uploads/complete", json=body)
    assert response.status_code == 200
    head = cloud.s3.head_object(Bucket="incoming", Key=key)
    assert response.json() == {"object_key": key, "version_id": head["VersionId"]}
    assert head["ContentLength"] == len(content)


@pytest.mark.parametrize(
    ("code", "status"),
    [("NoSuchUpload", 404), ("InvalidPart", 422), ("EntityTooSmall", 422), ("SlowDown", 503)],
)
def test_what_s3_does_not_put_together(cloud: Cloud, sender: TestClient, code: str, status: int) -> None:
    def before(operation: str, _parameters: dict[str, Any]) -> None:
        if operation == "CompleteMultipartUpload":
            raise ClientError({"Error": {"Code": code, "Message": "m"}}, operation)

    cloud.wire.before = before
    part = {"etag": "0" * 32, "sha256": SHA256}
    body = {"object_key": f"in/bulk/{'0' * 32}", "upload_id": "u", "parts": [part]}
    assert sender.post("/uploads/complete", json=body).status_code == status


BAD: list[tuple[object, int]] = [
    ([], 422),
    ("text", 422),
    ({"objects": []}, 422),
    ({"objects": [wanted()] * 101}, 422),
    ({"objects": [wanted(size=-1)]}, 422),
    ({"objects": [wanted(size=5 * GIB + 1)]}, 413),
    ({"objects": [wanted(size="large")]}, 422),
    ({"objects": [wanted(sha256="quimby")]}, 422),
    ({"objects": [wanted(sha256=SHA256.upper())]}, 422),
    ({"objects": [wanted(study_uid="quimby")]}, 422),
    ({"objects": [wanted(quimby=1)]}, 422),
    ({"objects": [wanted()], "batch": "quimby/.."}, 422),
    ({"objects": [wanted(size=FORM_BYTES + 1)]}, 422),
    ({"objects": [wanted(part_sha256=[SHA256])]}, 422),
    ({"objects": [wanted(size=FORM_BYTES + 1, part_sha256=[SHA256] * 3)]}, 422),
]


@pytest.mark.parametrize(("body", "status"), BAD)
def test_what_is_not_understood_is_said_without_a_value(
    cloud: Cloud, sender: TestClient, body: object, status: int
) -> None:
    response = sender.post("/uploads", json=body)
    assert response.status_code == status
    assert "quimby" not in response.text
    assert cloud.wire.sent("CreateMultipartUpload") == []


@pytest.mark.parametrize(
    "body",
    [
        {"object_key": "in/routine/x", "upload_id": "u", "parts": [{"etag": "a", "sha256": SHA256}]},
        {"object_key": f"studies/{'0' * 32}", "upload_id": "u", "parts": [{"etag": "a", "sha256": SHA256}]},
        {"object_key": f"in/bulk/{'0' * 32}", "upload_id": "u", "parts": []},
        {"object_key": f"in/bulk/{'0' * 32}", "upload_id": "u\n", "parts": [{"etag": "a", "sha256": SHA256}]},
    ],
)
def test_only_uploads_of_ours_are_completed(sender: TestClient, body: object) -> None:
    assert sender.post("/uploads/complete", json=body).status_code == 422


def test_who_has_no_token_gets_no_signature(service: FastAPI) -> None:
    nobody = TestClient(service, base_url="http://ingest")
    for path in ("/uploads", "/uploads/complete", "/ingest/batches/b/end", "/ingest/feed"):
        assert nobody.post(path, json={"objects": [wanted()]}).status_code == 401
