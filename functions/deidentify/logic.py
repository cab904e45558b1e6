"""One arrived object -> a de-identified instance, a duplicate, or a quarantine with its reason.

Every step may be repeated, and two processes may work on the same object or the same instance at once: what is
written is either deterministic under a key of its own (the studies object) or conditional (the records).
"""

from collections.abc import Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import IO

from firstread.clock import from_text, now, to_text
from firstread.deid import IdentityVault, Rules, gate
from firstread.deid.engine import Deidentified, clean_header, write
from firstread.dicom import DicomFile, Limits, Timing, facts, read
from firstread.errors import NotFoundError, QuarantineError, Reason, TransientError
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.storage import Bucket, instance_key
from firstread.study import Instance, InstanceState, Outcome, Receipt

_IN_MEMORY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Deidentify:
    """The step `deidentify`.

    Parameters
    ----------
    incoming, studies
        Where objects arrive and where de-identified instances go.
    ledger, instances
        The records.
    vault, rules
        Pseudonyms and profile.
    inspected
        Digests that pass the burned-in gate.
    limits
        How far an untrusted object may go.
    """

    incoming: Bucket
    studies: Bucket
    ledger: LedgerRepository
    instances: InstanceRepository
    vault: IdentityVault
    rules: Rules
    inspected: Set[str]
    limits: Limits = field(default_factory=Limits)

    def object(self, key: str, version_id: str | None, received_at: str) -> Receipt | None:
        """Take one object to its outcome.

        Parameters
        ----------
        key, version_id
            Identity of the object; where the event named no version, it is the current one (keys are never
            reused, so there is no other).
        received_at
            Time of the event, for a receipt that its door did not get to write.

        Returns
        -------
        Receipt or None
            The settled receipt; None where the object is gone or was settled before.
        """
        if version_id is None:
            try:
                version_id = self.incoming.version_of(key)
            except NotFoundError:
                return None
        receipt = self.ledger.open(
            Receipt(
                object_key=key,
                version_id=version_id,
                source="event",
                received_at=to_text(datetime.fromisoformat(received_at).astimezone(UTC)),
            )
        )
        if receipt.outcome is not Outcome.PENDING:
            return None
        try:
            with self.incoming.open(key, version_id) as source:
                return self._settle(receipt, source)
        except NotFoundError:
            # Deleted since: the row stays pending, which `status` shows; there is nothing to work on.
            return None

    def _settle(self, receipt: Receipt, source: IO[bytes]) -> Receipt:
        try:
            with read(source, self.limits) as file:
                return self._pass_on(receipt, file)
        except QuarantineError as error:
            settled = _settled(receipt, Outcome.QUARANTINED, reason=error.reason)
            self.ledger.settle(settled)
            return settled

    def _pass_on(self, receipt: Receipt, file: DicomFile) -> Receipt:
        plain_digest = file.digest()
        look = gate.look(file, plain_digest, self.inspected)
        held = Reason.MAY_CONTAIN_BURNED_IN_TEXT if look is gate.Look.DETECTOR else None
        # Before the dates are shifted, and before cleaning changes the dataset in place.
        timing = Timing.of(file.dataset, received=from_text(receipt.received_at).date())
        result = clean_header(file, self.vault, self.rules)
        instance = Instance(
            study_uid=result.study_uid,
            sop_uid=result.sop_uid,
            object_key=receipt.object_key,
            object_version=receipt.version_id,
            digest=self.vault.keyed_digest(plain_digest),
            state=InstanceState.HELD if held else InstanceState.STORED,
            reason=held.value if held else "",
            patient=result.patient,
            received_at=receipt.received_at,
            stored_at=to_text(now()),
            facts=facts(result.dataset, timing),
        )
        return self._record(receipt, instance, file, result)

    def _record(self, receipt: Receipt, new: Instance, file: DicomFile, result: Deidentified) -> Receipt:
        existing = self.instances.get(new.study_uid, new.sop_uid)
        if existing is None and new.state is InstanceState.STORED:
            key = instance_key(new.study_uid, new.facts.series_uid, new.sop_uid, new.digest)
            self._upload(key, file, result)
            new = new.model_copy(update={"studies_key": key})
        if existing is None:
            outcome = Outcome.STORED if new.state is InstanceState.STORED else Outcome.QUARANTINED
            settled = _settled(receipt, outcome, reason=new.reason, instance=new)
            if self.instances.add(new, settled):
                return settled
            existing = self.instances.get(new.study_uid, new.sop_uid)
        return self._second(receipt, new, existing)

    def _second(self, receipt: Receipt, new: Instance, existing: Instance | None) -> Receipt:
        """Settle an object whose instance somebody else has recorded."""
        if existing is None:
            raise TransientError("the instance appeared and went")
        if existing.object_key == receipt.object_key:
            # Ours, by another delivery of the same event; it settled the receipt in the same transaction.
            return self.ledger.get(receipt.object_key, receipt.version_id) or receipt
        if existing.digest == new.digest:
            settled = _settled(receipt, Outcome.DUPLICATE, instance=new)
        else:
            settled = _settled(receipt, Outcome.QUARANTINED, reason=Reason.CONFLICT, instance=new)
        self.ledger.settle(settled)
        return settled

    def _upload(self, key: str, file: DicomFile, result: Deidentified) -> None:
        with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as target:
            write(result, file, target)
            target.seek(0)
            self.studies.put(key, target, "application/dicom")


def _settled(
    receipt: Receipt, outcome: Outcome, *, reason: str = "", instance: Instance | None = None
) -> Receipt:
    return receipt.model_copy(
        update={
            "outcome": outcome,
            "reason": str(reason),
            "settled_at": to_text(now()),
            "study_uid": instance.study_uid if instance else "",
            "sop_uid": instance.sop_uid if instance else "",
        }
    )
