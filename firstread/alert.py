"""An alert: an unconfirmed finding of high risk, until somebody has acknowledged it."""

from enum import StrEnum

from firstread.study import Risk
from firstread.value import Value


class AlertState(StrEnum):
    """The closed loop of an alert; escalated and closed come with the issue on the portal."""

    CREATED = "created"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"


class Alert(Value):
    """An unconfirmed high-risk finding that somebody must acknowledge."""

    alert_id: str
    study_uid: str
    result_id: str
    risk: Risk
    model_id: str
    simulated: bool
    state: AlertState
    created_at: str
    delivered_at: str = ""
    acknowledged_at: str = ""
    acknowledged_by: str = ""
