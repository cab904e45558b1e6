"""Alerts: their life cycle, each transition on condition and with its audit event in one transaction."""

from collections.abc import Callable, Iterable

from pynamodb.transactions import TransactWrite

from firstread.alert import (
    OPEN_STATES,
    Alert,
    AlertState,
    Call,
    Closing,
    acknowledged,
    closed,
    delivered,
    escalated,
    inherited,
)
from firstread.errors import NotFoundError
from firstread.policy import Actor
from firstread.records.audit import AuditEvent, AuditTrail, Detail
from firstread.records.tables import AlertRow
from firstread.records.transactions import Addition, ConditionFailedError, commit

_OPEN = "open"
_TAKEN = "taken#"
MOST = 200
"""Alerts that a list shows at most."""


def _list_of(alert: Alert) -> str | None:
    """Return the partition of the index `open`: nobody's, or of who acknowledged; none once closed."""
    if alert.state in OPEN_STATES:
        return _OPEN
    return f"{_TAKEN}{alert.acknowledged_by}" if alert.state is AlertState.ACKNOWLEDGED else None


def _row(alert: Alert, revision: int) -> AlertRow:
    return AlertRow(
        alert_id=alert.alert_id,
        study_uid=alert.study_uid,
        created_at=alert.created_at,
        created_day=alert.created_at[:10],
        open=_list_of(alert),
        state=alert.state.value,
        revision=revision,
        body=alert.model_dump(mode="json"),
    )


def new_alert(alert: Alert) -> Addition:
    """Return the write of a new alert; `creation` is the audit event that belongs to it."""

    def write(transaction: TransactWrite) -> None:
        transaction.save(_row(alert, 1), condition=AlertRow.alert_id.does_not_exist())

    return write


def creation(alert: Alert, by: Actor) -> AuditEvent:
    """Return the audit event of a new alert."""
    return _event(
        "alert.create", alert, by, alert.created_at, {"version": alert.version, "model": alert.model_id}
    )


