"""The worklist over the tables: order, lists, filters, what a page reads."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from firstread.clock import to_text
from firstread.order import Priority
from firstread.policy import Actor, Role
from firstread.records.alerts import AlertRepository
from firstread.records.studies import Position, StudyRepository
from firstread.records.tables import StudyRow
from firstread.study import AnalysisStatus, ReviewStatus, Risk
from portal.app import create_app
from tests.functional.portal.conftest import Clock, SignIn, browser
from tests.functional.portal.seeding import PASSWORD, Hospital, settings
from tests.functional.portal.test_pages import row_of, words


def uids(client: TestClient, query: str = "") -> list[str]:
    return [row["study_uid"] for row in client.get(f"/api/worklist?{query}").json()["rows"]]


def plain(hospital: Hospital, waits: float, **change: object) -> str:
    return hospital.study([], waits=waits, modality="CT", change={"version": 1, **change})


def test_the_most_urgent_of_stat_risk_and_overdue_counts(radiologist: TestClient, hospital: Hospital) -> None:
    calm = plain(hospital, 100, risk=Risk.NOT_FLAGGED, status=AnalysisStatus.ANALYSED)
    failed = plain(hospital, 5, status=AnalysisStatus.FAILED)
    late_urgent = plain(hospital, 300, risk=Risk.NOT_FLAGGED, priority=Priority.URGENT)
    late = plain(hospital, 2000, risk=Risk.NOT_FLAGGED)
    unknown = plain(hospital, 90, priority=Priority.URGENT)
    high = plain(hospital, 1, risk=Risk.HIGH)
    stat = plain(hospital, 2, risk=Risk.NOT_FLAGGED, priority=Priority.STAT)
    assert uids(radiologist) == [stat, high, late, late_urgent, unknown, failed, calm]
    rows = {row["study_uid"]: row for row in radiologist.get("/api/worklist").json()["rows"]}
    assert {uid for uid, row in rows.items() if row["overdue"]} == {late, late_urgent}
    assert {uid for uid, row in rows.items() if row["urgent"]} == {stat, high}
    page = radiologist.get("/").text
    assert "overdue" in row_of(page, late) and "overdue" not in row_of(page, calm)
    assert "2 overdue" in words(page) and "2 STAT or high risk" in words(page)


def test_a_study_rises_by_time_alone(radiologist: TestClient, hospital: Hospital, clock: Clock) -> None:
    calm = plain(hospital, 1430, risk=Risk.NOT_FLAGGED)
    unknown = plain(hospital, 10)
    revisions = [StudyRow.get(uid, "head").revision for uid in (calm, unknown)]
    assert uids(radiologist) == [unknown, calm]
    clock.forward(minutes=11)
    assert uids(radiologist) == [calm, unknown]
    assert [StudyRow.get(uid, "head").revision for uid in (calm, unknown)] == revisions


def test_the_limits_are_a_setting(
    hospital: Hospital, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTREAD_WAIT_LIMITS", '{"routine": 20}')
    calm = plain(hospital, 30, risk=Risk.NOT_FLAGGED)
    unknown = plain(hospital, 10)
    client = browser(create_app(settings(tmp_path), clock))
    client.post("/sign-in", data={"name": "radiologist", "password": PASSWORD})
    assert uids(client) == [calm, unknown]


def test_each_study_is_on_one_list_and_those_done_with_begin_with_the_last(
    radiologist: TestClient, hospital: Hospital
) -> None:
    def done(minutes: float, **more: object) -> str:
        at = hospital.minutes_ago(minutes)
        values = {name: at if value == "at" else value for name, value in more.items()}
        return plain(hospital, 500, **values)

    signed = [done(each, signed_version=1, signed_at="at", review=ReviewStatus.SIGNED) for each in (9, 3, 6)]
    closed = [done(each, read_elsewhere_at="at", read_elsewhere_version=1) for each in (7, 8)]
    withdrawn = done(1, status=AnalysisStatus.WITHDRAWN)
    reopened = done(2, version=2, signed_version=1, signed_at="at", review=ReviewStatus.SIGNED)
    assert uids(radiologist, "list=signed") == [signed[1], signed[2], signed[0]]
    assert uids(radiologist, "list=signed&limit=1") == [signed[1]]
    assert uids(radiologist, "list=closed") == closed
    assert set(uids(radiologist)) == {withdrawn, reopened}
    page = radiologist.get("/").text
    assert "Addendum needed" in row_of(page, reopened) and "Withdrawn" in row_of(page, withdrawn)
    page = radiologist.get("/signed?limit=2").text
    assert "2026-03-02 08:27" in row_of(page, signed[1])
    assert 'id="more" href="/signed?' in page
    page = radiologist.get("/read-elsewhere").text
    assert "2026-03-02 08:23" in row_of(page, closed[0])
    assert "data-live" not in page


def test_filters_are_in_the_address_and_say_what_they_hide(
    radiologist: TestClient, morning: dict[str, str], hospital: Hospital, clock: Clock
) -> None:
    later = to_text(clock.moment.replace(hour=9))
    hospital.change(morning["ct"], reader="radiologist", claimed_until=later, status=AnalysisStatus.NO_MODEL)
    hospital.change(morning["cine"], reader="resident", claimed_until=later, status=AnalysisStatus.NO_MODEL)
    for query, names in (
        ("modality=CT&modality=MR", ["ct", "receiving"]),
        ("modality=&body_part=heart", ["cine"]),
        ("risk=high", ["high", "simulated"]),
        ("ai=failed&ai=held", ["failed", "held"]),
        ("assignee=mine", ["ct"]),
        ("assignee=somebody+else", ["cine"]),
        ("risk=not+flagged&assignee=nobody", ["unflagged"]),
        ("review=signed", []),
    ):
        answer = radiologist.get(f"/api/worklist?{query}").json()
        assert [row["study_uid"] for row in answer["rows"]] == [morning[name] for name in names], query
        page = words(radiologist.get(f"/?{query}").text)
        assert "Filter on:" in page and "Show all" in page
        hidden = answer["looked_at"] - answer["shown"]
        assert f"{hidden} of the {answer['looked_at']}" in page
    assert "Filter on" not in radiologist.get("/?modality=").text


def test_a_page_below_a_filter_keeps_it_and_adds_up(radiologist: TestClient, morning: dict[str, str]) -> None:
    first = radiologist.get("/api/worklist?modality=CR&limit=2").json()
    rest = radiologist.get(f"/api/worklist?modality=CR&limit=100&cursor={first['next']}").json()
    assert (first["shown"], rest["shown"], rest["looked_at"]) == (2, 6, len(morning))
    page = radiologist.get("/?modality=CR&limit=2").text
    assert re.search(r'id="more" href="/\?modality=CR&amp;cursor=[^"]+&amp;limit=2"', page)


def test_risk_is_no_filter_for_who_must_not_know_it(sign_in: SignIn, morning: dict[str, str]) -> None:
    client = sign_in(Role.TECHNOLOGIST)
    assert client.get("/api/worklist?risk=high").status_code == 403
    assert 'name="risk"' not in client.get("/").text
    assert uids(client, "modality=CT") == [morning["ct"]]
    first = client.get("/api/worklist?limit=4").json()
    assert len(uids(client, f"cursor={first['next']}")) == len(morning) - 4


def test_who_holds_a_study_is_said_until_the_claim_ends(
    sign_in: SignIn, radiologist: TestClient, hospital: Hospital, clock: Clock
) -> None:
    uid = plain(hospital, 5, reader="radiologist", claimed_until=hospital.minutes_ago(-10))
    assert "You Release" in row_of(radiologist.get("/").text, uid)
    other = sign_in(Role.RESIDENT)
    assert "radiologist Take over" in row_of(other.get("/").text, uid)
    assert 'data-claim="' not in sign_in(Role.TECHNOLOGIST).get("/").text
    clock.forward(minutes=11)
    assert "Claim" in row_of(radiologist.get("/").text, uid)


def test_alerts_come_in_one_request_whatever_their_state(
    radiologist: TestClient, morning: dict[str, str]
) -> None:
    (alert,) = AlertRepository().of_study(morning["high"])
    AlertRepository().acknowledge(alert.alert_id, Actor("ann", Role.RADIOLOGIST), to_text(Clock().moment))
    found = AlertRepository().some([alert.alert_id, alert.alert_id, "none"])
    assert list(found) == [alert.alert_id]
    rows = {row["study_uid"]: row["alert"] for row in radiologist.get("/api/worklist").json()["rows"]}
    assert (rows[morning["high"]], rows[morning["simulated"]]) == ("acknowledged", "delivered")


def test_rows_of_a_band_are_read_by_the_page(hospital: Hospital) -> None:
    made = [plain(hospital, 100 - number) for number in range(7)]
    studies = StudyRepository()

    def band(size: int = 2, after: str = "", **bounds: str) -> list[str]:
        start = Position(hospital.minutes_ago(100 - made.index(after)), after) if after else Position()
        return [study.study_uid for study in studies.waiting("12", size, start, **bounds)]

    assert band() == made
    assert band(after=made[2]) == made[3:]
    assert band(since=hospital.minutes_ago(98)) == made[2:]
    assert band(after=made[4], since=hospital.minutes_ago(98)) == made[5:]
    assert list(studies.waiting("00", 2)) == []
