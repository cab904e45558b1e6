"""Who is called when, and how long they have: a pure policy of the site, by patient class and hours.

Level 0 is called at once. Whoever is called has a time; when it is over and nobody has acknowledged, the next level is
called. The last level is called again a few times, as an alert must not fall silent because a list has ended.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from firstread.clock import from_text
from firstread.communication import Category
from firstread.study import Study

ANY = "*"
"""Stands for every patient class that has no plan of its own."""
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_GROUP = r"^[a-z0-9][a-z0-9-]{0,31}$"
_MOST_LEVELS = 8
_MOST_HOLIDAYS = 100  # the environment of a Lambda function ends at 4 KB
_COMMUNICATION = {Category.MINUTES: 60.0, Category.HOURS: 720.0, Category.DAYS: 2880.0}


class PatientClass(StrEnum):
    """What the urgency of a patient is taken from, where an order tells."""

    EMERGENCY = "emergency"
    INPATIENT = "inpatient"
    OUTPATIENT = "outpatient"
    UNKNOWN = "unknown"


# HL7 table 0004. Preadmit is an outpatient until admitted; obstetrics is admitted.
_CLASSES = {
    "E": PatientClass.EMERGENCY,
    "I": PatientClass.INPATIENT,
    "B": PatientClass.INPATIENT,
    "O": PatientClass.OUTPATIENT,
    "P": PatientClass.OUTPATIENT,
    "R": PatientClass.OUTPATIENT,
}


def patient_class_of(code: str) -> PatientClass:
    """Return the class that PV1-2 (HL7 table 0004) names; what is not understood is unknown."""
    return _CLASSES.get(code.upper(), PatientClass.UNKNOWN)


class Level(BaseModel):
    """One group, and how long it has.

    Parameters
    ----------
    group
        Name of an on-call group; subscribers of the alert topic choose by it.
    within_minutes
        Time to acknowledge before the next level is called. EventBridge Scheduler is precise to about a minute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str = Field(pattern=_GROUP)
    within_minutes: float = Field(gt=0, le=7 * 24 * 60, allow_inf_nan=False)


