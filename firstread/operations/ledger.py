"""Count the ledger: received = stored + duplicate + quarantined + pending, for everything that is there.

No counter is kept while objects arrive: many writers of one row would wait for each other. The count is one pass over
the listing of the incoming bucket, with the receipts read along by key.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from firstread.operations.arrivals import PREFIXES
from firstread.receipt import Outcome, Receipt
from firstread.records.instances import LedgerRepository
from firstread.records.quarantine import DISCARDED
from firstread.records.sweeping import Arrivals, Span, Waiting
from firstread.storage import Inventory, Listed

Page = list[tuple[Listed, Receipt | None]]
"""Object versions, each with its receipt, where it has one."""


@dataclass(frozen=True)
class Count:
    """The ledger in numbers.

    Parameters
    ----------
    received
        Objects that arrived: those that are there, and those whose receipts say that they were.
    stored, duplicate, quarantined, pending
        Receipts by outcome.
    discarded
        Part of the quarantined that was given up.
    without_receipt
        Objects that the ledger does not know; `received` counts them, no outcome does.
    without_object
        Receipts that need attention, and whose object is gone.
    """

    received: int
    stored: int
    duplicate: int
    quarantined: int
    pending: int
    discarded: int
    without_receipt: int
    without_object: int

    @property
    def balanced(self) -> bool:
        """Whether received = stored + duplicate + quarantined + pending."""
        return self.received == self.stored + self.duplicate + self.quarantined + self.pending


@dataclass(frozen=True)
class Ledger:
    """Reads the ledger.

    Parameters
    ----------
    incoming
        The incoming bucket.
    arrivals, rows, waiting
        The records.
    """

    incoming: Inventory
    arrivals: Arrivals
    rows: LedgerRepository
    waiting: Waiting

    def pages(self) -> Iterator[Page]:
        """Yield everything that is in the incoming bucket, a thousand at a time."""
        for prefix in PREFIXES:
            for listed in self.incoming.pages(prefix):
                known = self.arrivals.receipts((each.key, each.version_id) for each in listed)
                yield [(each, known.get((each.key, each.version_id))) for each in listed]

    def count(self, started: str) -> Count:
        """Count everything; exact where nothing arrives meanwhile.

        Parameters
        ----------
        started
            The present moment (`firstread.clock` text).
        """
        outcomes: Counter[str] = Counter()
        attention: Counter[str] = Counter()
        received = without_receipt = 0
        for page in self.pages():
            received += len(page)
            without_receipt += sum(receipt is None for _, receipt in page)
            receipts = [receipt for _, receipt in page if receipt is not None]
            outcomes.update(receipt.outcome.value for receipt in receipts)
            attention.update(attention_of(receipts, started))
        gone = list(self.without_object(attention, started))
        outcomes.update(receipt.outcome.value for receipt in gone)
        discarded = max(self.waiting.count(DISCARDED), attention[DISCARDED])
        bytes_gone = discarded - attention[DISCARDED]
        return Count(
            received=received + len(gone) + bytes_gone,
            stored=outcomes[Outcome.STORED],
            duplicate=outcomes[Outcome.DUPLICATE],
            quarantined=outcomes[Outcome.QUARANTINED] + bytes_gone,
            pending=outcomes[Outcome.PENDING],
            discarded=discarded,
            without_receipt=without_receipt,
            without_object=len(gone),
        )

    def without_object(self, seen: Counter[str], started: str) -> Iterator[Receipt]:
        """Yield receipts that need attention and have no object.

        Parameters
        ----------
        seen
            How many were met with their objects, by `attention_of`; where the index has no more, none is looked for.
        started
            Only those that arrived before.
        """
        for outcome in (Outcome.PENDING, Outcome.QUARANTINED):
            if self.waiting.count(outcome, started) <= seen[outcome]:
                continue
            for receipt in self.waiting.receipts(outcome, Span(started)):
                if not self.incoming.has(receipt.object_key, receipt.version_id):
                    yield receipt

    def count_study(self, study_ref: str) -> Count:
        """Count what ever arrived of one study, by its receipts alone."""
        return count_receipts(self.rows.of_study_ref(study_ref))

    def receipts(self, outcome: Outcome) -> Iterator[Receipt]:
        """Yield the receipts of one outcome; stored ones and duplicates by a pass over the bucket."""
        if outcome in (Outcome.PENDING, Outcome.QUARANTINED):
            yield from self.waiting.receipts(outcome)
            return
        for page in self.pages():
            yield from (receipt for _, receipt in page if receipt and receipt.outcome is outcome)


def attention_of(receipts: Iterable[Receipt], before: str) -> Iterator[str]:
    """Yield where the index `by_attention` has each receipt; settled ones and later arrivals are left out."""
    for receipt in receipts:
        if receipt.discarded_at:
            yield DISCARDED
        elif receipt.outcome in (Outcome.PENDING, Outcome.QUARANTINED) and receipt.received_at <= before:
            yield receipt.outcome.value


def count_receipts(receipts: Iterable[Receipt]) -> Count:
    """Count receipts alone."""
    found = list(receipts)
    outcomes = Counter(receipt.outcome for receipt in found)
    return Count(
        received=len(found),
        stored=outcomes[Outcome.STORED],
        duplicate=outcomes[Outcome.DUPLICATE],
        quarantined=outcomes[Outcome.QUARANTINED],
        pending=outcomes[Outcome.PENDING],
        discarded=sum(bool(receipt.discarded_at) for receipt in found),
        without_receipt=0,
        without_object=0,
    )
