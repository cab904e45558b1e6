"""What readers do with alerts: take them on, tell the care team, close them; and what it costs them."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from firstread.alert import Call
from firstread.clock import to_text
from firstread.policy import Actor, Role
from firstread.records.alerts import AlertRepository
from firstread.records.audit import AuditTrail
from firstread.records.tables import ReviewRow
from firstread.result import Code, result_id
from firstread.review import Review, ReviewedFinding, Verdict
from firstread.study import ReviewStatus
from tests.functional.portal.conftest import Clock, SignIn
from tests.functional.portal.seeding import MODEL
from tests.functional.portal.test_pages import words
from tests.support.emf import lines

SYSTEM = Actor("escalate", Role.SERVICE)
NAME = "Dr. Wojciechowska"
FINDING = f"{result_id(1, MODEL)}/0"


def alert_of(uid: str) -> str:
    (alert,) = AlertRepository().of_study(uid)
    return alert.alert_id


def entry(clock: Clock, **values: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    said = {
        "finding_id": FINDING,
        "category": 1,
        "identified_at": to_text(clock() - timedelta(minutes=20)),
        "received_at": to_text(clock()),
        "receiver_role": "emergency physician",
        "receiver_name": NAME,
        "method": "telephone",
        "read_back": True,
    }
    return {**said, **values}


def test_open_alerts_and_mine(radiologist: TestClient, sign_in: SignIn, morning: dict[str, str]) -> None:
    first = radiologist.get("/api/alerts").json()
    assert {each["study_uid"] for each in first["open"]} == {morning["high"], morning["simulated"]}
    assert first["mine"] == []
    answer = radiologist.post(f"/api/alerts/{alert_of(morning['high'])}/acknowledge")
    assert (answer.status_code, answer.json()["state"]) == (200, "acknowledged")
    then = radiologist.get("/api/alerts").json()
    assert [each["study_uid"] for each in then["mine"]] == [morning["high"]]
    assert [each["study_uid"] for each in then["open"]] == [morning["simulated"]]
    assert sign_in(Role.RESIDENT).get("/api/alerts").json()["mine"] == []


def test_the_page_says_who_was_called_and_how_far_it_has_escalated(
    radiologist: TestClient, morning: dict[str, str], clock: Clock
) -> None:
    call = Call(level=1, group="on-call", at=to_text(clock()))
    AlertRepository().escalate(alert_of(morning["high"]), call, SYSTEM)
    page = words(radiologist.get(f"/studies/{morning['high']}").text)
    for part in ("Escalated to level 1.", "First: reading-room", "Level 1: on-call 2026-03-02 08:30:00 UTC"):
        assert part in page
    assert "Escalated" in words(radiologist.get("/").text)


def test_acknowledging_late_is_shown_and_counted(
    radiologist: TestClient, morning: dict[str, str], clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    clock.forward(minutes=11)
    path = f"/api/alerts/{alert_of(morning['high'])}/acknowledge"
    assert radiologist.post(path).json()["late"]
    assert radiologist.post(path).json()["late"]  # again: nothing new
    assert [line.values for line in lines(capfd.readouterr().out)] == [{"AlertsAcknowledgedLate": [1]}]
    assert "late : due" in words(radiologist.get(f"/studies/{morning['high']}").text)


def test_a_critical_result_is_communicated_and_the_alert_closed(
    radiologist: TestClient, morning: dict[str, str], clock: Clock
) -> None:
    uid = morning["high"]
    alert_id = alert_of(uid)
    close = f"/api/alerts/{alert_id}/close"
    assert radiologist.post(close).status_code == 409
    radiologist.post(f"/api/alerts/{alert_id}/acknowledge")
    refused = radiologist.post(close)
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
    path = f"/api/studies/{uid}/communications"
    answer = radiologist.post(path, json=entry(clock, alert_id=alert_id))
    assert answer.status_code == 201
    said = answer.json()
    assert (said["finding"], said["communicator"], said["late"]) == ("Opacity", "radiologist", False)
    assert radiologist.get(path).json() == [said]
    closed = radiologist.post(close).json()
    assert (closed["state"], closed["closed_by"]) == ("closed", "radiologist")
    page = words(radiologist.get(f"/studies/{uid}").text)
    assert "Alert closed" in page
    assert f"to emergency physician {NAME} , telephone, received 2026-03-02 08:30:00 UTC, read back" in page
    events = AuditTrail().of(f"study#{uid}")
    done = [event["action"] for event in events if event["action"] != "study.view"]
    assert done == [
        "alert.acknowledge",
        "communication.record",
        "alert.close",
    ]
    assert NAME not in str(events)


def test_a_late_communication_is_marked_in_the_audit_trail(
    radiologist: TestClient, morning: dict[str, str], clock: Clock
) -> None:
    uid = morning["high"]
    late = entry(clock, identified_at=to_text(clock() - timedelta(minutes=61)), read_back=False)
    for number, said in enumerate((late, {**late, "category": 2}), start=1):
        answer = radiologist.post(f"/api/studies/{uid}/communications", json=said).json()
        assert (answer["number"], answer["late"]) == (number, number == 1)
    events = AuditTrail().of(f"study#{uid}")
    assert [(event["late"], event["category"], event["read_back"]) for event in events] == [
        (True, 1, False),
        (False, 2, False),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"finding_id": "another"},
        {"alert_id": "another"},
        {"identified_at": "2026-03-02T08:31:00Z"},
        {"received_at": "2026-03-02T09:30:00Z"},
        {"received_at": "2026-03-02T08:30:00"},
        {"identified_at": "0001-01-01T00:00:00+23:59"},  # before the beginning of time in UTC
        {"receiver_name": "  "},
        {"receiver_name": "x" * 101},
        {"category": 4},
        {"method": "pigeon"},
        {"note": "more"},
    ],
)
def test_a_communication_that_cannot_be_is_refused_without_its_words(
    radiologist: TestClient, morning: dict[str, str], clock: Clock, change: dict[str, Any]
) -> None:
    path = f"/api/studies/{morning['high']}/communications"
    answer = radiologist.post(path, json=entry(clock, **change))
    assert answer.status_code == 422
    assert NAME not in answer.text
    assert radiologist.get(path).json() == []


def test_the_form_of_the_page_names_times_in_utc(radiologist: TestClient, morning: dict[str, str]) -> None:
    uid = morning["high"]
    form = {
        "finding_id": FINDING,
        "alert_id": alert_of(uid),
        "category": "2",
        "identified_at": "2026-03-02T08:00",
        "received_at": "2026-03-02T08:05:30",
        "receiver_role": "nurse",
        "receiver_name": NAME,
        "method": "in person",
    }
    page = radiologist.get(f"/studies/{uid}").text
    for name in form:
        assert f'name="{name}"' in page
    answer = radiologist.post(f"/studies/{uid}/communications", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{uid}#alerts")
    (said,) = radiologist.get(f"/api/studies/{uid}/communications").json()
    assert (said["received"], said["read_back"]) == ("2026-03-02 08:05:30 UTC", False)


def review(uid: str, verdict: Verdict) -> None:
    """Sign a review with a verdict on the model's finding."""
    finding = ReviewedFinding(
        finding_id=FINDING,
        result_id=result_id(1, MODEL),
        verdict=verdict,
        code=Code(value="1", scheme="SCT", meaning="Consolidation"),
    )
    made = Review(
        study_uid=uid,
        number=1,
        version=1,
        status=ReviewStatus.SIGNED,
        author="ann",
        author_role="radiologist",
        findings=(finding,),
        started_at="2026-03-02T08:00:00.000000Z",
        saved_at="2026-03-02T08:00:00.000000Z",
        signed_by="ann",
        signed_at="2026-03-02T08:10:00.000000Z",
    )
    ReviewRow(study_uid=uid, item="review#000001", revision=1, body=made.model_dump(mode="json")).save()


