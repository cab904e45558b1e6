"""The auditor's page, the looks behind every route, and names for those who may know them."""

import html
import json
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydicom.dataset import Dataset
from starlette.testclient import TestClient

from firstread.deid.vault import Modules, open_vault
from firstread.errors import TransientError
from firstread.policy import Role
from firstread.records.audit import AuditTrail
from firstread.records.studies import StudyRepository
from firstread.records.tables import AuditRow
from portal.access import BACKGROUND_HEADER
from tests.functional.portal.conftest import Clock, SignIn
from tests.functional.portal.seeding import Hospital, name_of


def actions(subject: str) -> list[tuple[str, str]]:
    return [(str(each["action"]), str(each["actor"])) for each in AuditTrail().of(subject)]


def test_every_look_is_an_event_and_a_poll_is_none(
    radiologist: TestClient, morning: dict[str, str], clock: Clock
) -> None:
    uid = morning["high"]
    frame = f"/studies/{uid}/instances/{uid}.1.1/frames/1.png"
    for path in ("/", f"/studies/{uid}", frame, frame, f"/api/studies/{uid}"):
        assert radiologist.get(path).status_code == 200
    clock.forward(minutes=6)
    for path in ("/api/worklist", f"/api/studies/{uid}"):
        radiologist.get(path, headers={BACKGROUND_HEADER: "1"})
    assert actions(f"study#{uid}") == [("study.view", "radiologist"), ("image.view", "radiologist")]
    assert actions("session#radiologist").count(("worklist.view", "radiologist")) == 1
    (opened, _) = AuditTrail().of(f"study#{uid}")
    assert str(opened["patient"]).startswith("FR-") and opened["findings"] is True


def test_nothing_is_shown_that_could_not_be_written_down(
    radiologist: TestClient, morning: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise TransientError("out of reach")

    monkeypatch.setattr(AuditTrail, "record", refuse)
    uid = morning["high"]
    for path in ("/", f"/studies/{uid}", f"/studies/{uid}/instances/{uid}.1.1/frames/1.png"):
        answer = radiologist.get(path)
        assert answer.status_code == 503
        assert uid not in answer.text


def test_the_page_finds_shows_verifies_and_saves(
    sign_in: SignIn, radiologist: TestClient, morning: dict[str, str]
) -> None:
    uid = morning["high"]
    for path in (f"/studies/{uid}", f"/studies/{uid}/instances/{uid}.1.1/frames/1.png"):
        radiologist.get(path)
    auditor = sign_in(Role.AUDITOR)
    today = html.unescape(auditor.get("/audit").text)
    assert "study.view" in today and "<script>" not in today
    page = auditor.get("/audit", params={"subject": uid}).text
    assert f"chain of study#{uid} is whole, 2 events" in page
    lines = auditor.get(
        "/api/audit/events.ndjson", params={"subject": uid, "action": "study"}
    ).text.splitlines()
    assert [json.loads(line)["resourceType"] for line in lines] == ["AuditEvent"]
    row = next(iter(AuditRow.query(f"study#{uid}")))
    row.body = {**row.body, "actor": "eve"}
    row.save()
    assert "broken at event 1" in re.sub(r"<[^>]+>", "", auditor.get("/audit", params={"subject": uid}).text)
    used = AuditTrail().of("session#auditor")
    assert {each["what"] for each in used if each["action"] != "session.open"} == {"search", "export"}
    assert auditor.get("/audit", params={"subject": "Quimby^Theodora"}).status_code == 200
    assert "Quimby" not in json.dumps(AuditTrail().of("session#auditor"))


def test_what_makes_no_sense_is_refused(sign_in: SignIn, morning: dict[str, str]) -> None:
    assert morning
    auditor = sign_in(Role.AUDITOR)
    for query in ("day=someday", "day=2026-03-02&after=x", "scan=all", "subject=" + "x" * 300):
        for path in ("/audit", "/api/audit", "/api/audit/events.ndjson"):
            answer = auditor.get(f"{path}?{query}")
            assert answer.status_code == 422, (path, query)
            assert "someday" not in answer.text


@pytest.fixture
def named(app: FastAPI, hospital: Hospital, morning: dict[str, str], tmp_path: Path) -> str:
    """A study whose patient the vault knows."""
    assert app.state.services
    uid = morning["high"]
    vault = open_vault(tmp_path / "vault.sqlite", tmp_path / "vault.key")
    patient = vault.patient("HOSP", "MRN-9988776655", "1.2.3")
    header = Dataset()
    header.PatientName, header.PatientBirthDate = "Quimby^Theodora", "19620503"
    header.AccessionNumber, header.StudyDate = "ACC4711", "20040826"
    vault.keep(Modules.of(header), patient, uid)
    vault._rows.store.close()  # type: ignore[attr-defined]
    study = StudyRepository().get(uid)
    assert study is not None
    hospital.change(uid, gathering=study.gathering.model_copy(update={"patient": patient.code}))
    return uid


SECRETS = ("Quimby", "Theodora", "9988776655", "1962-05-03", "19620503", "ACC4711", "2004-08-26", "20040826")


@pytest.mark.parametrize("role", [Role.RADIOLOGIST, Role.RESIDENT, Role.DATA_STEWARD])
def test_names_are_shown_to_those_who_may_know(sign_in: SignIn, named: str, role: Role) -> None:
    client = sign_in(role)
    answer = client.get(f"/api/studies/{named}/identity")
    assert answer.json()["name"] == "Quimby, Theodora"
    assert (answer.json()["birth_date"], answer.json()["study_date"]) == ("1962-05-03", "2004-08-26")
    assert answer.headers["cache-control"] == "no-store"
    page = client.get(f"/studies/{named}")
    assert "Quimby, Theodora" in page.text and "MRN-9988776655" in page.text
    assert page.headers["cache-control"] == "no-store"
    both = client.get("/api/worklist/identities", params={"study_uid": [named, "2.25.999"]})
    assert [each["mrn"] for each in both.json()] == ["MRN-9988776655"]
    assert actions(f"study#{named}").count(("identity.view", name_of(role))) == 3


def test_names_are_nowhere_else(sign_in: SignIn, named: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        for role in Role:
            client = sign_in(role)
            may = role in {Role.RADIOLOGIST, Role.RESIDENT, Role.DATA_STEWARD}
            paths = ["/", "/api/worklist", f"/api/studies/{named}", "/audit", f"/api/studies/{named}/audit"]
            paths += [] if may else [f"/studies/{named}", f"/api/studies/{named}/identity"]
            paths += [] if may else [f"/api/worklist/identities?study_uid={named}"]
            for path in paths:
                text = client.get(path).text
                assert not [secret for secret in SECRETS if secret in text], (role, path)
        sign_in(Role.RADIOLOGIST).get(f"/studies/{named}")
    rows = repr([row.attribute_values for row in AuditRow.scan()])
    for secret in SECRETS:
        assert secret not in rows
        assert secret not in caplog.text


def test_an_identity_that_is_unavailable_is_no_error(
    radiologist: TestClient, morning: dict[str, str]
) -> None:
    page = radiologist.get(f"/studies/{morning['ct']}")
    assert page.status_code == 200
    assert "Identity unavailable" in page.text


def test_at_most_fifty_at_once(radiologist: TestClient) -> None:
    many = [f"2.25.{number}" for number in range(51)]
    assert radiologist.get("/api/worklist/identities", params={"study_uid": many}).status_code == 422
    assert radiologist.get("/api/worklist/identities", params={"study_uid": "x'"}).status_code == 422
