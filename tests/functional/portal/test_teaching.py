"""Teaching: read first, then reveal; apart from the clinical record; nothing tells before."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from firstread.policy import Role
from firstread.records.audit import AuditTrail
from firstread.records.tables import TABLES, TeachingRow
from firstread.records.teaching import TeachingRepository
from tests.functional.portal.conftest import Clock, SignIn
from tests.functional.portal.seeding import Hospital
from tests.functional.portal.teaching import (
    CASE,
    EFFUSION,
    IMPRESSION,
    NODULE,
    OPACITY,
    POINTS,
    SECRETS,
    box,
    signed,
    simulated,
)
from tests.functional.portal.test_routes import api_routes

WANTED = {"collection": "chest", "title": "Chest, child, 4 years", "points": POINTS}
APART = {"teaching_table", "audit_table", "sessions_table"}


@pytest.fixture
def student(sign_in: SignIn) -> TestClient:
    return sign_in(Role.STUDENT)


def make(client: TestClient, study_uid: str, **change: object) -> Any:  # noqa: ANN401 - an answer
    return client.post(f"/api/studies/{study_uid}/teaching", json={**WANTED, **change})


def said(code: Any, study_uid: str, *corners: float) -> dict[str, object]:  # noqa: ANN401 - a code
    drawn = [box(study_uid, *corners).model_dump(include={"sop_uid", "frame", "outline"})] if corners else []
    return {"value": code.value, "scheme": code.scheme, "confidence": 4, "regions": drawn}


def contents() -> dict[str, str]:
    """Return every row of every table but those of teaching, the trail and sessions, as it lies there."""
    return {
        name: json.dumps(sorted(json.dumps(row.serialize(), sort_keys=True) for row in table.scan()))
        for name, table in TABLES.items()
        if name not in APART
    }


def test_a_case_from_start_to_reveal(
    hospital: Hospital, radiologist: TestClient, student: TestClient, clock: Clock
) -> None:
    study_uid = signed(hospital)
    made = make(radiologist, study_uid)
    assert (made.status_code, made.json()) == (201, {"collection": "chest", "number": 1})
    assert make(radiologist, study_uid).status_code == 409  # once in a collection
    before = contents()

    blind = student.get(CASE)
    assert blind.json()["stage"] == "new"
    assert blind.json()["series"] == []
    assert student.post(f"{CASE}/submit", json={"findings": []}).status_code == 409  # not begun
    opened = student.post(f"{CASE}/start").json()
    assert opened["stage"] == "reading"
    assert opened["reveal"] is None
    image = opened["series"][0]["images"][0]
    frame = student.get(f"/studies/{study_uid}/instances/{image['sop_uid']}/frames/1.png")
    assert frame.status_code == 200
    clock.forward(seconds=95)
    student.post(f"{CASE}/start")  # the clock runs on
    for wrong in (
        said(EFFUSION, "2.25.999", 1, 1, 5, 5),
        {**said(EFFUSION, study_uid), "value": "1"},
        {**said(EFFUSION, study_uid), "confidence": 6},
    ):
        assert student.post(f"{CASE}/submit", json={"findings": [wrong]}).status_code in (409, 422)
    reading = {"findings": [said(EFFUSION, study_uid, 10, 10, 30, 50), said(NODULE, study_uid)]}
    revealed = student.post(f"{CASE}/submit", json=reading).json()
    reveal = revealed["reveal"]
    assert revealed["stage"] == "revealed"
    score = reveal["score"]
    assert (score["found"], score["expected"], score["false"]) == (1, 1, 1)
    assert score["value"] == pytest.approx(2 / 3)
    assert score["overlap"] == pytest.approx(0.5)  # half the box of the signed review
    assert reveal["model_score"]["value"] == 0  # the model flagged what the radiologist rejected
    assert [each["code"]["meaning"] for each in reveal["truth"]] == ["Pleural effusion"]
    assert [each["code"]["meaning"] for each in reveal["model"]] == ["Opacity"]
    assert (reveal["seconds"], reveal["is_first"]) == (95, True)
    assert (reveal["impression"], reveal["points"]) == (IMPRESSION, POINTS)
    assert student.post(f"{CASE}/submit", json=reading).status_code == 409  # handed in
    page = student.get("/teaching/chest/1").text
    assert POINTS in page
    assert "wrong here, too" in page

    assert contents() == before  # to the byte
    looks = [event for event in AuditTrail().of(f"study#{study_uid}") if event["actor"] == "student"]
    assert [event["action"] for event in looks] == ["image.view", "image.view", "report.view"]
    told = {"action", "actor", "role", "at", "number", "previous", "collection", "case", "patient"}
    assert set().union(*looks) == told


def test_a_repeat_does_not_count(
    hospital: Hospital, radiologist: TestClient, student: TestClient, clock: Clock
) -> None:
    study_uid = signed(hospital)
    make(radiologist, study_uid)
    student.post(f"{CASE}/start")
    student.post(f"{CASE}/submit", json={"findings": []})
    assert student.get("/api/teaching/progress").json()["own"]["score"] == 0
    clock.forward(minutes=1)
    again = student.post(f"{CASE}/start").json()
    assert (again["stage"], again["attempt"], again["reveal"]) == ("reading", 2, None)
    right = student.post(f"{CASE}/submit", json={"findings": [said(EFFUSION, study_uid, 10, 10, 50, 50)]})
    assert right.json()["reveal"]["score"]["value"] == 1
    assert right.json()["reveal"]["is_first"] is False
    told = student.get("/api/teaching/progress").json()
    assert (told["own"]["cases"], told["own"]["score"]) == (1, 0)
    assert len(TeachingRepository().scores("chest")) == 1
    page = student.get("/teaching").text
    assert "1 of 1 read" in page
    assert "0&nbsp;%" in page


def test_a_learner_sees_their_own_progress_and_a_manager_nobodys(
    hospital: Hospital, radiologist: TestClient, student: TestClient, sign_in: SignIn
) -> None:
    make(radiologist, signed(hospital))
    student.post(f"{CASE}/start")
    student.post(f"{CASE}/submit", json={"findings": []})
    resident = sign_in(Role.RESIDENT)
    assert resident.get("/api/teaching/progress").json()["own"]["cases"] == 0
    assert resident.get("/api/teaching/collections/chest").json()["distribution"] is None
    seen = radiologist.get("/api/teaching/collections/chest").json()["distribution"]
    assert (seen["attempts"], seen["deciles"]) == (1, [])  # too few to show
    assert "five learners" in radiologist.get("/teaching/chest").text
    rows = [json.dumps(row.serialize()) for row in TeachingRow.query("scores#chest")]
    assert len(rows) == 1
    assert "student" not in rows[0]


def test_only_signed_and_simulated_studies_become_cases_and_titles_name_nobody(
    hospital: Hospital, radiologist: TestClient, student: TestClient, sign_in: SignIn
) -> None:
    real, made = hospital.study([], waits=3), simulated(hospital)
    hospital.change(real)
    assert make(radiologist, real).status_code == 409
    for wrong in ({"title": "Chest of John Smith"}, {"collection": "smith"}, {"points": "x" * 2001}):
        answer = make(radiologist, made, **wrong)
        assert answer.status_code == 422
        assert "Smith" not in answer.text
    for role in (Role.RESIDENT, Role.DATA_STEWARD):
        assert make(sign_in(role), made).status_code == 404
    assert make(student, made).status_code == 404
    form = {"collection": "chest", "title": "Smith", "points": ""}
    refused = radiologist.post(f"/studies/{made}/teaching", data=form)
    assert refused.status_code == 422
    assert "Change: title" in refused.text
    done = radiologist.post(f"/studies/{made}/teaching", data={**form, "title": "Chest", "truth": ["none"]})
    assert done.headers["location"] == "/teaching/chest"
    case = TeachingRepository().case("chest", 1)
    assert case is not None
    assert (case.standard.value, case.truth) == ("simulated", ())
    assert {code.meaning for code in case.choices} >= {"Nodule", "Opacity"}
    assert AuditTrail().of(f"study#{made}")[-1]["action"] == "teaching.add"


def test_what_a_model_said_is_not_called_a_truth(
    hospital: Hospital, radiologist: TestClient, student: TestClient
) -> None:
    make(radiologist, simulated(hospital))
    student.post(f"{CASE}/start")
    reveal = student.post(f"{CASE}/submit", json={"findings": []}).json()["reveal"]
    assert (reveal["standard"], reveal["model"], reveal["model_score"]) == ("model", None, None)
    assert [each["code"]["meaning"] for each in reveal["truth"]] == [OPACITY.meaning]
    assert "no truth" in student.get("/teaching/chest/1").text


def test_a_withdrawn_case_is_gone_and_so_is_the_study(
    hospital: Hospital, radiologist: TestClient, student: TestClient
) -> None:
    study_uid = signed(hospital)
    make(radiologist, study_uid)
    student.post(f"{CASE}/start")
    path = f"/studies/{study_uid}/instances/{study_uid}.1.1/frames/1.png"
    assert student.get(path).status_code == 200
    assert student.post(f"{CASE}/withdraw").status_code == 403
    assert radiologist.post(f"{CASE}/withdraw").status_code == 204
    assert student.get(path).status_code == 404
    assert student.get(CASE).status_code == 404
    assert student.get("/api/teaching/collections").json() == []
    case = TeachingRepository().case("chest", 1)
    assert case is not None
    assert case.points == ""
    assert AuditTrail().of(f"study#{study_uid}")[-1]["action"] == "teaching.withdraw"
    assert make(radiologist, study_uid).json()["number"] == 2  # numbers are not used twice


@pytest.mark.parametrize("kind", [signed, simulated])
def test_no_route_tells_before_the_reveal(
    hospital: Hospital,
    app: FastAPI,
    radiologist: TestClient,
    student: TestClient,
    kind: Any,  # noqa: ANN401
) -> None:
    study_uid = kind(hospital)
    truth = None if kind is signed else [said(EFFUSION, study_uid)]
    assert make(radiologist, study_uid, truth=truth).status_code == 201
    (overlay,) = [
        finding["overlay_url"]
        for model in radiologist.get(f"/api/studies/{study_uid}").json()["models"]
        for finding in model["findings"]
    ]
    digest = overlay.rsplit("/", 1)[-1].removesuffix(".png")
    names = {"study_uid": study_uid, "sop_uid": f"{study_uid}.1.1", "frame": "1", "digest": digest}
    names |= {"collection": "chest", "number": "1", "series_uid": f"{study_uid}.1"}

    def asked() -> dict[str, tuple[int, str]]:
        told = {}
        for route, method in api_routes(app):
            path = route.path
            for name, value in names.items():
                path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
            if method == "GET" and "{" not in path and "events" not in path:
                answer = student.get(path)
                told[path] = (answer.status_code, answer.text)
        return told

    for stage in ("new", "reading"):
        told = asked()
        leaks = {path for path, (_, text) in told.items() if SECRETS.search(text)}
        assert leaks == set(), stage
        assert study_uid not in told["/api/worklist"][1]
        assert told[f"/studies/{study_uid}"][0] == told[f"/api/studies/{study_uid}"][0] == 404
        assert told[overlay][0] == 404
        assert told[CASE][0] == 200
        student.post(f"{CASE}/start")
    student.post(f"{CASE}/submit", json={"findings": []})
    told = asked()
    assert told[overlay][0] == 200
    assert POINTS in told["/teaching/chest/1"][1]
    # A case stays on the pages of teaching alone.
    assert told[f"/studies/{study_uid}"][0] == 404
    assert study_uid not in told["/api/worklist"][1]


def test_versions_of_a_case_show_a_learner_nothing_before_the_reveal_and_its_overlays_after(
    hospital: Hospital, radiologist: TestClient, student: TestClient
) -> None:
    study_uid = signed(hospital)
    hospital.close(study_uid, 1, waits=5)
    assert make(radiologist, study_uid).status_code == 201
    versions = f"/api/studies/{study_uid}/versions"
    (model,) = radiologist.get(f"{versions}/1").json()["results"]
    overlay = model["findings"][0]["overlay_url"]
    assert overlay.startswith(f"/studies/{study_uid}/versions/1/")
    about, drawn = (versions, f"{versions}/1"), (overlay, f"{versions}/1/segmentations")

    def statuses(paths: tuple[str, ...]) -> set[int]:
        return {student.get(path).status_code for path in paths}

    assert statuses(about + drawn) == {404}
    student.post(f"{CASE}/start")
    assert statuses(about + drawn) == {404}
    student.post(f"{CASE}/submit", json={"findings": []})
    assert statuses(about) == {404}  # a case stays on the pages of teaching alone
    assert statuses(drawn) == {200}
