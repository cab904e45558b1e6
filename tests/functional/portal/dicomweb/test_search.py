"""Searches: nothing is passed over, pages meet, and nobody finds what is not for them."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from firstread.policy import Action, Actor, Resource, Role, can
from firstread.records.audit import AuditTrail
from firstread.records.orders import OrderRepository
from firstread.records.studies import StudyRepository
from firstread.refs import open_references
from firstread.study import Study, StudyGathering
from portal.logic.dicomweb import search
from portal.settings import PortalSettings
from tests.functional.portal.conftest import Clock, SignIn
from tests.functional.portal.morning import sample
from tests.functional.portal.seeding import Hospital, settings, uid

Json = dict[str, Any]
ACCESSION = "A-4711-SECRET"


def head(number: int, date: str = "", *, modality: str = "CT", patient: str = "", **more: object) -> str:
    """Write the head of a study, and return its UID."""
    values: dict[str, object] = {
        "study_uid": uid(500, number),
        "patient": patient or f"FR-{number}",
        "stored_count": 1,
        "held_count": 0,
        "first_arrival": "2026-03-02T08:00:00Z",
        "last_arrival": "2026-03-02T08:00:00Z",
        "modalities": (modality,),
        "body_parts": (),
        "description": "",
        "age_years": None,
        "sex": "",
        "is_recent": True,
        "simulated": False,
        "study_date": date,
    }
    study = Study(gathering=StudyGathering.model_validate(values | more))
    StudyRepository().change(study.study_uid, lambda _: study)
    return study.study_uid


def found(client: TestClient, query: str = "") -> list[str]:
    answer = client.get(f"/dicomweb/studies?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    return [row["0020000D"]["Value"][0] for row in answer.json()]


@pytest.fixture
def ten(hospital: Hospital) -> list[str]:
    """Studies of ten days, the newest first."""
    assert hospital.moment.year
    return [head(n, f"202601{n:02d}", modality="CT" if n % 2 else "MR") for n in range(10, 0, -1)]


def test_the_newest_come_first_and_the_undated_last(ten: list[str], radiologist: TestClient) -> None:
    undated = head(99)
    assert found(radiologist) == [*ten, undated]


def test_dates(ten: list[str], radiologist: TestClient) -> None:
    head(99)
    assert found(radiologist, "StudyDate=20260103") == [ten[7]]
    assert found(radiologist, "00080020=20260103-20260105") == ten[5:8]
    assert found(radiologist, "StudyDate=20260109-") == ten[:2]
    assert found(radiologist, "StudyDate=-20260102") == ten[8:]
    assert found(radiologist, "StudyDate=20270101") == []


def test_other_keys(ten: list[str], radiologist: TestClient) -> None:
    assert found(radiologist, "PatientID=FR-4") == [ten[6]]
    assert found(radiologist, "PatientID=nobody") == []
    assert found(radiologist, "PatientID=FR-4&StudyDate=20260105") == []
    assert found(radiologist, "ModalitiesInStudy=M*&StudyDate=20260107-") == [ten[0], ten[2]]
    assert found(radiologist, "Modality=US") == []
    assert found(radiologist, f"StudyInstanceUID={ten[3]},{ten[1]},1.2.3") == [ten[1], ten[3]]
    assert found(radiologist, f"StudyInstanceUID={ten[3]}&PatientID=FR-1") == []


@pytest.mark.parametrize("size", [1, 3, 5, 9, 10, 11])
def test_pages_meet(ten: list[str], radiologist: TestClient, size: int) -> None:
    pages: list[str] = []
    for offset in range(0, 20, size):
        answer = radiologist.get(f"/dicomweb/studies?limit={size}&offset={offset}")
        assert ("Warning" in answer.headers) == (offset + size < len(ten))
        page = [row["0020000D"]["Value"][0] for row in answer.json()]
        pages += page
        if not page:
            break
    assert pages == ten


@pytest.mark.usefixtures("ten")
def test_a_search_says_where_it_ended(radiologist: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_EXAMINED", 4)
    answer = radiologist.get("/dicomweb/studies?ModalitiesInStudy=MR")
    assert len(answer.json()) == 2
    assert "studies were searched" in answer.headers["Warning"]


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize(
    "query",
    [
        "PatientName=Doe",
        "00100010=*",
        "PatientBirthDate=19500101",
        "whatever=1",
        "fuzzymatching=true",
        "StudyDate=2026",
        "offset=5001",
        "PatientID=FR*",
        "AccessionNumber=%00",
        "limit=0",
        "includefield=NoSuchThing",
    ],
)
def test_what_is_not_understood_is_refused(radiologist: TestClient, query: str) -> None:
    answer = radiologist.get(f"/dicomweb/studies?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "The query is not understood"


@pytest.mark.parametrize("role", Role)
def test_a_list_has_only_what_is_for_the_reader(sign_in: SignIn, role: Role) -> None:
    made = {
        (simulated, signed): head(10 * simulated + signed, "20260101", simulated=bool(simulated))
        for simulated in (0, 1)
        for signed in (0, 1)
    }
    for (_, signed), study_uid in made.items():
        if signed:
            StudyRepository().change(
                study_uid,
                lambda study: study and study.model_copy(update={"version": 1, "signed_version": 1}),
            )
    actor = Actor("x", role)
    expected = {
        study_uid
        for (simulated, signed), study_uid in made.items()
        if can(actor, Action.STUDY_VIEW, Resource(study_uid, bool(simulated), bool(signed))).allowed
    }
    client = sign_in(role)
    if not can(actor, Action.STUDY_VIEW).allowed:
        assert client.get("/dicomweb/studies").status_code == 403
        return
    assert set(found(client)) == expected
    assert set(found(client, f"StudyInstanceUID={','.join(made.values())}")) == expected
    for index, study_uid in enumerate(made.values()):
        patient = ("FR-0", "FR-1", "FR-10", "FR-11")[index]
        assert (found(client, f"PatientID={patient}") == [study_uid]) == (study_uid in expected)


@pytest.fixture
def ordered(hospital: Hospital, tmp_path: Path) -> str:
    assert hospital.moment.year
    reference = references(settings(tmp_path)).order(ACCESSION)
    study_uid = head(1, "20260101", order_refs=(reference,))
    moved = head(2, "20260102")
    for each in (study_uid, moved):  # a correction has moved the second one to another order
        OrderRepository().link(reference, each)
    return study_uid


def references(configured: PortalSettings) -> Any:  # noqa: ANN401
    return open_references(configured)


def test_an_accession_number_finds_its_study_and_is_written_down(
    ordered: str, radiologist: TestClient
) -> None:
    (row,) = radiologist.get(f"/dicomweb/studies?AccessionNumber={ACCESSION}").json()
    assert row["0020000D"]["Value"] == [ordered]
    assert row["00080050"]["Value"] == [ACCESSION]
    assert radiologist.get("/dicomweb/studies?AccessionNumber=other").json() == []
    assert found(radiologist, f"AccessionNumber={ACCESSION}&StudyDate=20260102") == []
    trail = AuditTrail()
    (event,) = trail.of(f"study#{ordered}")
    assert (event["action"], event["actor"]) == ("identity.view", "radiologist")
    searches = [each for each in trail.of("session#radiologist") if each.get("by") == "accession"]
    assert {each["found"] for each in searches} == {0, 1}  # a search that found nothing is one too
    assert ACCESSION not in str(searches)
    assert ACCESSION not in str(trail.of(f"study#{ordered}"))
    assert (row["00080050"] != {"vr": "SH"}) and found(radiologist) != []
    (plain,) = radiologist.get(f"/dicomweb/studies?StudyInstanceUID={ordered}").json()
    assert plain["00080050"] == {"vr": "SH"}


@pytest.mark.usefixtures("ordered")
@pytest.mark.parametrize("role", Role)
def test_an_accession_number_is_for_those_who_see_identities(sign_in: SignIn, role: Role) -> None:
    client = sign_in(role)
    answer = client.get(f"/dicomweb/studies?AccessionNumber={ACCESSION}")
    allowed = can(Actor("x", role), Action.IDENTITY_VIEW).allowed
    assert answer.status_code == (200 if allowed else 403)
    assert allowed or ACCESSION not in answer.text


def test_a_study_is_opened_once_in_a_while(hospital: Hospital, sign_in: SignIn, clock: Clock) -> None:
    study_uid = hospital.study([sample("CT_small.dcm")], modality="CT")
    root = f"/dicomweb/studies/{study_uid}"
    client, other = sign_in(Role.RADIOLOGIST), sign_in(Role.RESIDENT)
    series = next(
        f"{root}/series/{row['0020000E']['Value'][0]}" for row in client.get(f"{root}/series").json()
    )
    (sop,) = [row["00080018"]["Value"][0] for row in client.get(f"{series}/instances").json()]
    for path in ("/metadata", f"/instances/{sop}/frames/1", f"/instances/{sop}"):
        assert client.get(f"{series}{path}").status_code == 200

    def opened() -> list[Any]:
        events = AuditTrail().of(f"study#{study_uid}")
        return [event["actor"] for event in events if event["action"] == "image.view"]

    assert opened() == ["radiologist"]
    assert other.get(f"{series}/metadata").status_code == 200
    assert opened() == ["radiologist", "resident"]
    clock.forward(minutes=11)
    assert client.get(f"{series}/metadata").status_code == 200
    assert opened() == ["radiologist", "resident", "radiologist"]


def test_nothing_is_stored_here(ten: list[str], radiologist: TestClient) -> None:
    for path in ("/dicomweb/studies", f"/dicomweb/studies/{ten[0]}"):
        answer = radiologist.post(path, content=b"x")
        assert answer.status_code == 405
        assert "/ingest/studies" in answer.json()["detail"]


def test_the_capability_note(radiologist: TestClient) -> None:
    told = radiologist.get("/dicomweb/").json()
    assert "PatientName" not in told["qido-rs"]["studies"]
    assert radiologist.get("/dicomweb/?x=1").status_code == 400
