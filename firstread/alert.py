"""An alert: an unconfirmed finding of high risk, until somebody has acknowledged it and the study is dealt with.

Created, delivered, perhaps escalated level by level, acknowledged, closed. Each transition is a pure function from the
alert as it is to the alert as it becomes; where a transition does not apply, the alert comes back unchanged. So
whoever is late, early or second changes nothing.
"""

from collections.abc import Iterable
from enum import StrEnum

from firstread.result import Result
from firstread.study import AnalysisStatus, Risk, Study
from firstread.value import Value


class AlertState(StrEnum):
    """The closed loop of an alert. Delivered means handed to SNS; only acknowledging tells that somebody read it."""

    CREATED = "created"
    DELIVERED = "delivered"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


OPEN_STATES = frozenset({AlertState.CREATED, AlertState.DELIVERED, AlertState.ESCALATED})
"""States in which nobody has taken the alert on."""


class Closing(StrEnum):
    """Why an alert was closed.

    ``retired``: a newer version has no finding of high risk. ``communicated``: the critical result has been
    communicated, and the reader closed it.
    """

    SIGNED = "signed"
    READ_ELSEWHERE = "read elsewhere"
    WITHDRAWN = "withdrawn"
    RETIRED = "retired"
    COMMUNICATED = "communicated"


class Call(Value):
    """One time that a group was called.

    Parameters
    ----------
    level
        0 for the first call, then the level of escalation.
    group
        Who was called; a group of the site's, never a person.
    at
        When the notice was handed to SNS (`firstread.clock` text).
    """

    level: int
    group: str
    at: str


class Alert(Value):
    """An unconfirmed high-risk finding that somebody must acknowledge.

    Parameters
    ----------
    version
        The newest study version that it stands for; 0 where that was not recorded.
    findings
        What it calls for, and what earlier alerts of the study did (`high_findings`).
    patient_class
        Emergency, inpatient, outpatient or unknown, when it was created.
    level
        The highest level that was called.
    due_at
        By when it should have been acknowledged before anybody else is called; "" until it is delivered.
    calls
        Who was called when.
    closing, closed_by
        Why and by whom it was closed: a reader, or the function that found the study dealt with.
    """

    alert_id: str
    study_uid: str
    result_id: str
    risk: Risk
    model_id: str
    simulated: bool
    state: AlertState
    created_at: str
    version: int = 0
    findings: tuple[str, ...] = ()
    patient_class: str = ""
    level: int = 0
    due_at: str = ""
    calls: tuple[Call, ...] = ()
    delivered_at: str = ""
    acknowledged_at: str = ""
    acknowledged_by: str = ""
    closing: Closing | None = None
    closed_at: str = ""
    closed_by: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nobody has taken it on yet, so that it escalates."""
        return self.state in OPEN_STATES

    @property
    def is_late(self) -> bool:
        """Whether it was acknowledged after its first deadline."""
        return bool(self.acknowledged_at and self.due_at) and self.acknowledged_at > self.due_at


def delivered(alert: Alert, call: Call, due_at: str) -> Alert:
    """Return the alert after its first notice was published."""
    if alert.state is not AlertState.CREATED:
        return alert
    return alert.model_copy(
        update={
            "state": AlertState.DELIVERED,
            "delivered_at": call.at,
            "due_at": due_at,
            "calls": (*alert.calls, call),
        }
    )


def escalated(alert: Alert, call: Call) -> Alert:
    """Return the alert after a level was called; a level that is not above the last one changes nothing."""
    if not alert.is_open or call.level <= alert.level:
        return alert
    return alert.model_copy(
        update={"state": AlertState.ESCALATED, "level": call.level, "calls": (*alert.calls, call)}
    )


def inherited(alert: Alert, version: int, findings: Iterable[str]) -> Alert:
    """Return an open alert as it also stands for what a newer version of the study says."""
    known = tuple(sorted({*alert.findings, *findings}))
    if not alert.is_open or version < alert.version or (version, known) == (alert.version, alert.findings):
        return alert
    return alert.model_copy(update={"version": version, "findings": known})


def acknowledged(alert: Alert, name: str, at: str) -> Alert:
    """Return the alert after a reader took it on; who was first stays."""
    if not alert.is_open:
        return alert
    return alert.model_copy(
        update={"state": AlertState.ACKNOWLEDGED, "acknowledged_at": at, "acknowledged_by": name}
    )


def closed(alert: Alert, closing: Closing, name: str, at: str) -> Alert:
    """Return the alert after its study was dealt with, whether or not anybody had acknowledged it."""
    if alert.state is AlertState.CLOSED:
        return alert
    return alert.model_copy(
        update={"state": AlertState.CLOSED, "closing": closing, "closed_at": at, "closed_by": name}
    )


def closing_of(study: Study) -> Closing | None:
    """Return why the alerts of a study need nobody any more, or None where they do."""
    if study.status is AnalysisStatus.WITHDRAWN:
        return Closing.WITHDRAWN
    if study.is_signed:
        return Closing.SIGNED
    return Closing.READ_ELSEWHERE if study.is_closed else None


def high_findings(results: Iterable[Result]) -> frozenset[str]:
    """Return what results flag with high risk, in a way that is the same for every version of a study.

    A coded finding is told apart by its code and site, and by how many of it one result has: a second nodule is new,
    the same nodule named by a second model is not.
    """
    found: set[str] = set()
    for result in results:
        counts: dict[str, int] = {}
        for finding in result.findings if result.risk is Risk.HIGH and not result.beside else ():
            if finding.risk is Risk.HIGH:
                site = f"@{finding.site.scheme}:{finding.site.value}" if finding.site else ""
                name = f"{finding.code.scheme}:{finding.code.value}{site}"
                counts[name] = counts.get(name, 0) + 1
                found.add(f"{name}#{counts[name]}")
    return frozenset(found)


def covered(alert: Alert | None) -> frozenset[str]:
    """Return the findings that a study's last alert has called for; one that was retired calls for nothing."""
    if alert is None or alert.closing in (Closing.RETIRED, Closing.WITHDRAWN):
        return frozenset()
    return frozenset(alert.findings)
