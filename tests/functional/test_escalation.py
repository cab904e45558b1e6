"""From a recorded result to an acknowledged alert, through deadlines that somebody else keeps."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from firstread.alert import Alert, AlertState, Closing
from firstread.clock import to_text
from firstread.messages import AlertLook, AlertNotice, ResultRecorded
from firstread.order import Order
from firstread.policy import Actor, Role
from firstread.records.alerts import AlertRepository
from firstread.records.audit import AuditTrail
from firstread.records.orders import OrderRepository
from firstread.result import Code
from firstread.schedules import Schedules
from firstread.study import AnalysisStatus, Risk, Study
from functions.alert import handler as alert_handler
from functions.escalate import handler as escalate_handler
from functions.escalate.logic import Outcome
from tests.functional.test_way import file
from tests.support import events
from tests.support.cloud import LINKS, Cloud
from tests.support.events import CONTEXT
from tests.support.hospital import Hospital
from tests.support.records import result

READER = Actor("ann", Role.RADIOLOGIST)


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


@pytest.fixture
def alerts() -> AlertRepository:
    return AlertRepository()


@pytest.fixture
def study(hospital: Hospital, tmp_path: Path) -> Study:
    """A study with a delivered alert."""
    hospital.push(file(tmp_path))
    hospital.pump()
    (found,) = hospital.studies.worklist()
    return found


def schedules(cloud: Cloud) -> dict[str, dict[str, Any]]:
    names = [each["Name"] for each in cloud.scheduler.list_schedules(GroupName="deadlines")["Schedules"]]
    return {name: cloud.scheduler.get_schedule(GroupName="deadlines", Name=name) for name in names}


def notices(cloud: Cloud) -> list[AlertNotice]:
    return [
        AlertNotice.model_validate_json(json.loads(body)["Message"])
        for body in cloud.waiting("alert-subscriber")
    ]


def fire(hospital: Hospital, alert_id: str, level: int) -> None:
    """Do as EventBridge Scheduler does when a deadline is over."""
    sent = schedules(hospital.cloud)[f"{alert_id}-{level}"]["Target"]["Input"]
    answer = escalate_handler.handle(events.sqs(sent), CONTEXT)
    assert answer["batchItemFailures"] == []


def actions(study_uid: str) -> list[tuple[Any, Any, Any]]:
    return [
        (event["action"], event["actor"], event.get("after", ""))
        for event in AuditTrail().of(f"study#{study_uid}")
    ]


def test_each_level_has_its_deadline(hospital: Hospital, study: Study, alerts: AlertRepository) -> None:
    alert = alerts.get(study.alert_id)
    assert alert is not None
    found = schedules(hospital.cloud)
    assert sorted(found) == [f"{alert.alert_id}-{level}" for level in (1, 2, 3, 4)]
    first = found[f"{alert.alert_id}-1"]
    assert first["ScheduleExpression"] == f"at({alert.due_at[:19]})"
    assert first["ActionAfterCompletion"] == "DELETE"
    assert first["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert first["Target"]["Arn"].endswith(":escalations")
    assert first["Target"]["DeadLetterConfig"]["Arn"].endswith(":escalations-dead")
    assert AlertLook.model_validate_json(first["Target"]["Input"]).level == 1
    assert [(call.level, call.group) for call in alert.calls] == [(0, "reading-room")]
    assert alert.patient_class == "unknown"
    assert actions(study.study_uid) == [
        ("alert.create", "alert", ""),
        ("alert.deliver", "alert", "delivered"),
    ]


def test_a_result_that_comes_again_makes_neither_alert_nor_schedule(hospital: Hospital, study: Study) -> None:
    before = schedules(hospital.cloud)
    recorded = next(iter(hospital.results.of_version(study.study_uid, 1)))
    event = ResultRecorded(study_uid=study.study_uid, version=1, result_id=recorded.result_id)
    notices(hospital.cloud)
    assert alert_handler.bootstrap().result(event) is None
    assert schedules(hospital.cloud).keys() == before.keys()
    assert notices(hospital.cloud) == []


def test_a_schedule_that_is_there_stays_and_another_failure_is_one(
    cloud: Cloud, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Schedules(
        "deadlines", "arn:aws:sqs:us-east-1:123456789012:q", "arn:aws:sqs:us-east-1:123456789012:d", "r"
    )
    look = AlertLook(alert_id="a", level=1)
    assert made.once("a-1", hospital.clock(), look)
    assert not made.once("a-1", hospital.clock(), look)
    assert list(schedules(cloud)) == ["a-1"]

    class Refusing:
        def create_schedule(self, **_parameters: object) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "CreateSchedule")

    monkeypatch.setattr("firstread.schedules._scheduler", Refusing)
    with pytest.raises(ClientError, match="AccessDenied"):
        made.once("a-1", hospital.clock(), look)


def test_an_alert_escalates_level_by_level_until_somebody_acknowledges(
    hospital: Hospital, study: Study, alerts: AlertRepository
) -> None:
    (first,) = notices(hospital.cloud)
    assert (first.group, first.level, first.link) == ("reading-room", 0, f"{LINKS}/alerts/{study.alert_id}")
    fire(hospital, study.alert_id, 1)
    fire(hospital, study.alert_id, 1)  # at least once
    (second,) = notices(hospital.cloud)
    assert (second.group, second.level) == ("on-call", 1)
    fire(hospital, study.alert_id, 3)  # overtakes the second
    fire(hospital, study.alert_id, 2)
    assert [each.level for each in notices(hospital.cloud)] == [3]
    done = alerts.acknowledge(study.alert_id, READER, to_text(hospital.clock()))
    fire(hospital, study.alert_id, 4)
    assert notices(hospital.cloud) == []
    assert (done.state, [call.level for call in done.calls]) == (AlertState.ACKNOWLEDGED, [0, 1, 3])
    assert actions(study.study_uid)[2:] == [
        ("alert.escalate", "escalate", "escalated"),
        ("alert.escalate", "escalate", "escalated"),
        ("alert.acknowledge", "ann", "acknowledged"),
    ]


def test_who_subscribes_may_choose_by_group_and_people_read_a_sentence(
    cloud: Cloud, hospital: Hospital, study: Study
) -> None:
    fire(hospital, study.alert_id, 1)
    published = cloud.wire.sent("Publish")
    assert [each["MessageAttributes"]["group"]["StringValue"] for each in published] == [
        "reading-room",
        "on-call",
    ]
    assert published[1]["MessageAttributes"]["level"] == {"DataType": "Number", "StringValue": "1"}
    assert published[1]["MessageAttributes"]["simulated"]["StringValue"] == "false"
    assert [each["Subject"] for each in published] == [
        "FirstRead: a study needs to be read first",
        "FirstRead: nobody has acknowledged an alert (level 1)",
    ]
    said = json.loads(published[1]["Message"])
    assert said["email"] == said["sms"]
    assert f"acknowledge: {LINKS}/alerts/{study.alert_id}\n" in said["email"]
    assert study.study_uid not in published[1]["Message"]


def look(alert_id: str, level: int = 0) -> Outcome:
    return escalate_handler.bootstrap().look(AlertLook(alert_id=alert_id, level=level))


@pytest.mark.parametrize(
    ("change", "closing"),
    [
        ({"signed_version": 1}, Closing.SIGNED),
        (
            {"read_elsewhere_at": "2004-08-26T20:00:00.000000Z", "read_elsewhere_version": 1},
            Closing.READ_ELSEWHERE,
        ),
        ({"status": AnalysisStatus.WITHDRAWN}, Closing.WITHDRAWN),
    ],
)
def test_a_study_that_was_dealt_with_closes_its_alerts_and_calls_nobody(
    hospital: Hospital, study: Study, alerts: AlertRepository, change: dict[str, object], closing: Closing
) -> None:
    notices(hospital.cloud)
    hospital.studies.change(study.study_uid, lambda each: each.model_copy(update=change) if each else None)
    assert look(study.alert_id, 1) is Outcome.CLOSED
    assert look(study.alert_id, 2) is Outcome.NOTHING
    assert notices(hospital.cloud) == []
    closed = alerts.get(study.alert_id)
    assert closed is not None
    assert (closed.state, closed.closing, closed.closed_by) == (AlertState.CLOSED, closing, "escalate")
    assert actions(study.study_uid)[-1] == ("alert.close", "escalate", "closed")
    assert alerts.open_alerts() == []


def test_a_final_report_from_elsewhere_closes_an_alert_that_somebody_has(
    hospital: Hospital, study: Study, alerts: AlertRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts.acknowledge(study.alert_id, READER, to_text(hospital.clock()))
    assert [each.alert_id for each in alerts.taken_by("ann")] == [study.alert_id]
    change = {"read_elsewhere_at": to_text(hospital.clock()), "read_elsewhere_version": 1}
    hospital.studies.change(study.study_uid, lambda each: each.model_copy(update=change) if each else None)
    orders = {"r": Order(read_elsewhere_at=str(change["read_elsewhere_at"]))}
    monkeypatch.setattr(OrderRepository, "get_many", lambda _self, _references: orders)
    hospital.gather.look(study.study_uid)
    hospital.pump()
    closed = alerts.get(study.alert_id)
    assert closed is not None and closed.closing is Closing.READ_ELSEWHERE
    assert alerts.taken_by("ann") == []


def test_a_message_about_nothing_does_nothing(hospital: Hospital) -> None:
    assert hospital.failures == []
    assert look("none", 1) is Outcome.NOTHING


def next_version(hospital: Hospital, study: Study, code: str, risk: Risk = Risk.HIGH) -> Alert | None:
    """Give the study a version more, with one result on it; return its alert."""
    version = study.version + 1
    finding = (
        result(risk=risk)
        .findings[0]
        .model_copy(update={"code": Code(value=code, scheme="SCT", meaning=code)})
    )
    update = {"version": version, "models": (hospital.model_id,), "status": AnalysisStatus.ANALYSING}
    hospital.studies.change(study.study_uid, lambda each: each.model_copy(update=update) if each else None)
    made = result(version=version, model=hospital.model_id, risk=risk, findings=(finding,))
    hospital.results.record(made.model_copy(update={"study_uid": study.study_uid}))
    alert_handler.bootstrap().result(
        ResultRecorded(study_uid=study.study_uid, version=version, result_id=made.result_id)
    )
    head = hospital.studies.get(study.study_uid)
    assert head is not None
    return AlertRepository().get(head.alert_id)


def test_a_newer_version_inherits_the_open_alert(hospital: Hospital, study: Study) -> None:
    notices(hospital.cloud)
    after = next_version(hospital, study, "something-new")
    assert after is not None
    assert (after.alert_id, after.version, after.state) == (study.alert_id, 2, AlertState.DELIVERED)
    assert "SCT:something-new#1" in after.findings
    assert notices(hospital.cloud) == []


def test_a_new_finding_after_acknowledging_alerts_again_and_a_known_one_does_not(
    hospital: Hospital, study: Study, alerts: AlertRepository
) -> None:
    alerts.acknowledge(study.alert_id, READER, to_text(hospital.clock()))
    notices(hospital.cloud)
    again = next_version(hospital, study, "something-new")
    assert again is not None and again.alert_id != study.alert_id
    assert [each.alert_id for each in notices(hospital.cloud)] == [again.alert_id]
    alerts.acknowledge(again.alert_id, READER, to_text(hospital.clock()))
    head = hospital.studies.get(study.study_uid)
    assert head is not None
    known = next_version(hospital, head, "something-new")
    assert known is not None and known.alert_id == again.alert_id
    assert notices(hospital.cloud) == []


def test_a_newer_version_without_a_high_finding_retires_the_alert(
    hospital: Hospital, study: Study, alerts: AlertRepository
) -> None:
    retired = next_version(hospital, study, "x", Risk.NOT_FLAGGED)
    assert retired is not None
    assert (retired.alert_id, retired.closing, retired.closed_by) == (
        study.alert_id,
        Closing.RETIRED,
        "alert",
    )
    head = hospital.studies.get(study.study_uid)
    assert head is not None
    anew = next_version(hospital, head, "x")
    assert anew is not None and anew.is_open and anew.alert_id != study.alert_id
    assert [each.alert_id for each in alerts.open_alerts()] == [anew.alert_id]


def test_acknowledged_while_the_call_goes_out_stays_acknowledged(
    hospital: Hospital, study: Study, alerts: AlertRepository
) -> None:
    def before(operation: str, _parameters: dict[str, Any]) -> None:
        if operation == "Publish":
            hospital.cloud.wire.before = lambda _operation, _parameters: None
            alerts.acknowledge(study.alert_id, READER, to_text(hospital.clock()))

    hospital.cloud.wire.before = before
    assert look(study.alert_id, 1) is Outcome.NOTHING
    after = alerts.get(study.alert_id)
    assert after is not None and (after.state, after.level) == (AlertState.ACKNOWLEDGED, 0)
