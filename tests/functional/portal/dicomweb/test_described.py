"""What `describe_series` makes when a version is closed is what DICOMweb serves, and nobody reads a header again."""

import copy
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from fastapi.testclient import TestClient
from pydicom import Dataset

from firstread import storage
from firstread.clock import to_text
from firstread.messages import DescribeSeriesRequest
from firstread.policy import Role
from functions.describe_series import handler
from portal.app import create_app
from tests.functional.portal.conftest import Clock
from tests.functional.portal.dicomweb.samples import MULTIPLE, SINGLE
from tests.functional.portal.morning import sample, stack
from tests.functional.portal.seeding import RESULTS, STUDIES, URL, Hospital, account, open_session, settings
from tests.support import events
from tests.support.events import CONTEXT

WINDOW = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation")


@pytest.fixture
def hospital(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hospital]:
    for name, value in {
        "INSTANCES_TABLE": "instances_table",
        "STUDIES_BUCKET": STUDIES,
        "RESULTS_BUCKET": RESULTS,
    }.items():
        monkeypatch.setenv(f"FIRSTREAD_{name}", value)
    with account():
        yield Hospital(Clock()())


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the objects that bytes were read of."""
    found: list[str] = []
    piece = storage.Bucket.piece

    def remembered(bucket: storage.Bucket, key: str, start: int, length: int) -> storage.Piece:
        found.append(key)
        return piece(bucket, key, start, length)

    monkeypatch.setattr(storage.Bucket, "piece", remembered)
    return found


def describe(*studies: str, version: int = 1) -> list[str]:
    """Hand the handler one batch, and return which of its messages failed."""
    requests = [
        DescribeSeriesRequest(study_uid=each, version=version, completed_at=to_text(Clock()()))
        for each in studies
    ]
    answer: Mapping[str, Any] = handler.handle(
        events.sqs(*(each.model_dump(mode="json") for each in requests)), CONTEXT
    )
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def documents() -> dict[str, bytes]:
    s3 = boto3.client("s3", region_name="us-east-1")
    listed = s3.list_objects_v2(Bucket=RESULTS, Prefix=storage.METADATA_PREFIX).get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=RESULTS, Key=each["Key"])["Body"].read() for each in listed}


def client(folder: Path) -> TestClient:
    app = create_app(settings(folder), Clock())
    name, value = open_session(app, Role.RADIOLOGIST)
    return TestClient(app, base_url=URL, cookies={name: value}, headers={"Sec-Fetch-Site": "same-origin"})


def without_window(dataset: Dataset) -> Dataset:
    made = copy.deepcopy(dataset)
    for keyword in WINDOW:
        if keyword in made:
            delattr(made, keyword)
    return made


def test_dicomweb_serves_what_the_function_made_and_reads_no_header(
    hospital: Hospital, tmp_path: Path, read: list[str]
) -> None:
    """Of every encoding; MR images without a window are decoded for their range."""
    studies = {}
    for name, file in {**SINGLE, **MULTIPLE}.items():
        dataset = sample(file)
        studies[name] = hospital.study([without_window(dataset)], modality=str(dataset.Modality))
    assert describe(*studies.values()) == []
    made = {
        json.loads(gzip.decompress(each))[0]["0020000D"]["Value"][0]: each for each in documents().values()
    }
    assert set(made) == set(studies.values())
    for name in ("mr", "mr-rle", "mr-jpeg-ls", "mr-jpeg-2000"):
        assert json.loads(gzip.decompress(made[studies[name]]))[0]["00281051"]["Value"], name
    assert read
    read.clear()
    with client(tmp_path) as portal:
        for study in studies.values():
            (series,) = portal.get(f"/dicomweb/studies/{study}/series").json()
            root = f"/dicomweb/studies/{study}/series/{series['0020000E']['Value'][0]}"
            answer = portal.get(f"{root}/metadata")
            assert answer.status_code == 200
            assert answer.content == gzip.decompress(made[study])
            (told,) = answer.json()
            alone = portal.get(f"{root}/instances/{told['00080018']['Value'][0]}/metadata")
            assert alone.json() == [told]
            assert portal.get(f"/dicomweb/studies/{study}/metadata").json() == [told]
    assert read == []
    assert len(documents()) == len(studies)


def test_the_portal_makes_the_same_where_nobody_was_before(hospital: Hospital, tmp_path: Path) -> None:
    study = hospital.study(stack(without_window(sample("MR_small.dcm")), 5), modality="MR")
    with client(tmp_path) as portal:
        assert portal.get(f"/dicomweb/studies/{study}/metadata").status_code == 200
    by_portal = documents()
    s3 = boto3.client("s3", region_name="us-east-1")
    for key in by_portal:
        s3.delete_object(Bucket=RESULTS, Key=key)
    assert describe(study) == []
    assert documents() == by_portal


def test_a_late_image_is_described_and_what_did_not_change_is_not_read_again(
    hospital: Hospital, read: list[str]
) -> None:
    ct = sample("CT_small.dcm")
    study = hospital.study([*stack(ct, 3, series=1), *stack(ct, 2, series=2)], modality="CT")
    assert describe(study) == []
    first = documents()
    assert len(first) == 2
    read.clear()
    assert describe(study, study) == []
    assert (documents(), read) == (first, [])
    (late,) = stack(ct, 1, series=2)
    hospital.late(study, 9, late, waits=1)
    assert describe(study, version=2) == []
    assert len(documents()) == 3
    assert {key.split("/")[2] for key in read} == {f"{study}.2"}
    hospital.withdraw(study, f"{study}.2.9", waits=0)
    read.clear()
    assert describe(study, version=3) == []
    assert (len(documents()), read) == (3, [])  # as it was


def test_a_study_of_which_nothing_may_be_passed_on_has_none(hospital: Hospital) -> None:
    held = hospital.study([], held=(("US", "may_contain_burned_in_text"),))
    assert describe(held, "2.25.404") == []
    assert documents() == {}


def test_a_message_that_fails_fails_alone(hospital: Hospital) -> None:
    good = hospital.study([sample("CT_small.dcm")], modality="CT")
    lost = hospital.study([sample("CT_small.dcm")], modality="CT")
    s3 = boto3.client("s3", region_name="us-east-1")
    listed = s3.list_objects_v2(Bucket=STUDIES, Prefix=f"studies/{lost}/")["Contents"]
    for each in listed:
        s3.delete_object(Bucket=STUDIES, Key=each["Key"])
    assert len(describe(lost, good)) == 1
    assert {key.split("/")[1] for key in documents()} == {good}


def test_a_series_that_cannot_be_read_does_not_keep_the_others_waiting(
    hospital: Hospital, tmp_path: Path
) -> None:
    ct = sample("CT_small.dcm")
    study = hospital.study([*stack(ct, 1, series=1), *stack(ct, 1, series=2)], modality="CT")
    s3 = boto3.client("s3", region_name="us-east-1")
    (broken,) = s3.list_objects_v2(Bucket=STUDIES, Prefix=f"studies/{study}/{study}.1/")["Contents"]
    s3.put_object(Bucket=STUDIES, Key=broken["Key"], Body=b"no longer what it was" * 20)
    assert describe(study) == []
    (document,) = documents().values()
    assert json.loads(gzip.decompress(document))[0]["0020000E"]["Value"] == [f"{study}.2"]
    with client(tmp_path) as portal:
        answer = portal.get(f"/dicomweb/studies/{study}/series/{study}.1/metadata")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "unreadable"
