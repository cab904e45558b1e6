"""The audit trail as its page shows it."""

from collections.abc import Iterator
from itertools import islice

from firstread.audit.chain import verify
from firstread.audit.export import ndjson
from firstread.audit.search import Query, find, page
from firstread.records.audit import AuditTrail, Entry
from portal.logic.worklist import View

MOST_LINES = 100_000
"""Events of one download; a day of a hospital is less."""


class EventView(View):
    """One event."""

    at: str
    actor: str
    role: str
    action: str
    subject: str
    number: int
    digest: str
    details: tuple[tuple[str, str], ...]


class ChainView(View):
    """What verifying the chain of a subject said just now; `fault` is "" where it is whole."""

    subject: str
    count: int
    broken_at: int
    fault: str


class AuditView(View):
    """What was found, newest first.

    Parameters
    ----------
    following
        What to ask for to go on; "" where that was all.
    chain
        Of the subject that was asked for, if one was; with the first page only.
    """

    events: tuple[EventView, ...]
    following: str
    chain: ChainView | None


def read_audit(trail: AuditTrail, query: Query, following: str, most: int) -> AuditView:
    """Return a page of events.

    Raises
    ------
    NothingAskedError
        If neither subject nor actor nor day is given.
    """
    found = page(trail, query, following, most)
    return AuditView(
        events=tuple(map(_event, found.entries)),
        following=found.following,
        chain=_chain(trail, query.about) if query.subject and not following else None,
    )


def lines(trail: AuditTrail, query: Query) -> Iterator[bytes]:
    """Yield what is found as NDJSON of FHIR AuditEvents, newest first.

    Raises
    ------
    NothingAskedError
        If neither subject nor actor nor day is given.
    """
    return ndjson(islice(filter(query.holds, find(trail, query)), MOST_LINES))


def _event(entry: Entry) -> EventView:
    return EventView(
        at=entry.at,
        actor=entry.actor,
        role=entry.role,
        action=entry.action,
        subject=entry.subject,
        number=entry.number,
        digest=entry.digest,
        details=tuple((name, str(value)) for name, value in sorted(entry.details.items())),
    )


def _chain(trail: AuditTrail, subject: str) -> ChainView:
    verdict = verify(subject, trail.entries(subject))
    fault = verdict.fault.value if verdict.fault else ""
    return ChainView(subject=subject, count=verdict.count, broken_at=verdict.broken_at, fault=fault)
