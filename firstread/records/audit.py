"""The audit trail: who did what to which subject, each event chained to the one before it on the same subject."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pynamodb.transactions import TransactWrite

from firstread.errors import TransientError
from firstread.records.tables import AuditRow
from firstread.records.transactions import Addition, ConditionFailedError, commit

Detail = str | int | bool
_Done = TypeVar("_Done")
_TRIES = 12
_FIRST = "0" * 64  # what the first event of a subject names as the one before it


@dataclass(frozen=True)
class AuditEvent:
    """One thing that somebody did.

    Parameters
    ----------
    subject
        What it was done to: ``study#<uid>``, ``identity#<surrogate>``, ``session#<user>``, ``object#<key>``,
        ``queue#<name>`` or ``pipeline``.
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


def digest_of(subject: str, number: int, previous: str, body: Mapping[str, object]) -> str:
    """Return the digest that the next event of the subject names: SHA-256 over everything that was written down."""
    said = {"subject": subject, "number": number, "previous": previous, "body": dict(body)}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def audited(event: AuditEvent) -> Addition:
    """Return the write of an audit event, for the transaction of what it is about.

    It is chained to the last event on the subject each time that the transaction is built; where another event was
    faster, the transaction's condition is not met. `AuditTrail.write_with` tries again then.
    """

    def write(transaction: TransactWrite) -> None:
        number, previous = _tail(event.subject)
        transaction.save(_row(event, number + 1, previous), condition=AuditRow.event_id.does_not_exist())

    return write


class AuditTrail:
    """Audit events; added, never changed or taken back."""

    def write_with(self, event: AuditEvent, act: Callable[[Addition], _Done]) -> _Done:
        """Do something whose transaction holds an event; again, where another event on the subject was faster.

        Parameters
        ----------
        event
            What will have been done.
        act
            Makes one transaction with the write it is given. Called again after a lost race.

        Raises
        ------
        ConditionFailedError
            If `act` raised it for a reason of its own.
        TransientError
            If others kept writing events on the subject.
        """
        entry = audited(event)
        for _ in range(_TRIES):
            number, _ = _tail(event.subject)
            try:
                return act(entry)
            except ConditionFailedError:
                if _tail(event.subject)[0] == number:
                    raise
        raise TransientError("others kept writing about the same subject")

    def record(self, event: AuditEvent) -> None:
        """Write an event by itself: what is about to be done to more than one transaction holds, or was looked at."""
        self.write_with(event, commit)

    def of(self, subject: str) -> list[dict[str, Detail]]:
        """Return the events about a subject, oldest first."""
        rows = AuditRow.query(subject, AuditRow.event_id.startswith("0"), consistent_read=True)
        return [dict(row.body) for row in rows]


class VaultAudit:
    """Where the identity vault writes down who asked it what (`firstread.deid.vault.audit.AuditSink`)."""

    def record(self, event: Mapping[str, str | bool]) -> None:
        """Append an event about the identity vault."""
        said = dict(event)
        AuditTrail().record(
            AuditEvent(
                subject=f"identity#{said.pop('subject')}",
                action=str(said.pop("action")),
                actor=str(said.pop("actor")),
                role=str(said.pop("role")),
                at=str(said.pop("at")),
                details=said,
            )
        )


def _tail(subject: str) -> tuple[int, str]:
    """Return number and digest of the last event on a subject."""
    # Numbered events begin with 0 until there are ten thousand million of them.
    rows = AuditRow.query(
        subject, AuditRow.event_id.startswith("0"), consistent_read=True, scan_index_forward=False, limit=1
    )
    last = next(iter(rows), None)
    return (int(last.event_id), str(last.digest)) if last is not None else (0, _FIRST)


def _row(event: AuditEvent, number: int, previous: str) -> AuditRow:
    body: dict[str, Any] = {**event.body(), "number": number, "previous": previous}
    return AuditRow(
        subject=event.subject,
        event_id=f"{number:010d}",
        day=event.at[:10],
        actor=event.actor,
        at=event.at,
        digest=digest_of(event.subject, number, previous, body),
        body=body,
    )
