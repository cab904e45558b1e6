"""The versions of a study beside each other: what each had, who sees what of it, and that none but one is judged."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from firstread import storage
from firstread.policy import Role
from firstread.receipt import Outcome, Receipt
from firstread.records.audit import AuditTrail
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.study import AnalysisStatus, InstanceState
from portal.app import create_app
from portal.logic.review.overlay import OverlayPolicy
from tests.functional.portal.conftest import Clock, SignIn
from tests.functional.portal.reading import finding, radiograph, tracking
from tests.functional.portal.seeding import MODEL, RESULTS, Hospital, settings

OTHER = "chest_xray_opacity@0.2.0"
Json = dict[str, Any]


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def overlay(study_uid: str, png: bytes) -> tuple[str, str]:
    """Store an overlay; return its key and its digest."""
    digest = hashlib.sha256(png).hexdigest()
    key = storage.result_key(study_uid, digest, "png")
    storage.Bucket(RESULTS).put(key, png, "image/png")
    return key, digest


@pytest.fixture
def study(hospital: Hospital) -> str:
    """Two images and a finding on each, then a third image, then the second one was withdrawn: three versions."""
    study_uid = hospital.study(radiograph(2), waits=60)
    hospital.close(study_uid, 1, waits=50)
    first, second = f"{study_uid}.1.1", f"{study_uid}.1.2"
    on_first, _ = overlay(study_uid, picture(1))
    on_second, _ = overlay(study_uid, picture(2))
    found = (finding(1, first, overlay_key=on_first), finding(2, second, overlay_key=on_second))
    hospital.result(study_uid, version=1, findings=found)
    hospital.late(study_uid, 3, radiograph()[0], waits=40)
    hospital.close(study_uid, 2, waits=30, closed_by="batch")
    hospital.result(study_uid, version=2, failed="out_of_memory")
    hospital.withdraw(study_uid, second, waits=20)
    hospital.close(study_uid, 3, waits=10)
    hospital.result(study_uid, version=3, findings=(finding(3, first, 0.1),))
    hospital.result(study_uid, version=3, model=OTHER, findings=(finding(4, first, 0.7),))
    hospital.result(study_uid, version=3, model="shadow@1.0.0", shadow=True, findings=(finding(5, first),))
    hospital.change(study_uid, version=3, status=AnalysisStatus.ANALYSED, models=(MODEL, OTHER))
    return study_uid


@pytest.fixture
def app(hospital: Hospital, tmp_path: Path, clock: Clock, request: pytest.FixtureRequest) -> FastAPI:
    assert hospital.moment == clock()
    policy = OverlayPolicy(getattr(request, "param", "hidden"))
    return create_app(settings(tmp_path).model_copy(update={"overlay_policy": policy}), clock)


def got(client: TestClient, path: str, status: int = 200) -> Any:  # noqa: ANN401 - any JSON
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_versions_say_when_and_why_and_who_spoke(radiologist: TestClient, study: str) -> None:
    one, two, three = got(radiologist, f"/api/studies/{study}/versions")
    assert [each["words"] for each in (one, two, three)] == [
        "version 1 of 3, superseded",
        "version 2 of 3, superseded",
        "version 3 of 3, current",
    ]
    assert [each["change_words"] for each in (one, two, three)] == ["", "1 image came", "1 image withdrawn"]
    assert [each["image_count"] for each in (one, two, three)] == [2, 3, 2]
    assert two["closed_words"] == "the sender had ended"
    assert one["completed"] == "2026-03-02 07:40:00 UTC"
    assert [(each["state"], each["finding_count"]) for each in one["models"]] == [("done", 2)]
    assert [each["state"] for each in two["models"]] == ["failed"]
    assert [each["model_id"] for each in three["models"]] == [MODEL, OTHER]


def test_a_version_shows_its_images_but_for_those_withdrawn_since(
    radiologist: TestClient, study: str
) -> None:
    def images(version: int) -> tuple[list[str], int, bool]:
        found = got(radiologist, f"/api/studies/{study}/versions/{version}")
        shown = [image["sop_uid"] for each in found["series"] for image in each["images"]]
        return shown, found["gone_count"], found["is_exact"]

    assert images(1) == ([f"{study}.1.1"], 1, True)
    assert images(2) == ([f"{study}.1.1", f"{study}.1.3"], 1, True)
    assert images(3) == ([f"{study}.1.1", f"{study}.1.3"], 0, True)


def test_a_version_whose_images_changed_says_so(radiologist: TestClient, hospital: Hospital) -> None:
    study = hospital.study(radiograph(1), waits=60, held=(("CR", "burned_in_text"),))
    hospital.close(study, 1, waits=50)
    assert got(radiologist, f"/api/studies/{study}/versions/1")["is_exact"]
    held = next(each for each in InstanceRepository().of_study(study) if each.state is InstanceState.HELD)
    receipt = Receipt(object_key="in/again", version_id="1", source="push", received_at=held.received_at)
    LedgerRepository().open(receipt)
    released = held.model_copy(update={"state": InstanceState.STORED, "digest": "other"})
    settled = receipt.model_copy(update={"outcome": Outcome.STORED})
    assert InstanceRepository().replace(held, released, settled)
    assert not got(radiologist, f"/api/studies/{study}/versions/1")["is_exact"]


def test_overlays_of_a_version_have_paths_of_their_own(radiologist: TestClient, study: str) -> None:
    (model,) = got(radiologist, f"/api/studies/{study}/versions/1")["results"]
    on_first, on_second = (each["overlay_url"] for each in model["findings"])
    assert on_first.startswith(f"/studies/{study}/versions/1/overlays/")
    assert on_second == ""  # its image may be of somebody else
    assert model["objects"] == []
    assert radiologist.get(on_first).content == picture(1)
    digest = hashlib.sha256(picture(2)).hexdigest()
    assert radiologist.get(f"/studies/{study}/versions/1/overlays/{digest}.png").status_code == 404
    assert radiologist.get(on_first.replace("/versions/1/", "/versions/2/")).status_code == 404
    assert radiologist.get(on_first.replace("/versions/1/", "/")).status_code == 404
    assert got(radiologist, f"/api/studies/{study}/versions/1/segmentations") == []


@pytest.mark.parametrize("version", ["0", "4", "999999", "-1", "x"])
def test_there_is_no_other_version(radiologist: TestClient, study: str, version: str) -> None:
    for path in ("", "/segmentations", "/segmentations/1.2/frames/1"):
        answer = radiologist.get(f"/api/studies/{study}/versions/{version}{path}")
        assert answer.status_code in (404, 422), path


@pytest.mark.parametrize("app", ["after_first_read"], indirect=True)
def test_earlier_findings_are_kept_back_like_the_current_ones(sign_in: SignIn, study: str) -> None:
    client = sign_in(Role.RADIOLOGIST)
    png = f"/studies/{study}/versions/1/overlays/{hashlib.sha256(picture(1)).hexdigest()}.png"
    assert all(not each["models"] for each in got(client, f"/api/studies/{study}/versions"))
    assert got(client, f"/api/studies/{study}/versions/1")["results"] == []
    assert client.get(png).status_code == 404
    body = {"version": 3, "amends": 0, "number": 0, "revision": 0, "findings": [], "impression": "nothing"}
    draft = client.put(f"/api/studies/{study}/review", json=body).json()["draft"]
    which = {"number": draft["number"], "revision": draft["revision"]}
    assert client.post(f"/api/studies/{study}/review/first-read", json=which).status_code == 200
    assert len(got(client, f"/api/studies/{study}/versions/1")["results"]) == 1
    assert client.get(png).status_code == 200


def test_who_may_not_see_findings_sees_none_of_any_version(sign_in: SignIn, study: str) -> None:
    png = f"/studies/{study}/versions/1/overlays/{hashlib.sha256(picture(1)).hexdigest()}.png"
    worker = sign_in(Role.TECHNOLOGIST)
    assert all(not each["models"] for each in got(worker, f"/api/studies/{study}/versions"))
    assert got(worker, f"/api/studies/{study}/versions/1")["results"] == []
    assert worker.get(png).status_code == 404
    student = sign_in(Role.STUDENT)
    for path in ("", "/1", "/1/segmentations"):
        assert student.get(f"/api/studies/{study}/versions{path}").status_code == 404
    assert student.get(png).status_code == 404


def test_each_look_at_a_version_is_in_the_trail(radiologist: TestClient, study: str) -> None:
    png = f"/studies/{study}/versions/1/overlays/{hashlib.sha256(picture(1)).hexdigest()}.png"
    for path in (f"/api/studies/{study}/versions", f"/api/studies/{study}/versions/1", png):
        assert radiologist.get(path).status_code == 200
    said = [
        (each["action"], each.get("version"), each.get("what")) for each in AuditTrail().of(f"study#{study}")
    ]
    assert said == [("study.view", None, "versions"), ("study.view", 1, None), ("overlay.view", 1, None)]


def test_a_finding_of_an_earlier_version_cannot_be_judged(radiologist: TestClient, study: str) -> None:
    path = f"/api/studies/{study}/review"
    accepted = [{"finding_id": tracking(1), "verdict": "accepted"}]
    body = {"version": 3, "amends": 0, "number": 0, "revision": 0, "findings": accepted, "impression": ""}
    assert radiologist.put(path, json=body).status_code == 422
    assert radiologist.put(path, json=body | {"version": 1}).status_code == 409
    shown = {each["finding_id"] for each in got(radiologist, path)["findings"]}
    assert shown == {tracking(3), tracking(4)}
