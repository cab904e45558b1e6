"""Decide about what lies in quarantine: try it again, or give it up."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from firstread.errors import FirstReadError, NotFoundError
from firstread.operations.arrivals import Arrived, Lanes
from firstread.operations.operator import Operator
from firstread.policy import Action
from firstread.receipt import Outcome, Receipt
from firstread.records.audit import AuditTrail, Detail, audited
from firstread.records.quarantine import DISCARDED, QuarantineRepository
from firstread.records.sweeping import Waiting
from firstread.storage import Inventory


class Because(StrEnum):
    """Why somebody decided so. A choice and no free text, which could name a patient."""

    FIXED = "fixed"
    INSPECTED = "inspected"
    SENT_AGAIN = "sent_again"
    UNUSABLE = "unusable"
    NOT_FOR_US = "not_for_us"
    TEST_DATA = "test_data"


class CannotError(FirstReadError):
    """What was asked for cannot be done to this object; the text says why."""


def subject(object_key: str) -> str:
    """Return the subject of audit events about an object."""
    return f"object#{object_key}"


@dataclass(frozen=True)
class Quarantine:
    """What an operator may do.

    Parameters
    ----------
    operator
        Who.
    receipts, waiting, trail
        The records.
    incoming
        The incoming bucket.
    lanes
        Queues of arrived objects.
    """

    operator: Operator
    receipts: QuarantineRepository
    waiting: Waiting
    trail: AuditTrail
    incoming: Inventory
    lanes: Lanes

    def held(self, reason: str = "", *, discarded: bool = False) -> Iterator[Receipt]:
        """Yield what lies in quarantine, oldest first; with a reason, only that; or what was given up."""
        self.operator.must(Action.QUARANTINE_VIEW)
        found = self.waiting.receipts(DISCARDED if discarded else Outcome.QUARANTINED)
        return (receipt for receipt in found if reason in ("", receipt.reason))

    def show(self, object_key: str) -> tuple[Receipt, list[dict[str, Detail]]]:
        """Return the receipt of an object, and what operators did to it.

        Raises
        ------
        NotFoundError
            If nothing arrived under this key.
        """
        self.operator.must(Action.QUARANTINE_VIEW)
        return self._receipt(object_key), self.trail.of(subject(object_key))

    def release(self, object_key: str, because: Because, *, inspected: bool = False) -> Receipt:
        """Try a quarantined object again.

        Its receipt becomes pending, then its event is sent. Who dies between the two asks again: for what is pending,
        the event is sent once more.

        Parameters
        ----------
        object_key
            The object.
        because
            Why.
        inspected
            The operator has looked at the pixels and vouches that they carry no text.

        Raises
        ------
        NotFoundError, CannotError
            If there is no such object, or it is not in quarantine, or its bytes are gone.
        """
        self.operator.must(Action.QUARANTINE_RELEASE)
        receipt = self._receipt(object_key)
        if receipt.outcome is not Outcome.PENDING:
            self._must_be_held(receipt)
            if not self.incoming.has(receipt.object_key, receipt.version_id):
                raise CannotError("the bytes of this object are gone; it can only be discarded")
            event = self.operator.event(
                subject(object_key),
                Action.QUARANTINE_RELEASE.value,
                because=because.value,
                inspected=inspected,
                quarantine_reason=receipt.reason,
            )
            if not self.receipts.release(receipt, inspected, audited(event)):
                raise CannotError("somebody else has just decided about this object")
        self.lanes.again([Arrived.of(receipt)])
        return self._receipt(object_key)

    def discard(self, object_key: str, because: Because) -> Receipt:
        """Give a quarantined object up: its receipt stays, its bytes go, the instance it holds leaves its study.

        Who dies before the bytes are deleted asks again; `Reconcile` finds them as well.

        Raises
        ------
        NotFoundError, CannotError
            If there is no such object, or it is not in quarantine.
        """
        self.operator.must(Action.QUARANTINE_DISCARD)
        receipt = self._receipt(object_key)
        if not receipt.discarded_at:
            self._must_be_held(receipt)
            event = self.operator.event(
                subject(object_key),
                Action.QUARANTINE_DISCARD.value,
                because=because.value,
                quarantine_reason=receipt.reason,
            )
            if not self.receipts.discard(receipt, self.operator.now(), audited(event)):
                raise CannotError("somebody else has just decided about this object, or about its instance")
        self.incoming.delete(receipt.object_key, receipt.version_id)
        return self._receipt(object_key)

    def _receipt(self, object_key: str) -> Receipt:
        found = self.receipts.get(object_key)
        if found is None:
            raise NotFoundError("no object has arrived under this key")
        return found

    @staticmethod
    def _must_be_held(receipt: Receipt) -> None:
        if receipt.discarded_at:
            raise CannotError("this object was discarded; its bytes are gone")
        if receipt.outcome is not Outcome.QUARANTINED:
            raise CannotError(f"this object is not in quarantine; it is {receipt.outcome.value}")