class Plan(BaseModel):
    """Who is called, level by level, in working hours and outside them; without the latter, always alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    working: tuple[Level, ...] = Field(min_length=1, max_length=_MOST_LEVELS)
    off_hours: tuple[Level, ...] = Field((), max_length=_MOST_LEVELS)

    def levels(self, *, working: bool) -> tuple[Level, ...]:
        """Return the levels of working hours, or of the others."""
        return self.working if working or not self.off_hours else self.off_hours


def _default_plans() -> dict[str, Plan]:
    def plan(*minutes: float) -> Plan:
        by_day = ("reading-room", "on-call", "supervisor")
        by_night = ("on-call", "on-call", "supervisor")
        return Plan(
            working=tuple(
                Level(group=group, within_minutes=each) for group, each in zip(by_day, minutes, strict=True)
            ),
            off_hours=tuple(
                Level(group=group, within_minutes=each) for group, each in zip(by_night, minutes, strict=True)
            ),
        )

    return {
        PatientClass.EMERGENCY.value: plan(10, 10, 15),
        PatientClass.INPATIENT.value: plan(30, 30, 60),
        PatientClass.OUTPATIENT.value: plan(60, 60, 120),
        # Nobody knows how urgent it is: sooner rather than later.
        ANY: plan(15, 15, 30),
    }


@dataclass(frozen=True)
class Due:
    """A level of an alert, whom it calls, and when: 0 at once, others when the time of the one before is over."""

    level: int
    group: str
    at: datetime


class AlertingPolicy(BaseModel):
    """When, whom and how an alert calls.

    Parameters
    ----------
    time_zone
        IANA name of the site's time zone.
    weekdays
        Working days, Monday is 1 (ISO 8601).
    holidays
        Dates that are no working days whatever their weekday, local; a night shift of the day before goes on.
    opens, closes
        Working hours, local time; a site that closes after midnight has `closes` before `opens`.
    fresh_hours
        A study alerts only where its last image came within so many hours: what is analysed again later does not.
    repeat_last
        How often the last level is called again.
    plans
        Patient class -> plan; "*" for every other one.
    communication_minutes
        ACR category -> minutes from identifying a critical result until the care team should have it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_zone: str = "UTC"
    weekdays: frozenset[int] = frozenset({1, 2, 3, 4, 5})
    holidays: tuple[date, ...] = Field((), max_length=_MOST_HOLIDAYS)
    opens: time = time(8)
    closes: time = time(18)
    fresh_hours: float = Field(72.0, gt=0, allow_inf_nan=False)
    repeat_last: int = Field(2, ge=0, le=8)
    plans: Mapping[str, Plan] = Field(default_factory=_default_plans)
    communication_minutes: Mapping[Category, float] = Field(default_factory=lambda: dict(_COMMUNICATION))

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            _zone(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("time_zone is an IANA name such as Europe/Berlin") from None
        return value

    @field_validator("weekdays")
    @classmethod
    def _iso_weekdays(cls, value: frozenset[int]) -> frozenset[int]:
        if not value <= set(range(1, 8)):
            raise ValueError("weekdays are 1 (Monday) to 7")
        return value

    @field_validator("holidays", mode="before")
    @classmethod
    def _iso_dates(cls, value: object) -> object:
        if isinstance(value, list | tuple) and all(
            isinstance(each, date) or (isinstance(each, str) and _ISO_DATE.fullmatch(each)) for each in value
        ):
            return sorted({str(each) for each in value})  # the same list in every template
        raise ValueError("holidays are dates such as 2026-12-25")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.plans.keys() <= {ANY, *PatientClass}:
            raise ValueError(f"plans are for {', '.join(PatientClass)} and {ANY!r}")
        if ANY not in self.plans:
            raise ValueError(f"plans need the default {ANY!r}")
        if (
            self.communication_minutes.keys() != set(Category)
            or min(self.communication_minutes.values()) <= 0
        ):
            raise ValueError("communication_minutes has minutes for each of the categories 1, 2 and 3")
        if self.opens.tzinfo or self.closes.tzinfo:
            raise ValueError("opens and closes are local times")
        return self

    def is_working(self, at: datetime) -> bool:
        """Tell whether a moment lies within the site's working hours; a night belongs to the day it began on."""
        local = at.astimezone(_zone(self.time_zone))
        if self.opens <= self.closes:
            return self._works_on(local.date()) and self.opens <= local.time() < self.closes
        if local.time() >= self.opens:
            return self._works_on(local.date())
        return local.time() < self.closes and self._works_on(local.date() - timedelta(days=1))

    def _works_on(self, day: date) -> bool:
        return day.isoweekday() in self.weekdays and day not in self.holidays

    def level(self, patient_class: PatientClass, number: int, at: datetime) -> Level:
        """Return whom a level calls at a moment; beyond the last one, the last one again."""
        plan = self.plans.get(patient_class.value, self.plans[ANY])
        levels = plan.levels(working=self.is_working(at))
        return levels[min(number, len(levels) - 1)]

    def calls(self, patient_class: PatientClass, at: datetime) -> tuple[Due, ...]:
        """Return all calls of an alert that is delivered at a moment and that nobody acknowledges."""
        found = [Due(0, self.level(patient_class, 0, at).group, at)]
        while (following := self.after(patient_class, found[-1].level, found[-1].at)) is not None:
            found.append(following)
        return tuple(found)

    def after(self, patient_class: PatientClass, number: int, at: datetime) -> Due | None:
        """Return the call that follows one of a level at a moment if nobody acknowledges; None after the last."""
        if number >= self._last(patient_class):
            return None
        due = at + timedelta(minutes=self.level(patient_class, number, at).within_minutes)
        return Due(number + 1, self.level(patient_class, number + 1, due).group, due)

    def longest(self) -> timedelta:
        """Return a time within which every call of any alert is due."""
        levels = [each for plan in self.plans.values() for each in (*plan.working, *plan.off_hours)]
        slowest = max(each.within_minutes for each in levels)
        return timedelta(minutes=slowest * (_MOST_LEVELS + self.repeat_last))

    def _last(self, patient_class: PatientClass) -> int:
        plan = self.plans.get(patient_class.value, self.plans[ANY])
        return max(len(plan.working), len(plan.off_hours)) - 1 + self.repeat_last

    def deadline(self, patient_class: PatientClass, at: datetime) -> datetime:
        """Return by when whoever is called first at a moment should have acknowledged."""
        return at + timedelta(minutes=self.level(patient_class, 0, at).within_minutes)

    def may_alert(self, study: Study, at: datetime) -> bool:
        """Tell whether a study may call somebody: live, recent by its true date, and its images have just come."""
        seen = study.gathering
        fresh = at - from_text(seen.last_arrival) <= timedelta(hours=self.fresh_hours)
        return seen.is_live and seen.is_recent and fresh


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)
