"""Alerts as a reader sees them, and what a reader does with one."""

from collections.abc import Iterable
from datetime import datetime

from firstread.alert import Alert, AlertState, Closing
from firstread.clock import to_text
from firstread.metrics import Meter, Metric
from firstread.policy import Action, Actor, Resource, can
from portal.errors import NotNowError
from portal.logic.display import ALERT_WORDS, CLOSING_WORDS, RISK_WORDS, when
from portal.logic.records import Records
from portal.logic.worklist import View

_meter = Meter("portal")


class CallView(View):
    """One time that a group was called."""

    level: int
    group: str
    at: str


class AlertView(View):
    """An alert of a study.

    Parameters
    ----------
    due
        By when it should have been acknowledged.
    may_close
        Whether the reader may close it now: a communication has been recorded for it.
    """

    alert_id: str
    study_uid: str
    state: AlertState
    state_words: str
    risk_words: str
    model_id: str
    simulated: bool
    level: int
    calls: tuple[CallView, ...]
    created: str
    delivered: str
    due: str
    acknowledged: str
    acknowledged_by: str
    late: bool
    closed: str
    closed_by: str
    closing_words: str
    may_acknowledge: bool
    may_close: bool


class AlertLists(View):
    """Alerts that nobody has acknowledged, and those the reader has and that are not closed; oldest first."""

    open: tuple[AlertView, ...]
    mine: tuple[AlertView, ...]


def alert_view(alert: Alert, actor: Actor, communicated: Iterable[str] = ()) -> AlertView:
    """Return an alert for a reader; `communicated` are the alerts that a communication was recorded for."""
    may = can(actor, Action.ALERT_ACKNOWLEDGE, _resource(alert)).allowed
    return AlertView(
        alert_id=alert.alert_id,
        study_uid=alert.study_uid,
        state=alert.state,
        state_words=ALERT_WORDS[alert.state],
        risk_words=RISK_WORDS[alert.risk],
        model_id=alert.model_id,
        simulated=alert.simulated,
        level=alert.level,
        calls=tuple(CallView(level=each.level, group=each.group, at=when(each.at)) for each in alert.calls),
        created=when(alert.created_at),
        delivered=when(alert.delivered_at),
        due=when(alert.due_at),
        acknowledged=when(alert.acknowledged_at),
        acknowledged_by=alert.acknowledged_by,
        late=alert.is_late,
        closed=when(alert.closed_at),
        closed_by=alert.closed_by,
        closing_words=CLOSING_WORDS[alert.closing] if alert.closing else "",
        may_acknowledge=may and alert.is_open,
        may_close=may and alert.state is AlertState.ACKNOWLEDGED and alert.alert_id in set(communicated),
    )


def read_alerts(records: Records, actor: Actor) -> AlertLists:
    """Return the open alerts and the reader's own."""

    def visible(alerts: list[Alert]) -> tuple[AlertView, ...]:
        return tuple(
            alert_view(alert, actor)
            for alert in alerts
            if can(actor, Action.ALERT_VIEW, _resource(alert)).allowed
        )

    return AlertLists(
        open=visible(records.alerts.open_alerts()), mine=visible(records.alerts.taken_by(actor.name))
    )


def acknowledge(records: Records, alert: Alert, actor: Actor, moment: datetime) -> Alert:
    """Take an alert on; who was first stays."""
    after = records.alerts.acknowledge(alert.alert_id, actor, to_text(moment))
    if alert.is_open and after.is_late:
        _meter.add(Metric.ALERTS_ACKNOWLEDGED_LATE)
        _meter.flush()
    return after


def close(records: Records, alert: Alert, actor: Actor, moment: datetime) -> Alert:
    """Close an acknowledged alert whose critical result has been communicated.

    Raises
    ------
    NotNowError
        If nobody has acknowledged it, or no communication was recorded for it.
    """
    if alert.state is AlertState.CLOSED:
        return alert
    if alert.is_open:
        raise NotNowError("acknowledge the alert first")
    if not any(each.alert_id == alert.alert_id for each in records.communications.of_study(alert.study_uid)):
        raise NotNowError("record the communication of the critical result first")
    return records.alerts.close(alert.alert_id, Closing.COMMUNICATED, actor, to_text(moment))


def _resource(alert: Alert) -> Resource:
    return Resource(study_uid=alert.study_uid, simulated=alert.simulated)
