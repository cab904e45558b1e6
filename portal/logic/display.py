"""Words for values: what a reader sees instead of a record's terms."""

from datetime import datetime

from firstread.alert import AlertState, Closing
from firstread.clock import from_text, to_text
from firstread.order import Priority
from firstread.study import AnalysisStatus, ReviewStatus, Risk, Study

RISK_WORDS = {
    Risk.HIGH: "High",
    # Not "unknown risk": nobody and nothing has looked, which is what a reader has to know.
    Risk.UNKNOWN: "Not assessed",
    Risk.NOT_FLAGGED: "Not flagged",
}

STATUS_WORDS = {
    AnalysisStatus.RECEIVING: "Receiving",
    AnalysisStatus.WITHDRAWN: "Withdrawn",
    # One word for both: nobody records when a worker takes a message.
    AnalysisStatus.ANALYSING: "AI queued or running",
    AnalysisStatus.ANALYSED: "AI done",
    AnalysisStatus.NO_MODEL: "No model applies",
    AnalysisStatus.FAILED: "AI failed",
    AnalysisStatus.HELD: "Held",
}

ALERT_WORDS = {
    AlertState.CREATED: "Not yet sent",
    AlertState.DELIVERED: "Waiting",
    AlertState.ESCALATED: "Escalated",
    AlertState.ACKNOWLEDGED: "Acknowledged",
    AlertState.CLOSED: "Closed",
}

CLOSING_WORDS = {
    Closing.SIGNED: "the study was signed",
    Closing.READ_ELSEWHERE: "a final report came from elsewhere",
    Closing.WITHDRAWN: "its images were withdrawn",
    Closing.RETIRED: "a newer version has no finding of high risk",
    Closing.COMMUNICATED: "the critical result was communicated",
}

REVIEW_WORDS = {
    ReviewStatus.UNREAD: "Unread",
    ReviewStatus.IN_PROGRESS: "In progress",
    ReviewStatus.PRELIMINARY: "Preliminary",
    ReviewStatus.SIGNED: "Signed",
}

PRIORITY_WORDS = {Priority.STAT: "STAT", Priority.URGENT: "Urgent", Priority.ROUTINE: ""}

_CLOSING_WORDS = {
    "expected": "all images that were announced are here",
    "batch": "the sender had ended",
    "quiet": "nothing more came for its quiet time",
    "forced": "the longest wait was over",
}

_SEX_WORDS = {"F": "female", "M": "male", "O": "other"}  # PS3.3 C.7.1.1, Patient's Sex (0010,0040)


def risk_words(study: Study) -> str:
    """Return the risk of a study in words; where only a part was looked at, that is said."""
    if study.risk is Risk.UNKNOWN and study.probability is not None:
        return "Partly assessed"
    return RISK_WORDS[study.risk]


def assignee(study: Study, moment: datetime) -> str:
    """Return who holds a study for reading now; "" for nobody."""
    return study.reader if study.claimed_until > to_text(moment) else ""


def version_words(study: Study) -> str:
    """Return what the current version is: which one, what it supersedes, why it was closed."""
    if not study.version:
        return "not complete yet"
    words = f"version {study.version}"
    if study.version > 1:
        words += f", supersedes version {study.version - 1}"
    closed = closing_words(study.closed_by)
    return f"{words}: {closed}" if closed else words


def closing_words(closed_by: str) -> str:
    """Return why a version was closed; "" where nothing is recorded."""
    return _CLOSING_WORDS.get(closed_by, "")


def waiting(since: str, moment: datetime) -> str:
    """Return how long something waits, in words such as ``12 min``, ``3 h 05 min``, ``2 d 4 h``."""
    minutes = max(0, int((moment - from_text(since)).total_seconds() // 60))
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min" if minutes else "< 1 min"


def when(text: str) -> str:
    """Return a moment to the second, in UTC; "" for none."""
    return f"{from_text(text):%Y-%m-%d %H:%M:%S} UTC" if text else ""


def person(age_years: float | None, sex: str) -> str:
    """Return age and sex as far as they are known."""
    if age_years is None and sex not in _SEX_WORDS:
        return "age and sex unknown"
    return f"{_age(age_years)}, {_SEX_WORDS.get(sex, 'sex unknown')}"


def _age(years: float | None) -> str:
    if years is None:
        return "age unknown"
    if years >= 2:
        return f"{int(years)} years"
    months = int(years * 12)
    return f"{months} month{'' if months == 1 else 's'}"


def reason_words(reason: str) -> str:
    """Return a typed reason, such as ``may_contain_burned_in_text``, as words."""
    return reason.replace("_", " ")


def duration(seconds: float | None) -> str:
    """Return a length of time, in words such as ``1 min 05 s``; "" for none."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
