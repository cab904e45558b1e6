"""Whom alerts call, and when."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

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


@pytest.mark.parametrize(
    ("moment", "working"),
    [
        (datetime(2026, 12, 24, 23, 0, tzinfo=UTC), False),  # the holiday has begun in Berlin
        (datetime(2026, 12, 25, 9, 0, tzinfo=UTC), False),  # a Friday
        (datetime(2026, 12, 24, 9, 0, tzinfo=UTC), True),
        (datetime(2026, 12, 28, 9, 0, tzinfo=UTC), True),
    ],
)
def test_a_holiday_is_out_of_hours(moment: datetime, working: bool) -> None:
    policy = POLICY.model_copy(update={"holidays": (date(2026, 12, 25),)})
    assert policy.is_working(moment) is working
    group = policy.calls(PatientClass.UNKNOWN, moment)[0].group
    assert group == ("a" if working else "night")


def test_the_night_before_a_holiday_ends_as_it_began() -> None:
    night = AlertingPolicy.model_validate({"opens": "20:00", "closes": "06:00", "holidays": ["2026-12-25"]})
    assert night.is_working(datetime(2026, 12, 25, 5, tzinfo=UTC))  # the night that began on Thursday
    assert not night.is_working(datetime(2026, 12, 25, 22, tzinfo=UTC))
    assert not night.is_working(datetime(2026, 12, 26, 5, tzinfo=UTC))


def test_holidays_are_in_one_order_without_repetition() -> None:
    policy = AlertingPolicy.model_validate({"holidays": ["2027-01-01", "2026-12-25", "2027-01-01"]})
    assert policy.model_dump(mode="json")["holidays"] == ["2026-12-25", "2027-01-01"]
    assert AlertingPolicy.model_validate(policy.model_dump()) == policy
    assert AlertingPolicy.model_validate_json(policy.model_dump_json()) == policy


POLICIES = st.builds(
    lambda zone, opens, closes, weekdays, holidays: POLICY.model_copy(
        update={
            "time_zone": zone,
            "opens": opens,
            "closes": closes,
            "weekdays": weekdays,
            "holidays": tuple(holidays),
        }
    ),
    st.sampled_from(
        ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Australia/Lord_Howe"]
    ),
    st.times(),
    st.times(),
    st.frozensets(st.integers(1, 7)),
    st.sets(st.dates(date(2026, 1, 1), date(2027, 1, 1)), max_size=5),
)


@given(policy=POLICIES, at=MOMENTS, day=st.dates(date(2026, 1, 1), date(2027, 1, 1)))
def test_one_more_holiday_only_takes_the_hours_that_begin_on_it(
    policy: AlertingPolicy, at: datetime, day: date
) -> None:
    more = policy.model_copy(update={"holidays": (*policy.holidays, day)})
    local = at.astimezone(ZoneInfo(policy.time_zone))
    from_yesterday = policy.opens > policy.closes and local.time() < policy.opens
    begun_on = local.date() - timedelta(days=from_yesterday)
    assert more.is_working(at) is (policy.is_working(at) and begun_on != day)


@given(policy=POLICIES, at=MOMENTS, kind=st.sampled_from(PatientClass))
def test_each_call_follows_from_the_one_before_and_all_come_in_time(
    policy: AlertingPolicy, at: datetime, kind: PatientClass
) -> None:
    calls = policy.calls(kind, at)
    for one, other in pairwise(calls):
        assert policy.after(kind, one.level, one.at) == other
        assert other.at - one.at == timedelta(minutes=policy.level(kind, one.level, one.at).within_minutes)
    assert policy.after(kind, calls[-1].level, calls[-1].at) is None
    assert calls[-1].at - at <= policy.longest()


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
        ({"holidays": "2026-12-25"}, "dates such as"),
        ({"holidays": ["25.12.2026"]}, "dates such as"),
        ({"holidays": ["2026-12-25T00:00:00"]}, "dates such as"),
        ({"holidays": [1798156800]}, "dates such as"),
        ({"holidays": ["2026-02-30"]}, "date"),
        ({"holidays": [str(date(2026, 1, 1) + timedelta(days=each)) for each in range(101)]}, "at most 100"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(given_: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        AlertingPolicy.model_validate(given_)
