"""The ledger of arrived objects and the instances of studies, which change in one transaction."""

from collections.abc import Iterable

from pynamodb.exceptions import PutError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from firstread.receipt import Outcome, Receipt
from firstread.records.tables import InstanceRow, LedgerRow
from firstread.records.transactions import ConditionFailedError, commit, is_unmet_condition
from firstread.study import Instance

_ATTENTION = frozenset({Outcome.PENDING, Outcome.QUARANTINED})
# What the door knows and what became of the object are written by different programs, so they are different
# attributes: neither write can undo the other.
# A door may not have read these; whoever reads the whole object has.
_READ = frozenset({"study_ref", "sop_ref"})
_DOOR = frozenset({"source", "size", "sha256", "batch", "study_ref", "sop_ref"})
_SETTLEMENT = frozenset(
    {"reason", "settled_at", "study_uid", "sop_uid", "unknown_facts", "discarded_at", "inspected"} | _READ
)


def _ledger_row(receipt: Receipt) -> LedgerRow:
    return LedgerRow(
        object_key=receipt.object_key,
        version_id=receipt.version_id,
        received_at=receipt.received_at,
        outcome=receipt.outcome.value,
        attention=_attention(receipt.outcome),
        study_ref=receipt.study_ref or None,
        batch_object=_batch_object(receipt) if receipt.study_ref else None,
        door=receipt.model_dump(mode="json", include=set(_DOOR)),
    )


def _batch_object(receipt: Receipt) -> str:
    return f"{receipt.batch}#{receipt.object_key}"


def _attention(outcome: Outcome) -> str | None:
    # Sparse: only rows that somebody may have to act on are in the index (nothing scans a table).
    return outcome.value if outcome in _ATTENTION else None


def receipt_of(row: LedgerRow) -> Receipt:
    """Return the receipt of a row."""
    settlement = {name: value for name, value in (row.settlement or {}).items() if value or name not in _READ}
    return Receipt(
        object_key=row.object_key,
        version_id=row.version_id,
        received_at=row.received_at,
        outcome=Outcome(row.outcome),
        **{**row.door, **settlement},
    )


class LedgerRepository:
    """Receipts of everything that arrived."""

    def open(self, receipt: Receipt) -> Receipt:
        """Write a pending receipt unless one is there, and return the one that is there now."""
        try:
            _ledger_row(receipt).save(condition=LedgerRow.object_key.does_not_exist())
        except PutError as error:
            if not is_unmet_condition(error):
                raise
            found = self.get(receipt.object_key, receipt.version_id)
            return found or receipt
        return receipt

    def hand_in(self, receipt: Receipt) -> Receipt:
        """Write a door's receipt; where the event was faster, add what the door knows and keep the outcome."""
        found = self.open(receipt)
        if found.sha256 or not receipt.sha256:
            return found
        row = LedgerRow(object_key=receipt.object_key, version_id=receipt.version_id)
        actions = [
            LedgerRow.door.set(receipt.model_dump(mode="json", include=set(_DOOR))),
            LedgerRow.received_at.set(receipt.received_at),
        ]
        row.update(
            actions=actions + _indexed(receipt),
            condition=LedgerRow.object_key.exists(),
        )
        return self.get(receipt.object_key, receipt.version_id) or receipt

    def get(self, object_key: str, version_id: str) -> Receipt | None:
        """Return the receipt of one object version, or None."""
        try:
            row = LedgerRow.get(object_key, version_id, consistent_read=True)
        except LedgerRow.DoesNotExist:
            return None
        return receipt_of(row)

    def settle(self, receipt: Receipt) -> bool:
        """Write the final outcome of a pending object; return False where it was settled before."""
        try:
            commit(lambda transaction: _settle(transaction, receipt))
        except ConditionFailedError:
            return False
        return True

    def needing_attention(self, outcome: Outcome, limit: int = 1000) -> list[Receipt]:
        """Return pending or quarantined receipts, oldest first."""
        return [receipt_of(row) for row in LedgerRow.by_attention.query(outcome.value, limit=limit)]

    def of_study_ref(
        self, study_ref: str, batch: str | None = None, limit: int | None = None
    ) -> list[Receipt]:
        """Return the receipts of all that ever arrived of a study, or of one batch of it, by batch and object.

        The index may lag behind by a moment.
        """
        within = None if batch is None else LedgerRow.batch_object.startswith(f"{batch}#")
        return [receipt_of(row) for row in LedgerRow.by_study.query(study_ref, within, limit=limit)]

    def get_many(self, identities: Iterable[tuple[str, str]]) -> list[Receipt]:
        """Return the receipts of several object versions, in no particular order."""
        return [receipt_of(row) for row in LedgerRow.batch_get(list(identities), consistent_read=True)]


