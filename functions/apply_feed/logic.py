"""One message of a feed -> what it says of patients and orders, and the outcome of its object.

Messages come twice, late and in the wrong order. Everything here may be repeated: facts of orders are kept with the
time they were said at, a merge that was made is not made again, and what follows from a write is sent whether or not
the write changed anything, since a process may have died between the two.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from firstread.arrival import Arrival
from firstread.clock import now, to_text
from firstread.correlation import correlate
from firstread.deid.vault.aliases import PatientKey
from firstread.deid.vault.errors import MergeError
from firstread.deid.vault.steward import VaultSteward
from firstread.errors import NotFoundError, QuarantineError, Reason
from firstread.feeds import (
    FeedError,
    FeedMessage,
    OrderFacts,
    OrderMessage,
    PatientIdentifier,
    PatientMerge,
    ReportFacts,
    ReportMessage,
    parse,
)
from firstread.feeds.er7 import MAX_BYTES
from firstread.messages import QuietTimer
from firstread.order import Order
from firstread.queues import Queue
from firstread.receipt import Outcome, Receipt
from firstread.records.instances import LedgerRepository
from firstread.records.orders import OrderRepository
from firstread.refs import References
from firstread.storage import Bucket

ANY = "*"
"""Stands in `ApplyFeed.issuers` for every authority that is not named."""
_SAID = ("priority", "patient_class", "location", "status")


@dataclass(frozen=True)
class ApplyFeed:
    """The step `apply_feed`.

    Parameters
    ----------
    incoming
        Where messages arrive.
    ledger, orders
        The records.
    steward
        Merges patients, as the feed.
    references
        Under which orders are known.
    studies
        Queue of studies to be looked at again.
    issuers
        Assigning authority (PID-3.4) -> Issuer of Patient ID (0010,0021) as the site's DICOM objects carry it.
    clock
        The present moment.
    """

    incoming: Bucket
    ledger: LedgerRepository
    orders: OrderRepository
    steward: VaultSteward
    references: References
    studies: Queue
    issuers: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], datetime] = now

    def object(self, key: str, version_id: str | None, received_at: str) -> Receipt | None:
        """Apply the message of one object.

        Parameters
        ----------
        key, version_id
            Identity of the object; without a version, the one that is there.
        received_at
            Time of the event, for a receipt that its door did not get to write.

        Returns
        -------
        Receipt or None
            The settled receipt; None where the object is gone or was settled before.
        """
        try:
            with self.incoming.stored(key, version_id) as found:
                data = found.body.read(MAX_BYTES + 1)
        except NotFoundError:
            return None
        arrival = Arrival.from_metadata(found.metadata)
        digest = hashlib.sha256(data).hexdigest()
        receipt = self.ledger.open(
            Receipt(
                object_key=key,
                version_id=found.version_id,
                source=arrival.source,
                batch=arrival.batch,
                sha256=digest,
                size=len(data),
                received_at=to_text(datetime.fromisoformat(received_at).astimezone(UTC)),
            )
        )
        if receipt.outcome is not Outcome.PENDING:
            return None
        correlate(receipt.batch)
        try:
            settled = self._settled(receipt, self._message(receipt, parse(data), digest))
        except QuarantineError as error:
            settled = self._settled(receipt, Outcome.QUARANTINED, error.reason)
        self.ledger.settle(settled)
        return settled

    def _settled(self, receipt: Receipt, outcome: Outcome, reason: Reason | None = None) -> Receipt:
        return receipt.model_copy(
            update={
                "outcome": outcome,
                "reason": reason.value if reason else "",
                "settled_at": to_text(self.clock()),
            }
        )

    def _message(self, receipt: Receipt, message: FeedMessage, digest: str) -> Outcome:
        changed = self._applied(receipt, message)
        same = self.orders.first(self.references.message(digest), receipt.object_key)
        name = f"{receipt.source}\0{message.control_id}" if message.control_id else digest
        first = self.orders.first(self.references.message(name), receipt.object_key)
        # A control ID that is used again for something new is no repetition.
        return Outcome.STORED if same and (first or changed) else Outcome.DUPLICATE

    def _applied(self, receipt: Receipt, message: FeedMessage) -> bool:
        """Do what a message says; tell whether that changed anything."""
        if isinstance(message, PatientMerge):
            return sum(self._merge(patient, into) for patient, into in message.merges) > 0
        at = message.sent_at or receipt.received_at
        told: dict[str, list[Order]] = {}
        if isinstance(message, OrderMessage):
            for each in message.orders:
                for number in each.numbers.all:
                    told.setdefault(number, []).append(_order(each, at))
        elif isinstance(message, ReportMessage):
            for report in message.reports:
                for number in _reported(report):
                    told.setdefault(number, []).append(_report(report, at))
        return sum(self._order(number, news, receipt.batch) for number, news in told.items()) > 0

    def _merge(self, patient: PatientIdentifier, into: PatientIdentifier) -> bool:
        try:
            return self.steward.merge_once(self._key(patient), self._key(into))
        except MergeError:
            raise FeedError(Reason.FEED_CONTRADICTS) from None

    def _key(self, patient: PatientIdentifier) -> PatientKey:
        authority = patient.authority
        return PatientKey(self.issuers.get(authority, self.issuers.get(ANY, authority)), patient.patient_id)

    def _order(self, number: str, news: list[Order], correlation_id: str) -> bool:
        reference = self.references.order(number)
        changed = sum(self.orders.put(reference, each) for each in news) > 0
        for study_uid in self.orders.studies(reference):
            # No arrival: looked at now, whenever the last image came.
            self.studies.send(QuietTimer(study_uid=study_uid, last_arrival="", correlation_id=correlation_id))
        return changed


def _order(facts: OrderFacts, at: str) -> Order:
    said = {name: value for name in _SAID if (value := getattr(facts, name)) is not None}
    return Order(updated_at=at, **said)


def _report(facts: ReportFacts, at: str) -> Order:
    return Order(updated_at=at, read_elsewhere_at=at if facts.final else "")


def _reported(facts: ReportFacts) -> tuple[str, ...]:
    """Return the numbers that a report may be recorded under.

    The placer's only where there is no other: a placer counts for itself, and a number of its own that is somebody's
    accession number by chance would call a study read that nobody has read.
    """
    numbers = facts.numbers
    return tuple(dict.fromkeys(each for each in (numbers.accession, numbers.filler) if each)) or (
        numbers.placer,
    )
