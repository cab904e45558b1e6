"""The audit trail: who did what to which subject, each event chained to the one before it on the same subject."""

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from pynamodb.pagination import ResultIterator
from pynamodb.transactions import TransactWrite

from firstread.errors import TransientError
from firstread.records.tables import AuditRow
from firstread.records.transactions import Addition, ConditionFailedError, commit

Detail = str | int | bool
_Done = TypeVar("_Done")
_TRIES = 16
_MOST = 999_999_999  # numbers begin with 0, whatever else has ever been in the table does not
FIRST = "0" * 64
"""What the first event of a subject names as the one before it."""


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


class Place(NamedTuple):
    """Where an event is among others, to go on behind it."""

    at: str
    subject: str
    number: int


@dataclass(frozen=True)
class Entry:
    """An event as it is written down.

    Parameters
    ----------
    subject, number
        Its key: the number of the event on its subject, 1 first.
    digest
        Its own, which the next event names.
    body
        Everything that the digest is over, besides subject and number.
    listed
        Day, actor and time as the indexes have them; they repeat the body.
    """

    subject: str
    number: int
    digest: str
    body: Mapping[str, Detail]
    listed: tuple[str, str, str]

    @property
    def at(self) -> str:
        """Return when it happened (`firstread.clock` text)."""
        return self._said("at")

    @property
    def actor(self) -> str:
        """Return who did it."""
        return self._said("actor")

    @property
    def role(self) -> str:
        """Return as what."""
        return self._said("role")

    @property
    def action(self) -> str:
        """Return what was done."""
        return self._said("action")

    @property
    def previous(self) -> str:
        """Return the digest of the event before it on the same subject."""
        return self._said("previous")

    @property
    def place(self) -> Place:
        """Return where it is."""
        return Place(self.at, self.subject, self.number)

    @property
    def details(self) -> dict[str, Detail]:
        """Return what else is to be known."""
        return {name: value for name, value in self.body.items() if name not in _SAID}

    def _said(self, name: str) -> str:
        return str(self.body.get(name, ""))


_SAID = frozenset({"action", "actor", "role", "at", "number", "previous"})


def digest_of(subject: str, number: int, previous: str, body: Mapping[str, object]) -> str:
    """Return the digest that the next event of the subject names: SHA-256 over everything that was written down."""
    said = {"subject": subject, "number": number, "previous": previous, "body": dict(body)}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class _Link:
    """The write of an event, chained to the last one on its subject each time that a transaction is built.

    Attributes
    ----------
    number
        Which number it was last built as; 0 before.
    """

    def __init__(self, event: AuditEvent) -> None:
        self._event = event
        self.number = 0

    def __call__(self, transaction: TransactWrite) -> None:
        last, previous = _tail(self._event.subject)
        self.number = last + 1
        row = _row(self._event, self.number, previous)
        transaction.save(row, condition=AuditRow.event_id.does_not_exist())


