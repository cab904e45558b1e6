"""Audit events about what operators do to objects, queues and the pipeline as a whole."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from pynamodb.transactions import TransactWrite

from firstread.records.tables import AuditRow
from firstread.records.transactions import Addition

Detail = str | int | bool


@dataclass(frozen=True)
class AuditEvent:
    """One thing that somebody did.

    Parameters
    ----------
    subject
        What it was done to: ``object#<key>``, ``queue#<name>`` or ``pipeline``.
    action
        What was done, such as ``quarantine.release``.
    actor, role
        Who did it, as what.
    at
        When (`firstread.clock` text).
    details
        What else is to be known; chosen words and numbers only, as free text could name a patient.
    """

    subject: str
    action: str
    actor: str
    role: str
    at: str
    details: Mapping[str, Detail] = field(default_factory=dict)

    def body(self) -> dict[str, Detail]:
        """Return what is written down."""
        said: dict[str, Detail] = {
            "action": self.action,
            "actor": self.actor,
            "role": self.role,
            "at": self.at,
        }
        return {**self.details, **said}


def _row(event: AuditEvent) -> AuditRow:
    return AuditRow(subject=event.subject, event_id=f"{event.at}#{uuid.uuid4()}", body=event.body())


def audited(event: AuditEvent) -> Addition:
    """Return the write of an audit event, for the transaction of what it is about."""

    def write(transaction: TransactWrite) -> None:
        transaction.save(_row(event), condition=AuditRow.event_id.does_not_exist())

    return write


class AuditTrail:
    """Audit events of operators."""

    def record(self, event: AuditEvent) -> None:
        """Write down what is about to be done to more than one transaction holds."""
        _row(event).save(condition=AuditRow.event_id.does_not_exist())

    def of(self, subject: str) -> list[dict[str, Detail]]:
        """Return the events about a subject, oldest first."""
        return [dict(row.body) for row in AuditRow.query(subject, consistent_read=True)]