class AlertRepository:
    """The closed loop of each alert."""

    def get(self, alert_id: str) -> Alert | None:
        """Return one alert, or None."""
        found = self._read(alert_id)
        return found[0] if found else None

    def some(self, alert_ids: Iterable[str]) -> dict[str, Alert]:
        """Return those alerts that are there, by id."""
        wanted = sorted(set(alert_ids))
        rows = AlertRow.batch_get(wanted, consistent_read=True) if wanted else ()
        return {row.alert_id: Alert.model_validate(row.body) for row in rows}

    def of_study(self, study_uid: str) -> list[Alert]:
        """Return the alerts of a study, oldest first."""
        return [Alert.model_validate(row.body) for row in AlertRow.by_study.query(study_uid)]

    def of_day(self, day: str) -> list[Alert]:
        """Return the alerts that were created on a day (``YYYY-MM-DD``, UTC), oldest first."""
        return [Alert.model_validate(row.body) for row in AlertRow.by_day.query(day)]

    def open_alerts(self, limit: int = MOST) -> list[Alert]:
        """Return the alerts nobody has acknowledged, oldest first."""
        return self._listed(_OPEN, limit)

    def open_since(self, moment: str) -> list[Alert]:
        """Return all alerts, oldest first, that were created since a moment and that nobody has acknowledged."""
        rows = AlertRow.by_open.query(_OPEN, AlertRow.created_at >= moment)
        return [Alert.model_validate(row.body) for row in rows]

    def taken_by(self, name: str, limit: int = MOST) -> list[Alert]:
        """Return the alerts that a reader has acknowledged and that are not closed, oldest first."""
        return self._listed(f"{_TAKEN}{name}", limit)

    def deliver(self, alert_id: str, call: Call, due_at: str, by: Actor) -> Alert:
        """Record that the first notice was published; an alert that is further along stays as it is."""
        said: dict[str, Detail] = {"group": call.group, "level": call.level}
        return self._change(
            alert_id, lambda alert: delivered(alert, call, due_at), "alert.deliver", by, call.at, said
        )

    def escalate(self, alert_id: str, call: Call, by: Actor) -> Alert:
        """Record that a level was called; not where somebody has acknowledged or a later level was called."""
        said: dict[str, Detail] = {"group": call.group, "level": call.level}
        return self._change(
            alert_id, lambda alert: escalated(alert, call), "alert.escalate", by, call.at, said
        )

    def inherit(self, alert_id: str, version: int, findings: frozenset[str], by: Actor, at: str) -> Alert:
        """Record that an open alert also stands for a newer version of its study."""
        return self._change(
            alert_id,
            lambda alert: inherited(alert, version, findings),
            "alert.inherit",
            by,
            at,
            {"version": version},
        )

    def acknowledge(self, alert_id: str, by: Actor, at: str) -> Alert:
        """Record that a reader takes an alert on.

        Parameters
        ----------
        alert_id
            The alert.
        by
            Who acknowledges.
        at
            When (`firstread.clock` text).

        Returns
        -------
        Alert
            The acknowledged alert; where somebody was earlier or it is closed, as it was.

        Raises
        ------
        NotFoundError
            If there is no such alert.
        """
        return self._change(
            alert_id, lambda alert: acknowledged(alert, by.name, at), "alert.acknowledge", by, at, {}
        )

    def close(self, alert_id: str, closing: Closing, by: Actor, at: str) -> Alert:
        """Record that nobody needs an alert any more; a closed one stays as it is."""
        return self._change(
            alert_id,
            lambda alert: closed(alert, closing, by.name, at),
            "alert.close",
            by,
            at,
            {"closing": closing.value},
        )

    def close_all(self, study_uid: str, closing: Closing, by: Actor, at: str) -> None:
        """Close every alert of a study, such as after it was signed; may be repeated."""
        for alert in self.of_study(study_uid):
            if alert.state is not AlertState.CLOSED:
                self.close(alert.alert_id, closing, by, at)

    def _change(
        self,
        alert_id: str,
        decide: Callable[[Alert], Alert],
        action: str,
        by: Actor,
        at: str,
        said: dict[str, Detail],
    ) -> Alert:
        """Read an alert, let `decide` say what it becomes, and write that with its event, if nobody was faster."""
        while True:
            found = self._read(alert_id)
            if found is None:
                raise NotFoundError("no such alert")
            alert, revision = found
            changed = decide(alert)
            if changed == alert:
                return alert
            states: dict[str, Detail] = {"before": alert.state.value, "after": changed.state.value}
            event = _event(action, changed, by, at, said | states)
            try:
                AuditTrail().write_with(event, _replacing(changed, revision))
            except ConditionFailedError:
                continue  # somebody changed the alert just now
            return changed

    def _read(self, alert_id: str) -> tuple[Alert, int] | None:
        try:
            row = AlertRow.get(alert_id, consistent_read=True)
        except AlertRow.DoesNotExist:
            return None
        return Alert.model_validate(row.body), int(row.revision)

    def _listed(self, which: str, limit: int) -> list[Alert]:
        return [Alert.model_validate(row.body) for row in AlertRow.by_open.query(which, limit=limit)]


def _event(action: str, alert: Alert, by: Actor, at: str, said: dict[str, Detail]) -> AuditEvent:
    return AuditEvent(
        subject=f"study#{alert.study_uid}",
        action=action,
        actor=by.name,
        role=by.role.value,
        at=at,
        details={"alert_id": alert.alert_id, **said},
    )


def _replacing(after: Alert, revision: int) -> Callable[[Addition], None]:
    def act(entry: Addition) -> None:
        def build(transaction: TransactWrite) -> None:
            # Rows of before there were revisions have none.
            condition = AlertRow.revision == revision if revision else AlertRow.revision.does_not_exist()
            transaction.save(_row(after, revision + 1), condition=condition)
            entry(transaction)

        commit(build)

    return act