def audited(event: AuditEvent) -> Addition:
    """Return the write of an audit event, for the transaction of what it is about.

    It is chained to the last event on the subject each time that the transaction is built; where another event was
    faster, the transaction's condition is not met. `AuditTrail.write_with` tries again then.
    """
    return _Link(event)


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
        link = _Link(event)
        for attempt in range(_TRIES):
            link.number = 0
            try:
                return act(link)
            except ConditionFailedError:
                if not 0 < link.number <= _tail(event.subject)[0]:
                    raise  # nobody has taken its number
            time.sleep(random.uniform(0.0, 0.005 * 2 ** min(attempt, 6)))  # noqa: S311 - jitter, not a secret
        raise TransientError("others kept writing about the same subject")

    def record(self, event: AuditEvent) -> None:
        """Write an event by itself: what is about to be done to more than one transaction holds, or was looked at."""
        self.write_with(event, commit)

    def of(self, subject: str) -> list[dict[str, Detail]]:
        """Return the events about a subject, oldest first."""
        return [dict(entry.body) for entry in self.entries(subject)]

    def entries(self, subject: str, first: int = 1, last: int = _MOST) -> Iterator[Entry]:
        """Yield what is written down about a subject, oldest first.

        Parameters
        ----------
        subject
            The subject.
        first, last
            Numbers of the first and the last event that is asked for.
        """
        numbers = AuditRow.event_id.between(_event_id(first), _event_id(last))
        yield from map(_entry, AuditRow.query(subject, numbers, consistent_read=True))

    def newest(self, subject: str, before: Place | None = None) -> Iterator[Entry]:
        """Yield what is written down about a subject, newest first; those behind a place, where one is given."""
        last = _MOST if before is None else before.number - 1
        numbers = AuditRow.event_id.between(_event_id(1), _event_id(max(1, last)))
        if last:
            yield from map(
                _entry, AuditRow.query(subject, numbers, consistent_read=True, scan_index_forward=False)
            )

    def of_day(self, day: str, before: Place | None = None, *, oldest_first: bool = False) -> Iterator[Entry]:
        """Yield the events of a day (UTC), newest first; those behind a place, where one is given.

        From an index, which is some moments late.
        """
        start = {"day": {"S": day}, **_key(before)} if before else None
        rows = AuditRow.by_day.query(day, last_evaluated_key=start, scan_index_forward=oldest_first)
        yield from _known(rows)

    def by(self, actor: str, day: str = "", before: Place | None = None) -> Iterator[Entry]:
        """Yield what somebody did, on a day or ever, newest first; those behind a place, where one is given.

        From an index, which is some moments late.
        """
        start = {"actor": {"S": actor}, **_key(before)} if before else None
        rows = AuditRow.by_actor.query(
            actor,
            AuditRow.at.startswith(day) if day else None,
            last_evaluated_key=start,
            scan_index_forward=False,
        )
        yield from _known(rows)


class VaultAudit:
    """Where the identity vault writes down who asked it what (`firstread.deid.vault.audit.AuditSink`)."""

    def record(self, event: Mapping[str, str | bool]) -> None:
        """Append an event about the identity vault.

        Whose a study is, is looked up as part of reading it, so that is an event of the study.
        """
        said = dict(event)
        kind = "study" if "patient" in said else "identity"
        AuditTrail().record(
            AuditEvent(
                subject=f"{kind}#{said.pop('subject')}",
                action=str(said.pop("action")),
                actor=str(said.pop("actor")),
                role=str(said.pop("role")),
                at=str(said.pop("at")),
                details=said,
            )
        )


def _tail(subject: str) -> tuple[int, str]:
    """Return number and digest of the last event on a subject."""
    numbers = AuditRow.event_id.between(_event_id(1), _event_id(_MOST))
    rows = AuditRow.query(subject, numbers, consistent_read=True, scan_index_forward=False, limit=1)
    last = next(iter(rows), None)
    return (int(last.event_id), str(last.digest)) if last is not None else (0, FIRST)


def _row(event: AuditEvent, number: int, previous: str) -> AuditRow:
    body: dict[str, Any] = {**event.body(), "number": number, "previous": previous}
    return AuditRow(
        subject=event.subject,
        event_id=_event_id(number),
        day=event.at[:10],
        actor=event.actor,
        at=event.at,
        digest=digest_of(event.subject, number, previous, body),
        body=body,
    )


def _event_id(number: int) -> str:
    return f"{number:010d}"


def _entry(row: AuditRow) -> Entry:
    return Entry(
        subject=row.subject,
        number=int(row.event_id),
        digest=row.digest or "",
        body=dict(row.body),
        listed=(row.day or "", row.actor or "", row.at or ""),
    )


def _known(rows: ResultIterator[AuditRow]) -> Iterator[Entry]:
    return (_entry(row) for row in rows if row.event_id.isdecimal())


def _key(place: Place) -> dict[str, dict[str, str]]:
    """Return the key of an event as far as the indexes agree."""
    return {
        "at": {"S": place.at},
        "subject": {"S": place.subject},
        "event_id": {"S": _event_id(place.number)},
    }
