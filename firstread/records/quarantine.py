"""The ways back of a settled object: released from quarantine, given up, or taken through the pipeline once more."""

from collections.abc import Sequence
from typing import Any

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from firstread.receipt import Outcome, Receipt
from firstread.records.instances import receipt_of
from firstread.records.tables import InstanceRow, LedgerRow
from firstread.records.transactions import Addition, ConditionFailedError, commit
from firstread.study import Instance, InstanceState

DISCARDED = "discarded"
"""Where the index `by_attention` keeps objects that were given up: nobody has to act, but the ledger counts them."""


class QuarantineRepository:
    """Changes of settled receipts.

    Each is one transaction, on the condition that the receipt is as it was read: of two operators who decide about
    the same object, one is refused.
    """

    def get(self, object_key: str) -> Receipt | None:
        """Return the receipt of an object by its key alone, which is never used twice; None where there is none."""
        rows = LedgerRow.query(object_key, consistent_read=True, limit=1)
        return next((receipt_of(row) for row in rows), None)

    def release(self, receipt: Receipt, inspected: bool, event: Addition) -> bool:
        """Make a quarantined object pending again.

        Parameters
        ----------
        receipt
            As it was read.
        inspected
            Somebody has looked at the pixels and vouches that they carry no text.
        event
            The audit event.

        Returns
        -------
        bool
            False, with nothing written, where the receipt is not that any more.
        """
        if receipt.outcome is not Outcome.QUARANTINED or receipt.discarded_at:
            return False
        return _change(receipt, {"inspected": inspected}, Outcome.PENDING, [event])

    def discard(self, receipt: Receipt, at: str, event: Addition) -> bool:
        """Give a quarantined object up, and with it the instance that it holds; its bytes are the caller's to delete.

        Parameters
        ----------
        receipt
            As it was read.
        at
            The moment (`firstread.clock` text).
        event
            The audit event.

        Returns
        -------
        bool
            False, with nothing written, where the receipt or the instance is not that any more.
        """
        if receipt.outcome is not Outcome.QUARANTINED or receipt.discarded_at:
            return False
        held = _held(receipt)
        also = [_changed(held, state=InstanceState.DISCARDED)] if held is not None else []
        return _change(receipt, {"discarded_at": at}, Outcome.QUARANTINED, [event, *also])

    def reopen(self, receipt: Receipt, instance: Instance | None, reason: str, event: Addition) -> bool:
        """Make a stored object or a duplicate pending again, as what it became is gone.

        Parameters
        ----------
        receipt
            As it was read.
        instance
            The instance whose object is gone from the studies bucket; held from now on, until it is stored again.
            None where the instance itself is gone.
        reason
            Why the instance is held.
        event
            The audit event.

        Returns
        -------
        bool
            False, with nothing written, where the receipt or the instance is not that any more.
        """
        if receipt.outcome not in (Outcome.STORED, Outcome.DUPLICATE):
            return False
        also = []
        if instance is not None:
            also = [_changed(instance, state=InstanceState.HELD, reason=reason, studies_key="")]
        return _change(receipt, {"inspected": receipt.inspected}, Outcome.PENDING, [event, *also])


def _change(
    receipt: Receipt, settlement: dict[str, Any], outcome: Outcome, additions: Sequence[Addition]
) -> bool:
    """Write a new settlement over the one that was read; what goes back to pending keeps nothing of the old one."""
    try:
        row = LedgerRow.get(receipt.object_key, receipt.version_id, consistent_read=True)
    except LedgerRow.DoesNotExist:
        return False
    if receipt_of(row) != receipt:
        return False
    pending = outcome is Outcome.PENDING
    actions: list[Action] = [
        LedgerRow.outcome.set(outcome.value),
        LedgerRow.settlement.set(settlement if pending else {**row.settlement, **settlement}),
        LedgerRow.attention.set(outcome.value if pending else DISCARDED),
    ]
    unchanged = (LedgerRow.outcome == row.outcome) & (LedgerRow.settlement == row.settlement)

    def build(transaction: TransactWrite) -> None:
        transaction.update(
            LedgerRow(object_key=receipt.object_key, version_id=receipt.version_id),
            actions=actions,
            condition=unchanged,
        )
        for addition in additions:
            addition(transaction)

    try:
        commit(build)
    except ConditionFailedError:
        return False
    return True


def _held(receipt: Receipt) -> Instance | None:
    """Return the instance that is held because of this object; in a conflict, another object made it."""
    if not receipt.sop_uid:
        return None
    try:
        row = InstanceRow.get(receipt.study_uid, receipt.sop_uid, consistent_read=True)
    except InstanceRow.DoesNotExist:
        return None
    found = Instance.model_validate(row.instance)
    same = (found.object_key, found.object_version) == (receipt.object_key, receipt.version_id)
    return found if same and found.state is InstanceState.HELD else None


def _changed(instance: Instance, **values: object) -> Addition:
    """Return the write of other values into an instance, where it is as it was read."""
    after = instance.model_copy(update=values)

    def write(transaction: TransactWrite) -> None:
        transaction.update(
            InstanceRow(study_uid=instance.study_uid, sop_uid=instance.sop_uid),
            actions=[
                InstanceRow.state.set(after.state.value),
                InstanceRow.instance.set(after.model_dump(mode="json")),
            ],
            condition=(InstanceRow.state == instance.state.value)
            & (InstanceRow.digest == instance.digest)
            & (InstanceRow.object_key == instance.object_key),
        )

    return write
