"""A deadline whose schedule was lost is kept by the sweep, beside the scheduler and as if it were the scheduler."""

import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from firstread.alert import Alert, AlertState, Closing
from firstread.clock import from_text, to_text
from firstread.messages import AlertLook, AlertNotice, ResultRecorded
from firstread.policy import Actor, Role
from firstread.records.alerts import AlertRepository
from firstread.study import Study
from functions.alert import handler as alert_handler
from functions.escalate import handler as escalate_handler
from functions.sweep import handler as sweep_handler
from tests.functional.test_way import file
from tests.support import events
from tests.support.cloud import Cloud
from tests.support.events import CONTEXT
from tests.support.hospital import Hospital

READER = Actor("ann", Role.RADIOLOGIST)
GRACE = timedelta(minutes=3)


@pytest.fixture
def hospital(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(cloud, monkeypatch)


@pytest.fixture
def study(hospital: Hospital, tmp_path: Path) -> Study:
    """A study with a delivered alert, none of whose schedules will ever run."""
    hospital.push(file(tmp_path))
    hospital.pump()
    hospital.cloud.waiting("alert-subscriber")
    (found,) = hospital.studies.worklist()
    return found


def alert_of(study: Study) -> Alert:
    found = AlertRepository().get(study.alert_id)
    assert found is not None
    return found


def sweep(hospital: Hospital) -> float:
    """Sweep as EventBridge does at the minute that the clock stands at; return how many looks it asked for."""
    return sweep_handler.handle({"time": to_text(hospital.clock())}, CONTEXT)["calls"]


def handle(hospital: Hospital) -> None:
    for body in hospital.cloud.waiting("escalations"):
        assert escalate_handler.handle(events.sqs(body), CONTEXT)["batchItemFailures"] == []


def called(hospital: Hospital) -> list[tuple[int, str]]:
    notices = [
        AlertNotice.model_validate_json(json.loads(body)["Message"])
        for body in hospital.cloud.waiting("alert-subscriber")
    ]
    return [(each.level, each.group) for each in notices]


def until(hospital: Hospital, end: datetime) -> list[tuple[timedelta, int, str]]:
    """Let a minute after the other pass, with a sweep in each; return who was called how long after now."""
    begin = hospital.clock()
    found: list[tuple[timedelta, int, str]] = []
    while hospital.clock() < end:
        hospital.clock.forward(minutes=1)
        sweep(hospital)
        handle(hospital)
        found += [(hospital.clock() - begin, *each) for each in called(hospital)]
    return found


def test_every_level_is_called_though_no_schedule_runs_and_then_it_is_quiet(
    hospital: Hospital, study: Study
) -> None:
    begin = hospital.clock()
    found = until(hospital, begin + timedelta(minutes=15 + 15 + 30 + 30 + 4 * 4))
    hospital.clock.moment = begin + timedelta(hours=5)
    assert sweep(hospital) == 0
    # 15, 15 and 30 minutes, the last level three times; each three to four minutes late, reckoned from the one before.
    assert [(level, group) for _, level, group in found] == [
        (1, "on-call"),
        (2, "supervisor"),
        (3, "supervisor"),
        (4, "supervisor"),
    ]
    waits = [found[0][0]] + [after[0] - before[0] for before, after in pairwise(found)]
    allowed = [timedelta(minutes=each) for each in (15, 15, 30, 30)]
    assert all(
        GRACE <= wait - time <= GRACE + timedelta(minutes=1)
        for wait, time in zip(waits, allowed, strict=True)
    )
    assert [call.level for call in alert_of(study).calls] == [0, 1, 2, 3, 4]


def test_before_the_margin_is_over_the_scheduler_has_its_time(hospital: Hospital, study: Study) -> None:
    due = from_text(alert_of(study).due_at)
    hospital.clock.moment = due + GRACE - timedelta(seconds=1)
    assert sweep(hospital) == 0
    hospital.clock.moment = due + GRACE + timedelta(minutes=1)
    assert sweep(hospital) == 1
    hospital.clock.forward(minutes=1)
    assert sweep(hospital) == 0  # asked for already: again at twice the margin


@pytest.mark.parametrize("scheduler_first", [True, False])
def test_beside_the_scheduler_a_level_is_called_once(
    hospital: Hospital, study: Study, scheduler_first: bool
) -> None:
    hospital.clock.moment = from_text(alert_of(study).due_at) + GRACE + timedelta(minutes=1)
    assert sweep(hospital) == 1
    (swept,) = hospital.cloud.waiting("escalations")
    scheduled = AlertLook(alert_id=study.alert_id, level=1, correlation_id="c").model_dump_json()
    for body in (scheduled, swept) if scheduler_first else (swept, scheduled):
        assert escalate_handler.handle(events.sqs(body), CONTEXT)["batchItemFailures"] == []
    assert called(hospital) == [(1, "on-call")]
    assert [call.level for call in alert_of(study).calls] == [0, 1]


def test_at_the_very_moment_of_the_scheduler_a_level_is_recorded_once(
    hospital: Hospital, study: Study
) -> None:
    """Both look before either writes: two calls go out, as a call too many is better, and one is on record."""
    hospital.clock.moment = from_text(alert_of(study).due_at) + GRACE + timedelta(minutes=1)
    assert sweep(hospital) == 1
    look = AlertLook(alert_id=study.alert_id, level=1)

    def before(operation: str, _parameters: dict[str, Any]) -> None:
        if operation == "Publish":
            hospital.cloud.wire.before = lambda _operation, _parameters: None
            escalate_handler.bootstrap().look(look)

    hospital.cloud.wire.before = before
    handle(hospital)
    assert called(hospital) == [(1, "on-call")] * 2
    assert [call.level for call in alert_of(study).calls] == [0, 1]


def test_a_sweep_that_was_overtaken_calls_nobody(hospital: Hospital, study: Study) -> None:
    """The index lags, and the message waits: what is asked for is decided by the record as it is then."""
    hospital.clock.moment = from_text(alert_of(study).due_at) + GRACE + timedelta(minutes=1)
    sweep(hospital)
    AlertRepository().acknowledge(study.alert_id, READER, to_text(hospital.clock()))
    handle(hospital)
    assert called(hospital) == []
    assert alert_of(study).state is AlertState.ACKNOWLEDGED
    hospital.clock.forward(hours=1)
    assert sweep(hospital) == 0


def test_a_missed_deadline_of_a_study_that_is_signed_closes_the_alert(
    hospital: Hospital, study: Study
) -> None:
    signed = {"signed_version": 1}
    hospital.studies.change(study.study_uid, lambda each: each.model_copy(update=signed) if each else None)
    hospital.clock.moment = from_text(alert_of(study).due_at) + GRACE + timedelta(minutes=1)
    assert sweep(hospital) == 1
    handle(hospital)
    assert called(hospital) == []
    assert alert_of(study).closing is Closing.SIGNED


def test_an_alert_whose_schedules_cannot_be_made_still_escalates(
    hospital: Hospital, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivery fails until the message is among the dead letters: the sweep calls the level after the first."""
    AlertRepository().close(study.alert_id, Closing.RETIRED, READER, to_text(hospital.clock()))

    class Refusing:
        def create_schedule(self, **_parameters: object) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "CreateSchedule")

    monkeypatch.setattr("firstread.schedules._scheduler", Refusing)
    (recorded,) = hospital.results.of_version(study.study_uid, 1)
    recorded_event = ResultRecorded(study_uid=study.study_uid, version=1, result_id=recorded.result_id)
    with pytest.raises(ClientError):
        alert_handler.bootstrap().result(recorded_event)
    called(hospital)
    head = hospital.studies.get(study.study_uid)
    assert head is not None and head.alert_id != study.alert_id
    assert alert_of(head).state is AlertState.CREATED
    found = until(hospital, hospital.clock() + timedelta(minutes=20))
    assert [(level, group) for _, level, group in found] == [(1, "on-call")]
    assert alert_of(head).state is AlertState.ESCALATED


def test_an_alert_of_long_ago_is_left_alone(hospital: Hospital, study: Study) -> None:
    hospital.clock.forward(days=5)
    hospital.clock.moment = hospital.clock.moment.replace(minute=0)
    assert sweep(hospital) == 0
    hospital.clock.moment = from_text(alert_of(study).created_at).replace(minute=0) + timedelta(days=2)
    assert sweep(hospital) == 1  # each full hour
