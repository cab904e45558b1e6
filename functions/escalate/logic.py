"""A deadline of an alert is over, or its study was dealt with -> call the next level, close the alert, or nothing.

The message only says when to look. What happens follows from the alert and the study as they are then, so that no
schedule has to be taken back when somebody acknowledges, and a message that comes twice or late does no harm.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from firstread.alert import Alert, AlertState, Call, closing_of
from firstread.alerting import AlertingPolicy, patient_class_of
from firstread.clock import now, to_text
from firstread.messages import AlertLook
from firstread.notices import Notices
from firstread.policy import Actor, Role
from firstread.records.alerts import AlertRepository
from firstread.records.studies import StudyRepository
from firstread.study import Study

_ACTOR = Actor("escalate", Role.SERVICE)


class Outcome(StrEnum):
    """What became of a look at an alert."""

    NOTHING = "nothing"
    CLOSED = "closed"
    ESCALATED = "escalated"


@dataclass(frozen=True)
class Escalate:
    """The step `escalate`.

    Parameters
    ----------
    studies, alerts
        The records.
    notices
        Calls people.
    policy
        Whom each level calls.
    clock
        The present moment.
    """

    studies: StudyRepository
    alerts: AlertRepository
    notices: Notices
    policy: AlertingPolicy = field(default_factory=AlertingPolicy)
    clock: Callable[[], datetime] = now

    def look(self, message: AlertLook) -> Outcome:
        """Look at an alert, and do what is to be done now."""
        alert = self.alerts.get(message.alert_id)
        study = self.studies.get(alert.study_uid) if alert is not None else None
        if alert is None or study is None or alert.state is AlertState.CLOSED:
            return Outcome.NOTHING
        closing = closing_of(study)
        if closing is not None:
            self.alerts.close_all(study.study_uid, closing, _ACTOR, to_text(self.clock()))
            return Outcome.CLOSED
        if not alert.is_open or message.level <= alert.level:
            return Outcome.NOTHING
        return self._escalated(alert, study, message)

    def _escalated(self, alert: Alert, study: Study, message: AlertLook) -> Outcome:
        at = self.clock()
        # The class may have changed since, and the hour has: asked anew.
        level = self.policy.level(patient_class_of(study.patient_class), message.level, at)
        # Called before it is written down: a call too many is better than one that was never made.
        self.notices.call(alert, level.group, message.level, message.correlation_id)
        call = Call(level=message.level, group=level.group, at=to_text(at))
        after = self.alerts.escalate(alert.alert_id, call, _ACTOR)
        return Outcome.ESCALATED if call in after.calls else Outcome.NOTHING
