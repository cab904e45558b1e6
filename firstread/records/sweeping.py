"""What waits, by the indexes that only what waits is in: studies, messages, receipts. Oldest first, in pages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pynamodb.expressions.condition import Condition

from firstread.receipt import Outcome, Receipt
from firstread.records.instances import receipt_of
from firstread.records.outbox import UNDELIVERED
from firstread.records.studies import SHARDS
from firstread.records.tables import InstanceRow, LedgerRow, OutboxRow, StudyRow
from firstread.study import Instance

_PAGE = 100


@dataclass(frozen=True)
class Span:
    """A span of time (`firstread.clock` text): after `begin`, or from ever where it is "", and up to `end`."""

    end: str
    begin: str = ""


@dataclass(frozen=True)
class Undelivered:
    """An outbox row that nobody marked as delivered."""

    message_id: str
    kind: str
    body: str
    created_at: str


class Waiting:
    """Reads the sparse indexes. They may lag behind by a moment, so whoever acts on them must be repeatable."""

    def count_overdue(self, before: str) -> int:
        """Return how many studies should have been looked at before a moment."""
        return sum(
            StudyRow.by_due.count(shard, StudyRow.due_at < before) for shard in map(str, range(SHARDS))
        )

    def overdue(self, span: Span, limit: int) -> list[str]:
        """Return the UIDs of studies that were due within a span."""
        found: list[str] = []
        for shard in map(str, range(SHARDS)):
            due = StudyRow.due_at.between(*_bounds(span))
            rows = StudyRow.by_due.query(shard, due, limit=limit - len(found), page_size=_PAGE)
            found += [row.study_uid for row in rows if row.due_at > span.begin]
            if len(found) >= limit:
                break
        return found

    def oldest_undelivered(self) -> str:
        """Return when the oldest message that did not leave was written; "" where there is none."""
        rows = OutboxRow.by_undelivered.query(UNDELIVERED, limit=1)
        return next((str(row.created_at) for row in rows), "")

    def undelivered(self, span: Span, limit: int | None) -> Iterator[Undelivered]:
        """Yield messages that were written within a span and did not leave."""
        within = OutboxRow.created_at.between(*_bounds(span))
        for row in OutboxRow.by_undelivered.query(UNDELIVERED, within, limit=limit, page_size=_PAGE):
            if row.created_at > span.begin:
                yield Undelivered(row.message_id, row.kind, row.body, row.created_at)

    def oldest(self, outcome: Outcome) -> Receipt | None:
        """Return the oldest receipt that needs attention."""
        rows = LedgerRow.by_attention.query(outcome.value, limit=1)
        return next((receipt_of(row) for row in rows), None)

    def receipts(
        self, attention: Outcome | str, span: Span | None = None, limit: int | None = None
    ) -> Iterator[Receipt]:
        """Yield receipts that need attention, oldest first, however many there are.

        Parameters
        ----------
        attention
            ``pending``, ``quarantined`` or `DISCARDED`.
        span
            Only those that arrived within it.
        limit
            So many at most.
        """
        within: Condition | None = LedgerRow.received_at.between(*_bounds(span)) if span else None
        for row in LedgerRow.by_attention.query(str(attention), within, limit=limit, page_size=_PAGE):
            if span is None or row.received_at > span.begin:
                yield receipt_of(row)

    def count(self, attention: Outcome | str, before: str = "") -> int:
        """Return how many receipts need attention, of those that arrived up to a moment; every page is counted."""
        within = LedgerRow.received_at <= before if before else None
        return LedgerRow.by_attention.count(str(attention), within)


def _bounds(span: Span) -> tuple[str, str]:
    return span.begin or "0", span.end


class Arrivals:
    """Receipts and instances by many keys at once."""

    def receipts(self, identities: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Receipt]:
        """Return the receipts of object versions; those without one are left out."""
        rows = LedgerRow.batch_get(list(identities), consistent_read=True)
        return {(row.object_key, row.version_id): receipt_of(row) for row in rows}

    def instances(self, identities: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Instance]:
        """Return instances by study and SOP Instance UID; those that are not there are left out."""
        rows = InstanceRow.batch_get(list(set(identities)), consistent_read=True)
        found = (Instance.model_validate(row.instance) for row in rows)
        return {(instance.study_uid, instance.sop_uid): instance for instance in found}
