"""One arrived object -> its outcome: what the steps that may read the incoming bucket have in common.

Every step may be repeated, and two processes may work on the same object or the same instance at once: what is
written is either deterministic under a key of its own (the studies object) or conditional (the records).
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import IO

from firstread.arrival import Arrival
from firstread.clock import now, to_text
from firstread.correlation import correlate
from firstread.deid import IdentityVault, Rules
from firstread.deid.engine import Deidentified, write
from firstread.deid.process import IN_MEMORY_BYTES, Looked, clean_header_of
from firstread.dicom import DicomFile, Limits, facts, read
from firstread.dicom.identify import identify
from firstread.dicom.metadata import text
from firstread.dicom.reader import UnusablePixelsError
from firstread.errors import NotFoundError, QuarantineError, Reason, TransientError
from firstread.intake.arrived import Arrived, SamePixels, Work
from firstread.intake.copies import Copy, compare, correct, is_of_another, reason_of, supersedes
from firstread.intake.rejection import rejected
from firstread.receipt import Outcome, Receipt
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.refs import References
from firstread.storage import Bucket, instance_key
from firstread.study import Instance, InstanceFacts, InstanceState

_TRIES = 3
"""Writes of one instance against others who write it too; each that fails means that another one was written."""


@dataclass(frozen=True)
class Intake:
    """Takes arrived objects to their outcome.

    Parameters
    ----------
    incoming, studies
        Where objects arrive and where de-identified instances go.
    ledger, instances
        The records.
    vault, rules, references
        Pseudonyms, profile, and what stands for original identifiers.
    same_pixels
        For an instance that comes in another encoding; None where there is no codec, and another step must look.
    limits
        How far an untrusted object may go.
    """

    incoming: Bucket
    studies: Bucket
    ledger: LedgerRepository
    instances: InstanceRepository
    vault: IdentityVault
    rules: Rules
    references: References
    same_pixels: SamePixels | None = None
    limits: Limits = field(default_factory=Limits)

    def object(self, key: str, version_id: str | None, received_at: str, work: Work) -> Receipt | None:
        """Let a step work on an object that is pending.

        Parameters
        ----------
        key, version_id
            Identity of the object; where the event named no version, it is the current one (keys are never
            reused, so there is no other).
        received_at
            Time of the event, for a receipt that its door did not get to write.
        work
            Called with the pending receipt and the object, which is read under limits.

        Returns
        -------
        Receipt or None
            The settled receipt; None where the object is gone, was settled before, or goes on to another step.
        """
        try:
            with self.incoming.stored(key, version_id) as stored:
                arrival = Arrival.from_metadata(stored.metadata)
                receipt = self.ledger.open(
                    Receipt(
                        object_key=key,
                        version_id=stored.version_id,
                        received_at=to_text(datetime.fromisoformat(received_at).astimezone(UTC)),
                        size=stored.size,
                        **arrival.model_dump(),
                    )
                )
                if receipt.outcome is not Outcome.PENDING:
                    return None
                correlate(receipt.batch)
                with stored.file() as source:
                    return self._read(receipt, source, work)
        except NotFoundError:
            # Deleted since: a row that is pending stays so, which `status` and `reconcile` show.
            return None

    def _read(self, receipt: Receipt, source: IO[bytes], work: Work) -> Receipt | None:
        try:
            with read(source, self.limits) as file:
                return self._worked(receipt, file, work)
        except UnusablePixelsError as error:
            return self._held(Arrived.of(receipt, error.file, self.vault, self.references), error.reason)
        except QuarantineError as error:
            return self._unread(receipt, source, error.reason)

    def _unread(self, receipt: Receipt, source: IO[bytes], reason: Reason) -> Receipt:
        """Settle an object that nobody can read; where it says whose it is, its study shows that something is held."""
        try:
            found = identify(source, self.limits)
        except QuarantineError:
            return self._quarantined(receipt, reason)
        uids = self.vault.uids([found.study_uid, found.sop_uid])
        study_uid, sop_uid = uids[found.study_uid], uids[found.sop_uid]
        known = {
            "study_ref": self.references.study(found.study_uid),
            "sop_ref": self.references.instance(found.sop_uid),
        }
        settled = receipt.model_copy(update=known).settled(
            Outcome.QUARANTINED,
            reason=reason,
            study_uid=study_uid,
            sop_uid=sop_uid,
        )
        held = Instance(
            study_uid=study_uid,
            sop_uid=sop_uid,
            object_key=receipt.object_key,
            object_version=receipt.version_id,
            digest="",
            state=InstanceState.HELD,
            reason=reason.value,
            patient="",
            source=receipt.source,
            batch=receipt.batch,
            study_ref=known["study_ref"],
            received_at=receipt.received_at,
            stored_at=to_text(now()),
            facts=InstanceFacts(series_uid="", sop_class_uid=found.sop_class_uid),
        )
        if not self.instances.add(held, settled):
            self.ledger.settle(settled)
        return settled

    def _worked(self, receipt: Receipt, file: DicomFile, work: Work) -> Receipt | None:
        arrived = Arrived.of(receipt, file, self.vault, self.references)
        try:
            return work(arrived)
        except QuarantineError as error:
            return self._quarantined(arrived.receipt, error.reason)

    def _held(self, arrived: Arrived, reason: Reason) -> Receipt:
        try:
            return self.hold(arrived, reason)
        except QuarantineError:  # nor can the header be understood
            return self._quarantined(arrived.receipt, reason)

    def _quarantined(self, receipt: Receipt, reason: Reason) -> Receipt:
        settled = receipt.settled(Outcome.QUARANTINED, reason=reason)
        self.ledger.settle(settled)
        return settled

    def known(self, arrived: Arrived) -> Receipt | None:
        """Settle an object whose instance is recorded already and stands; None where it is to be worked on.

        Spares the work on pixels that nothing would come of.
        """
        dataset = arrived.file.dataset
        study_uid, sop_uid = text(dataset, "StudyInstanceUID"), text(dataset, "SOPInstanceUID")
        uids = self.vault.uids([study_uid, sop_uid])
        existing = self.instances.get(uids[study_uid], uids[sop_uid])
        if existing is None or existing.object_key == arrived.receipt.object_key:
            return None  # the second: the object that made it, asked for again
        if existing.state is InstanceState.DISCARDED:
            return None  # its bytes are gone: whoever sends them again brings something
        if existing.state is InstanceState.HELD and existing.digest != arrived.digest:
            return None  # perhaps better than what is held
        return self._second(arrived, existing, None)

    def pass_on(self, arrived: Arrived, looked: Looked, pixels: IO[bytes] | None = None) -> Receipt | None:
        """De-identify the header, store the instance and settle the receipt.

        Parameters
        ----------
        arrived
            As `object` gave it; its dataset is changed.
        looked
            What is known of the pixels.
        pixels
            The pixel data element that goes in place of the file's; where it is None or empty, the file's is copied
            byte for byte.

        Returns
        -------
        Receipt or None
            The settled receipt; None where a step with codecs must compare the pixels with those of an instance that
            is recorded.

        Raises
        ------
        QuarantineError
            If the header cannot be understood.
        """
        new, result = self._cleaned(arrived, looked)
        existing = self.instances.get(new.study_uid, new.sop_uid)
        if existing is None or supersedes(new, existing):
            key = instance_key(new.study_uid, new.facts.series_uid, new.sop_uid, new.digest)
            self._upload(key, arrived.file, result, pixels)
            new = new.model_copy(update={"studies_key": key})
        return self._record(arrived, new, existing)

    def hold(self, arrived: Arrived, reason: Reason) -> Receipt:
        """Record the instance without its pixels and settle the receipt as quarantined: its study shows it as held.

        Parameters
        ----------
        arrived
            As `object` gave it; its dataset is changed.
        reason
            Why nothing but the facts may be passed on.

        Raises
        ------
        QuarantineError
            If the header cannot be understood.
        """
        new, _ = self._cleaned(arrived, Looked(checked=False))
        new = new.model_copy(update={"state": InstanceState.HELD, "reason": reason.value})
        existing = self.instances.get(new.study_uid, new.sop_uid)
        settled = self._record(arrived, new, existing)
        return settled or self._quarantined(arrived.receipt, Reason.CONFLICT)

    def _cleaned(self, arrived: Arrived, looked: Looked) -> tuple[Instance, Deidentified]:
        receipt = arrived.receipt
        result = clean_header_of(arrived.file, self.vault, self.rules, looked)
        instance = Instance(
            study_uid=result.study_uid,
            sop_uid=result.sop_uid,
            object_key=receipt.object_key,
            object_version=receipt.version_id,
            digest=arrived.digest,
            core_digest=arrived.core,
            transfer_syntax_uid=str(arrived.file.transfer_syntax),
            state=InstanceState.STORED,
            patient=result.patient,
            source=receipt.source,
            batch=receipt.batch,
            study_ref=receipt.study_ref,
            order_refs=arrived.order_refs,
            rejects=rejected(result.dataset),
            received_at=receipt.received_at,
            stored_at=to_text(now()),
            facts=facts(result.dataset, arrived.timing),
        )
        return instance, result

    def _record(self, arrived: Arrived, new: Instance, existing: Instance | None) -> Receipt | None:
        outcome = Outcome.STORED if new.state is InstanceState.STORED else Outcome.QUARANTINED
        settled = arrived.receipt.settled(
            outcome, reason=new.reason, study_uid=new.study_uid, sop_uid=new.sop_uid
        ).model_copy(update={"unknown_facts": len(new.facts.unknown)})
        for _ in range(_TRIES):
            if existing is None:
                written = self.instances.add(new, settled)
            elif supersedes(new, existing):
                # What was held may be passed on after all; what is asked for again is written again.
                written = self.instances.replace(existing, new, settled)
            else:
                return self._second(arrived, existing, new)
            if written:
                return settled
            # Somebody was first: with this very object, or with another copy that this one may still supersede.
            if known := self._known(arrived.receipt):
                return known
            existing = self.instances.get(new.study_uid, new.sop_uid)
        raise TransientError("others write the same instance")

    def _known(self, receipt: Receipt) -> Receipt | None:
        """Return a receipt that another delivery of the same event has settled."""
        known = self.ledger.get(receipt.object_key, receipt.version_id)
        return known if known is not None and known.outcome is not Outcome.PENDING else None

    def _second(self, arrived: Arrived, existing: Instance, new: Instance | None) -> Receipt | None:
        """Settle an object whose instance is recorded already.

        Parameters
        ----------
        new
            The instance it would make; None where the header was not cleaned yet.
        """
        receipt = arrived.receipt
        if known := self._known(receipt):
            return known
        found = compare(existing, arrived.digest, arrived.core, str(arrived.file.transfer_syntax))
        if found is Copy.RECODED:
            if self.same_pixels is None:
                return None
            found = Copy.RECODED if self._has_same_pixels(arrived.file, existing) else Copy.CONFLICT
        if found in (Copy.CORRECTION, Copy.RECODED):
            corrected = new or self._cleaned(arrived, Looked(checked=False))[0]
            if found is Copy.CORRECTION or is_of_another(corrected, existing):
                return self._correct(arrived, existing, corrected)
        is_conflict = found is Copy.CONFLICT
        settled = receipt.settled(
            Outcome.QUARANTINED if is_conflict else Outcome.DUPLICATE,
            reason=reason_of(found, new),
            study_uid=existing.study_uid,
            sop_uid=existing.sop_uid,
        )
        self.ledger.settle(settled)
        return settled

    def _correct(self, arrived: Arrived, existing: Instance, new: Instance) -> Receipt | None:
        """Let the record say whose instance it is now; cleaning has told the vault, and the images stay as they are."""
        corrected = correct(existing, new)
        settled = arrived.receipt.settled(
            Outcome.DUPLICATE,
            reason=Copy.CORRECTION.value,
            study_uid=existing.study_uid,
            sop_uid=existing.sop_uid,
        )
        if self.instances.replace(existing, corrected, settled):
            return settled
        # Somebody was first: compare with what it is now. Left to a later try, the object would wait half an hour.
        current = self.instances.get(existing.study_uid, existing.sop_uid)
        if current is None:
            raise TransientError("the instance went")
        return self._second(arrived, current, new)

    def _has_same_pixels(self, file: DicomFile, existing: Instance) -> bool:
        """Compare with the object that made the instance; where it is gone, nobody can say that they are the same."""
        if self.same_pixels is None:
            return False
        try:
            with (
                self.incoming.stored(existing.object_key, existing.object_version) as stored,
                stored.file() as source,
                read(source, self.limits) as first,
            ):
                return self.same_pixels(file, first)
        except NotFoundError:
            return False

    def _upload(self, key: str, file: DicomFile, result: Deidentified, pixels: IO[bytes] | None) -> None:
        with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as target:
            write(result, file, target, pixels)
            target.seek(0)
            self.studies.put(key, target, "application/dicom")
