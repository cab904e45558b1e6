"""Notices of alerts: what leaves FirstRead when somebody is called. Nothing here tells of a patient."""

from dataclasses import dataclass

from firstread.alert import Alert
from firstread.messages import AlertNotice
from firstread.queues import Topic

_FIRST = "FirstRead: a study needs to be read first"
_AGAIN = "FirstRead: nobody has acknowledged an alert (level {level})"
_TEXT = """{subject}.

An AI model has flagged a study. The finding is unconfirmed. Research use only.
Sign in and acknowledge: {link}
Opening the link acknowledges nothing. This message names no patient; please do not answer it.
"""


def subject_of(alert: Alert, level: int) -> str:
    """Return the subject of a call: one for the first, others by level."""
    words = _AGAIN.format(level=level) if level else _FIRST
    return f"[SIMULATED] {words}" if alert.simulated else words


@dataclass(frozen=True)
class Notices:
    """Calls groups through the alert topic.

    Parameters
    ----------
    topic
        Where notices are published.
    portal_url
        Root of the portal, without a slash at the end.
    """

    topic: Topic
    portal_url: str

    def call(self, alert: Alert, group: str, level: int, correlation_id: str) -> None:
        """Publish a notice; that SNS took it does not mean that anybody has read it."""
        subject = subject_of(alert, level)
        link = f"{self.portal_url}/alerts/{alert.alert_id}"
        notice = AlertNotice(
            alert_id=alert.alert_id,
            risk=alert.risk.value,
            model=alert.model_id,
            simulated=alert.simulated,
            group=group,
            level=level,
            link=link,
            correlation_id=correlation_id,
        )
        chosen_by: dict[str, str | int] = {
            "group": group,
            "level": level,
            "simulated": str(alert.simulated).lower(),
        }
        self.topic.publish(notice, subject, _TEXT.format(subject=subject, link=link), chosen_by)
