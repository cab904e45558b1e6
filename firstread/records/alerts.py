"""Alerts and the audit events that change with them."""

from collections.abc import Iterable
from functools import partial

from pynamodb.exceptions import UpdateError
from pynamodb.transactions import TransactWrite

from firstread.alert import Alert, AlertState
from firstread.errors import NotFoundError
from firstread.records.audit import AuditEvent, AuditTrail
from firstread.records.tables import AlertRow
from firstread.records.transactions import Addition, ConditionFailedError, commit, is_unmet_condition

_OPEN = "open"


def _row(alert: Alert) -> AlertRow:
    return AlertRow(
        alert_id=alert.alert_id,
        study_uid=alert.study_uid,
        created_at=alert.created_at,
        created_day=alert.created_at[:10],
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

    def some(self, alert_ids: Iterable[str]) -> dict[str, Alert]:
        """Return those alerts that are there, by id."""
        wanted = sorted(set(alert_ids))
        rows = AlertRow.batch_get(wanted, consistent_read=True) if wanted else ()
        return {row.alert_id: Alert.model_validate(row.body) for row in rows}

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

    def acknowledge(self, alert_id: str, actor: str, role: str, at: str) -> Alert:
        """Acknowledge an alert and write the audit event in one transaction.

        Parameters
        ----------
        alert_id
            The alert.
        actor, role
            User name of who acknowledges, and as what.
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
            event = AuditEvent(
                subject=f"study#{alert.study_uid}",
                action="alert.acknowledge",
                actor=actor,
                role=role,
                at=at,
                details={"alert_id": alert_id, "before": alert.state.value, "after": done.state.value},
            )
            try:
                AuditTrail().write_with(event, partial(_replace, alert, done))
            except ConditionFailedError:
                continue  # somebody changed the alert just now
            return done


def _replace(before: Alert, after: Alert, entry: Addition) -> None:
    def build(transaction: TransactWrite) -> None:
        transaction.save(_row(after), condition=AlertRow.state == before.state.value)
        entry(transaction)

    commit(build)
