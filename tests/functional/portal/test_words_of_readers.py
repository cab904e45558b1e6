"""What readers write in their own words is in the review and its report, and nowhere else."""

import io
import logging
from collections.abc import Iterator

import boto3
import pytest
from starlette.testclient import TestClient

from firstread.policy import Role
from tests.functional.portal.conftest import SignIn
from tests.functional.portal.reading import consistent, finding, radiograph, tracking
from tests.functional.portal.seeding import MODEL, RESULTS, Hospital

PLANTED = ("Quimby", "Theodora", "Wilhelmina", "Grandville", "Peregrine")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that any logger writes, at the levels that programs use."""
    target = io.StringIO()
    handler = logging.StreamHandler(target)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield target
    root.setLevel(level)
    root.removeHandler(handler)


def put(client: TestClient, study_uid: str, **values: object) -> tuple[int, str]:
    answer = client.put(f"/api/studies/{study_uid}/review", json={"version": 1} | values)
    return answer.status_code, answer.text


def places(log: str) -> dict[str, str]:
    """Return what is kept, and what was said, by place."""
    found = {"log": log}
    dynamodb = boto3.client("dynamodb", region_name="us-east-1")
    for table in dynamodb.list_tables()["TableNames"]:
        found[table] = repr(dynamodb.scan(TableName=table)["Items"])
    s3 = boto3.client("s3", region_name="us-east-1")
    for listed in s3.list_objects_v2(Bucket=RESULTS).get("Contents", []):
        found["keys"] = found.get("keys", "") + listed["Key"]
        body = s3.get_object(Bucket=RESULTS, Key=listed["Key"])["Body"].read()
        found[f"object {listed['Key'].split('/')[0]}"] = body.decode("latin-1")
    return found


def test_words_of_readers_are_nowhere_else(
    hospital: Hospital, sign_in: SignIn, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    study_uid = hospital.study(consistent(radiograph(), 1))
    hospital.result(study_uid, findings=(finding(1, f"{study_uid}.1.1"),))
    hospital.change(study_uid, models=(MODEL,))
    ann, rae = sign_in(Role.RADIOLOGIST), sign_in(Role.RESIDENT)
    said = {"finding_id": tracking(1), "verdict": "accepted", "note": "of Theodora"}
    line = {
        "measurement_id": "2.25.7",
        "shape": "length",
        "series_uid": f"{study_uid}.1",
        "sop_uid": f"{study_uid}.1.1",
        "points": [{"x": 1, "y": 1}, {"x": 5, "y": 1}],
        "label": "Wilhelmina",
    }
    first = put(ann, study_uid, findings=[said], measurements=[line], impression="Quimby has it")
    assert first[0] == 200
    # Refused: held by somebody else, stale, not understood, too long.
    refusals = [
        put(rae, study_uid, impression="Grandville"),
        put(ann, study_uid, number=1, revision=7, impression="Grandville"),
        put(ann, study_uid, findings=[{"finding_id": "Peregrine"}], impression="Grandville"),
        put(ann, study_uid, findings=[said | {"note": "Peregrine" * 100}]),
        put(ann, study_uid, measurements=[line | {"label": "Peregrine" * 10}]),
        put(ann, study_uid, measurements=[line | {"label": "Peregrine", "frame": 2}]),
        put(
            ann,
            study_uid,
            number=1,
            revision=1,
            findings=[said | {"verdict": "rejected", "note": "Peregrine"}],
        ),
    ]
    assert [status for status, _ in refusals] == [409, 409, 422, 422, 422, 422, 422]
    assert not [text for _, text in refusals if "Grandville" in text or "Peregrine" in text]
    assert "Quimby" not in refusals[0][1]  # the draft of somebody else
    signed = ann.post(f"/api/studies/{study_uid}/review/sign", json={"number": 1, "revision": 1})
    assert signed.status_code == 200
    captured = capfd.readouterr()
    found = {
        place: sorted(word for word in PLANTED if word.lower() in text.lower())
        for place, text in places(log.getvalue() + captured.out + captured.err).items()
    }
    assert {place: words for place, words in found.items() if words} == {
        "reviews_table": ["Quimby", "Theodora", "Wilhelmina"],
        "object reviews": ["Quimby", "Theodora", "Wilhelmina"],
    }
    assert {"audit_table", "keys", "log", "outbox_table", "studies_table"} <= set(found)
