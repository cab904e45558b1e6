"""Once a minute: find what waits for an event that never came, and send it again.

Every look asks a sparse index, so that a pipeline at rest costs eleven small queries. What is sent again may have been
on its way all the time: whoever receives it twice does nothing twice. So that a long queue is not made longer each
minute, something is sent again when its age passes the grace, then twice the grace, four times, and so on, and once an
hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from firstread.alert import Alert
from firstread.alerting import AlertingPolicy, Due, PatientClass
from firstread.clock import from_text, to_text
from firstread.delivery import Delivery
from firstread.messages import AlertLook, QuietTimer
from firstread.operations.arrivals import Arrived, Lanes
from firstread.queues import Queue
from firstread.receipt import Outcome
from firstread.records.alerts import AlertRepository
from firstread.records.sweeping import Span, Waiting

_PERIOD = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Swept:
    """What was found and done.

    Parameters
    ----------
    studies_overdue
        Studies that should have been looked at before.
    pending_oldest_seconds, undelivered_oldest_seconds
        Age of the oldest pending receipt, and of the oldest message that did not leave; 0 where there is none.
    looks, messages, objects
        Looks at studies that were asked for, messages delivered, events of objects sent again.
    calls
        Looks at alerts that were asked for, as nobody has acknowledged and the next level was not called.
    """

    studies_overdue: int
    pending_oldest_seconds: float
    undelivered_oldest_seconds: float
    looks: int
    messages: int
    objects: int
    calls: int


@dataclass(frozen=True)
class Sweep:
    """The step `sweep`.

    Parameters
    ----------
    waiting, alerts
        The indexes.
    timers, lanes, delivery, escalations
        Where things are sent again.
    policy
        When the next level of an alert is called.
    due_grace, message_grace, object_grace, alert_grace
        How long each is left alone. An object may wait behind thousands of others; a look and a message may not. The
        deadline of an alert is somebody else's to keep, to about a minute.
    limit
        How much of each is sent in one run; the rest goes with a later one.
    """

    waiting: Waiting
    timers: Queue
    lanes: Lanes
    delivery: Delivery
    alerts: AlertRepository
    escalations: Queue
    policy: AlertingPolicy = field(default_factory=AlertingPolicy)
    due_grace: timedelta = timedelta(minutes=1)
    message_grace: timedelta = timedelta(minutes=2)
    object_grace: timedelta = timedelta(minutes=15)
    alert_grace: timedelta = timedelta(minutes=3)
    limit: int = 500

    def run(self, at: datetime) -> Swept:
        """Sweep once.

        Parameters
        ----------
        at
            The moment this run is for; its minute counts, so that runs a minute apart leave no gap.
        """
        at = at.replace(second=0, microsecond=0)
        overdue = self.waiting.count_overdue(to_text(at - self.due_grace))
        pending = self.waiting.oldest(Outcome.PENDING)
        undelivered = self.waiting.oldest_undelivered()
        pending_age = _age(pending.received_at if pending else "", at)
        message_age = _age(undelivered, at)
        return Swept(
            studies_overdue=overdue,
            pending_oldest_seconds=pending_age.total_seconds(),
            undelivered_oldest_seconds=message_age.total_seconds(),
            looks=self._look(at) if overdue else 0,
            messages=self._deliver(at) if message_age >= self.message_grace else 0,
            objects=self._send(at) if pending_age >= self.object_grace else 0,
            calls=self._call(at),
        )

    def _look(self, at: datetime) -> int:
        overdue = [
            QuietTimer(study_uid=study_uid)
            for span in spans(at, self.due_grace)
            for study_uid in self.waiting.overdue(span, self.limit)
        ][: self.limit]
        self.timers.send_all(overdue)
        return len(overdue)

    def _call(self, at: datetime) -> int:
        # Whom nobody called in all that time the worklist has shown for as long; a study as old alerts no more.
        oldest = at - self.policy.longest() - timedelta(hours=self.policy.fresh_hours)
        again = tuple(spans(at, self.alert_grace))
        missed: list[AlertLook] = []
        for alert in self.alerts.open_since(to_text(oldest)):
            due = next_call(alert, self.policy)
            if due is not None and any(span.begin < to_text(due.at) <= span.end for span in again):
                missed.append(AlertLook(alert_id=alert.alert_id, level=due.level))
        self.escalations.send_all(missed[: self.limit])
        return len(missed[: self.limit])

    def _deliver(self, at: datetime) -> int:
        sent = 0
        for span in spans(at, self.message_grace):
            for each in self.waiting.undelivered(span, self.limit - sent):
                self.delivery.message(each.message_id, each.kind, each.body)
                sent += 1
            if sent >= self.limit:
                break
        return sent

    def _send(self, at: datetime) -> int:
        sent = 0
        for span in spans(at, self.object_grace):
            receipts = self.waiting.receipts(Outcome.PENDING, span, self.limit - sent)
            sent += self.lanes.again([Arrived.of(receipt) for receipt in receipts])
            if sent >= self.limit:
                break
        return sent


def next_call(alert: Alert, policy: AlertingPolicy) -> Due | None:
    """Return the next call of an alert that nobody acknowledges, reckoned from the last one; None after the last.

    An alert whose first call failed is reckoned from its creation.
    """
    since = alert.calls[-1].at if alert.calls else alert.created_at
    urgency = PatientClass(alert.patient_class or PatientClass.UNKNOWN)
    return policy.after(urgency, alert.level, from_text(since))


def spans(at: datetime, grace: timedelta) -> Iterator[Span]:
    """Yield the spans of time whose things are sent again in this minute: those that have just come of an age.

    Parameters
    ----------
    at
        A full minute.
    grace
        The first age; then twice that, and so on. On the hour, whatever is older than an hour.
    """
    age = grace
    while age <= _HOUR:
        yield Span(end=to_text(at - age), begin=to_text(at - age - _PERIOD))
        age *= 2
    if at.minute == 0:
        yield Span(end=to_text(at - _HOUR))


def _age(text: str, at: datetime) -> timedelta:
    return max(at - from_text(text), timedelta(0)) if text else timedelta(0)