def _indexed(receipt: Receipt) -> list[Action]:
    """Put the receipt under its study, where it is known: a door may not have read that far."""
    if not receipt.study_ref:
        return []
    return [
        LedgerRow.study_ref.set(receipt.study_ref),
        LedgerRow.batch_object.set(_batch_object(receipt)),
    ]


def _settle(transaction: TransactWrite, receipt: Receipt) -> None:
    attention = _attention(receipt.outcome)
    actions = [
        LedgerRow.outcome.set(receipt.outcome.value),
        LedgerRow.settlement.set(receipt.model_dump(mode="json", include=set(_SETTLEMENT))),
        LedgerRow.attention.set(attention) if attention else LedgerRow.attention.remove(),
    ]
    transaction.update(
        LedgerRow(object_key=receipt.object_key, version_id=receipt.version_id),
        actions=actions + _indexed(receipt),
        condition=LedgerRow.outcome == Outcome.PENDING.value,
    )


class InstanceRepository:
    """The instances of studies."""

    def get(self, study_uid: str, sop_uid: str) -> Instance | None:
        """Return one instance, or None."""
        try:
            row = InstanceRow.get(study_uid, sop_uid, consistent_read=True)
        except InstanceRow.DoesNotExist:
            return None
        return Instance.model_validate(row.instance)

    def of_study(self, study_uid: str) -> list[Instance]:
        """Return all instances of a study, held ones included, ordered by SOP Instance UID."""
        rows = InstanceRow.query(study_uid, consistent_read=True)
        return [Instance.model_validate(row.instance) for row in rows]

    def add(self, instance: Instance, receipt: Receipt) -> bool:
        """Write a new instance and settle its receipt in one transaction.

        Parameters
        ----------
        instance
            Written only if the study has no instance of that SOP Instance UID.
        receipt
            The settled receipt; written only if the object is still pending.

        Returns
        -------
        bool
            False, with nothing written, where the instance exists or the object was settled before.
        """
        return self._write(instance, InstanceRow.sop_uid.does_not_exist(), receipt)

    def replace(self, existing: Instance, instance: Instance, receipt: Receipt) -> bool:
        """Write an instance over the one that is there and settle its receipt in one transaction.

        For a held instance that may be passed on after all, and for a correction, which changes whose it is.

        Parameters
        ----------
        existing
            As it was read; written only if content and state are still the same.
        instance, receipt
            As for `add`.

        Returns
        -------
        bool
            False, with nothing written, where somebody was first.
        """
        unchanged = (InstanceRow.digest == existing.digest) & (InstanceRow.state == existing.state.value)
        return self._write(instance, unchanged, receipt)

    def _write(self, instance: Instance, condition: Condition, receipt: Receipt) -> bool:
        row = InstanceRow(
            study_uid=instance.study_uid,
            sop_uid=instance.sop_uid,
            digest=instance.digest,
            object_key=instance.object_key,
            state=instance.state.value,
            instance=instance.model_dump(mode="json"),
        )

        def build(transaction: TransactWrite) -> None:
            transaction.save(row, condition=condition)
            _settle(transaction, receipt)

        try:
            commit(build)
        except ConditionFailedError:
            return False
        return True
