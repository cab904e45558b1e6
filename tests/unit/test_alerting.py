"""Whom alerts call, and when."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firstread.alerting import AlertingPolicy, PatientClass, patient_class_of
from firstread.clock import from_text, to_text
from tests.support.records import T1, study

FRIDAY = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))
LEVELS = [{"group": "a", "within_minutes": 5}, {"group": "b", "within_minutes": 10}]
POLICY = AlertingPolicy.model_validate(
    {
        "time_zone": "Europe/Berlin",
        "plans": {
            "*": {"working": LEVELS, "off_hours": [{"group": "night", "within_minutes": 1}]},
            "emergency": {"working": [{"group": "er", "within_minutes": 2}]},
        },
        "repeat_last": 1,
    }
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("E", "emergency"),
        ("I", "inpatient"),
        ("O", "outpatient"),
        ("e", "emergency"),
        ("", "unknown"),
        ("?", "unknown"),
    ],
)
def test_patient_class(code: str, expected: str) -> None:
    assert patient_class_of(code).value == expected


@pytest.mark.parametrize(
    ("moment", "working"),
    [
        (datetime(2026, 11, 20, 6, 59, tzinfo=UTC), False),  # 7:59 in Berlin
        (datetime(2026, 11, 20, 7, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 20, 16, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 20, 17, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 21, 9, 0, tzinfo=UTC), False),  # Saturday
        (datetime(2026, 7, 3, 6, 0, tzinfo=UTC), True),  # 8:00 in summer
    ],
)
def test_working_hours_are_those_of_the_site(moment: datetime, working: bool) -> None:
    assert POLICY.is_working(moment) is working


def test_a_night_shift_belongs_to_the_day_it_began_on() -> None:
    night = AlertingPolicy.model_validate({"opens": "20:00", "closes": "06:00", "weekdays": [5]})
    assert night.is_working(datetime(2026, 11, 20, 22, tzinfo=UTC))  # Friday
    assert night.is_working(datetime(2026, 11, 21, 5, tzinfo=UTC))  # Saturday morning
    assert not night.is_working(datetime(2026, 11, 20, 5, tzinfo=UTC))
    assert not night.is_working(datetime(2026, 11, 21, 22, tzinfo=UTC))


def test_calls_follow_class_hours_and_times() -> None:
    def said(kind: PatientClass, at: datetime) -> list[tuple[int, str, float]]:
        return [
            (each.level, each.group, (each.at - at).total_seconds() / 60) for each in POLICY.calls(kind, at)
        ]

    assert said(PatientClass.INPATIENT, FRIDAY) == [(0, "a", 0), (1, "b", 5), (2, "b", 15)]
    assert said(PatientClass.EMERGENCY, FRIDAY) == [(0, "er", 0), (1, "er", 2)]
    evening = datetime(2026, 11, 20, 16, 58, tzinfo=UTC)  # the day ends between the first and the second
    assert said(PatientClass.UNKNOWN, evening) == [(0, "a", 0), (1, "night", 5), (2, "night", 6)]
    assert POLICY.deadline(PatientClass.INPATIENT, FRIDAY) == FRIDAY + timedelta(minutes=5)


@given(at=MOMENTS, kind=st.sampled_from(PatientClass))
def test_every_class_is_called_at_every_hour_in_order(at: datetime, kind: PatientClass) -> None:
    for policy in (POLICY, AlertingPolicy()):
        calls = policy.calls(kind, at)
        assert [each.level for each in calls] == list(range(len(calls)))
        assert calls[0].at == at
        assert all(one.at < other.at for one, other in pairwise(calls))
        assert len(calls) >= 2


@pytest.mark.parametrize(
    ("change", "hours", "alerts"),
    [({}, 1, True), ({}, 73, False), ({"is_recent": False}, 1, False), ({"is_live": False}, 1, False)],
    ids=["live and recent", "analysed again", "prior", "backfill"],
)
def test_only_live_recent_studies_alert(change: dict[str, bool], hours: float, alerts: bool) -> None:
    head = study(gathering=study().gathering.model_copy(update=change))
    assert AlertingPolicy().may_alert(head, from_text(T1) + timedelta(hours=hours)) is alerts
    assert to_text(from_text(T1)) == head.gathering.last_arrival


@pytest.mark.parametrize(
    ("given_", "complaint"),
    [
        ({"time_zone": "Berlin"}, "IANA"),
        ({"time_zone": "../etc/passwd"}, "IANA"),
        ({"weekdays": [0]}, "weekdays"),
        ({"plans": {"emergency": {"working": LEVELS}}}, "default"),
        ({"plans": {"*": {"working": []}}}, "at least 1"),
        ({"plans": {"*": {"working": [{"group": "Dr. Smith", "within_minutes": 1}]}}}, "pattern"),
        ({"plans": {"*": {"working": [{"group": "a", "within_minutes": 0}]}}}, "greater"),
        ({"plans": {"*": {"working": LEVELS}, "dentist": {"working": LEVELS}}}, "plans are for"),
        ({"communication_minutes": {"1": 5}}, "categories"),
        ({"levels": 3}, "Extra"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(given_: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        AlertingPolicy.model_validate(given_)