def test_what_a_reader_rejected_cannot_be_communicated_and_what_they_changed_has_their_words(
    radiologist: TestClient, morning: dict[str, str], clock: Clock
) -> None:
    path = f"/api/studies/{morning['high']}/communications"
    review(morning["high"], Verdict.REJECTED)
    assert radiologist.post(path, json=entry(clock)).status_code == 422
    review(morning["high"], Verdict.MODIFIED)
    assert radiologist.post(path, json=entry(clock)).json()["finding"] == "Consolidation"


def test_statistics(radiologist: TestClient, morning: dict[str, str], clock: Clock) -> None:
    high = alert_of(morning["high"])
    AlertRepository().escalate(high, Call(level=1, group="on-call", at=to_text(clock())), SYSTEM)
    clock.forward(minutes=5)
    radiologist.post(f"/api/alerts/{high}/acknowledge")
    review(morning["high"], Verdict.ACCEPTED)
    review(morning["simulated"], Verdict.REJECTED)
    said = radiologist.get("/api/alerts/statistics?from=2026-03-01&to=2026-03-02").json()
    assert (said["total"], said["unacknowledged"], said["escalated"]) == (2, 1, 1)
    assert (said["escalation_rate"], said["per_hour"], said["busiest_hour"]) == (0.5, 2 / 48, 2)
    assert said["by_hour"][8] == 2
    assert (said["median_seconds"], said["p90_seconds"]) == (360, 360)
    assert said["readers"] == [
        {
            "name": "radiologist",
            "acknowledged": 1,
            "busiest_hour": 1,
            "median_seconds": 360,
            "p90_seconds": 360,
        }
    ]
    assert said["models"] == [{"model_id": MODEL, "alerts": 2, "judged": 2, "confirmed": 1, "ppv": 0.5}]
    page = words(radiologist.get("/alerts").text).replace("\xa0", " ")
    for part in (
        "2 alerts",
        "1 not acknowledged",
        "6.0 min",
        f"{MODEL} 2 2 1 50 %",
        "radiologist 1 1 6.0 min",
    ):
        assert part in page
    empty = radiologist.get("/api/alerts/statistics?from=2026-02-01&to=2026-02-02").json()
    assert (empty["total"], empty["escalation_rate"], empty["models"]) == (0, None, [])


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-03-01",
        "from=2026-03-02&to=2026-03-01",
        "from=2026-01-01&to=2026-02-01",
        "from=x&to=y",
        "reader=ann",
    ],
)
def test_statistics_of_days_that_cannot_be(radiologist: TestClient, query: str) -> None:
    assert radiologist.get(f"/api/alerts/statistics?{query}").status_code == 422
