"""Alerts and the audit events that change with them."""

import uuid
from collections.abc import Mapping

from pynamodb.exceptions import UpdateError
from pynamodb.transactions import TransactWrite

from firstread.alert import Alert, AlertState
from firstread.errors import NotFoundError
from firstread.records.tables import AlertRow, AuditRow
from firstread.records.transactions import Addition, ConditionFailedError, commit, is_unmet_condition

_OPEN = "open"


def _row(alert: Alert) -> AlertRow:
    return AlertRow(
        alert_id=alert.alert_id,
        study_uid=alert.study_uid,
        created_at=alert.created_at,
        open=None if alert.state is AlertState.ACKNOWLEDGED else _OPEN,
        state=alert.state.value,
        body=alert.model_dump(mode="json"),
    )


def new_alert(alert: Alert) -> Addition:
    """Return the write of a new alert."""

    def write(transaction: TransactWrite) -> None:
        transaction.save(_row(alert), condition=AlertRow.alert_id.does_not_exist())

    return write


class AlertRepository:
    """The closed loop: created, delivered, acknowledged."""

    def get(self, alert_id: str) -> Alert | None:
        """Return one alert, or None."""
        try:
            row = AlertRow.get(alert_id, consistent_read=True)
        except AlertRow.DoesNotExist:
            return None
        return Alert.model_validate(row.body)

    def of_study(self, study_uid: str) -> list[Alert]:
        """Return the alerts of a study, oldest first."""
        return [Alert.model_validate(row.body) for row in AlertRow.by_study.query(study_uid)]

    def open_alerts(self, limit: int = 200) -> list[Alert]:
        """Return the alerts nobody has acknowledged, oldest first."""
        return [Alert.model_validate(row.body) for row in AlertRow.by_open.query(_OPEN, limit=limit)]

    def mark_delivered(self, alert: Alert, delivered_at: str) -> None:
        """Record that the notice was published; an alert that is further along stays as it is."""
        delivered = alert.model_copy(update={"state": AlertState.DELIVERED, "delivered_at": delivered_at})
        try:
            _row(alert).update(
                actions=[
                    AlertRow.state.set(delivered.state.value),
                    AlertRow.body.set(delivered.model_dump(mode="json")),
                ],
                condition=AlertRow.state == AlertState.CREATED.value,
            )
        except UpdateError as error:
            if not is_unmet_condition(error):
                raise

    def acknowledge(self, alert_id: str, actor: str, at: str) -> Alert:
        """Acknowledge an alert and write the audit event in one transaction.

        Parameters
        ----------
        alert_id
            The alert.
        actor
            User name of who acknowledges.
        at
            When (`firstread.clock` text).

        Returns
        -------
        Alert
            The acknowledged alert; where somebody was earlier, theirs, unchanged.

        Raises
        ------
        NotFoundError
            If there is no such alert.
        """
        while True:
            alert = self.get(alert_id)
            if alert is None:
                raise NotFoundError("no such alert")
            if alert.state is AlertState.ACKNOWLEDGED:
                return alert
            done = alert.model_copy(
                update={"state": AlertState.ACKNOWLEDGED, "acknowledged_at": at, "acknowledged_by": actor}
            )
            if self._replace(alert, done, actor, at):
                return done

    def _replace(self, before: Alert, after: Alert, actor: str, at: str) -> bool:
        event = AuditRow(
            subject=f"study#{after.study_uid}",
            event_id=f"{at}#{uuid.uuid4()}",
            body={
                "action": "alert.acknowledge",
                "actor": actor,
                "at": at,
                "alert_id": after.alert_id,
                "before": before.state.value,
                "after": after.state.value,
            },
        )

        def build(transaction: TransactWrite) -> None:
            transaction.save(_row(after), condition=AlertRow.state == before.state.value)
            transaction.save(event, condition=AuditRow.event_id.does_not_exist())

        try:
            commit(build)
        except ConditionFailedError:
            return False
        return True


class AuditRepository:
    """The audit trail."""

    def record(self, event: Mapping[str, str | bool]) -> None:
        """Append an event about the identity vault (`firstread.deid.vault.audit.AuditSink`)."""
        AuditRow(
            subject=f"identity#{event['subject']}",
            event_id=f"{event['at']}#{uuid.uuid4()}",
            body=dict(event),
        ).save(condition=AuditRow.event_id.does_not_exist())

    def of_study(self, study_uid: str) -> list[dict[str, object]]:
        """Return the audit events about a study, oldest first."""
        return [dict(row.body) for row in AuditRow.query(f"study#{study_uid}", consistent_read=True)]
