"""One arrived object -> its outcome: what the steps that may read the incoming bucket have in common.

Every step may be repeated, and two processes may work on the same object or the same instance at once: what is
written is either deterministic under a key of its own (the studies object) or conditional (the records).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from firstread.clock import from_text, now, to_text
from firstread.deid import IdentityVault, Profile, Rules, rules
from firstread.deid.engine import Deidentified, write
from firstread.deid.process import IN_MEMORY_BYTES, Looked, clean_header_of
from firstread.deid.vault.keys import master_key_from_file
from firstread.deid.vault.sqlite import SqliteVaultStore
from firstread.dicom import DicomFile, Limits, Timing, facts, read
from firstread.dicom.metadata import text
from firstread.environment import (
    IncomingSettings,
    InstancesSettings,
    LedgerSettings,
    StudiesBucketSettings,
    VaultSettings,
)
from firstread.errors import NotFoundError, QuarantineError, Reason, TransientError
from firstread.records import tables
from firstread.records.instances import InstanceRepository, LedgerRepository
from firstread.records.vault_store import DynamoVaultStore
from firstread.storage import Bucket, instance_key
from firstread.study import Instance, InstanceState, Outcome, Receipt

"""How much of an object is kept in memory before it is kept on disk."""


Work = Callable[[Receipt, DicomFile], Receipt | None]
"""What a step does with an object that was read; None where it leaves the object to another step."""


@dataclass(frozen=True)
class Intake:
    """Takes arrived objects to their outcome.

    Parameters
    ----------
    incoming, studies
        Where objects arrive and where de-identified instances go.
    ledger, instances
        The records.
    vault, rules
        Pseudonyms and profile.
    limits
        How far an untrusted object may go.
    """

    incoming: Bucket
    studies: Bucket
    ledger: LedgerRepository
    instances: InstanceRepository
    vault: IdentityVault
    rules: Rules
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
                return self._read(receipt, source, work)
        except NotFoundError:
            # Deleted since: the row stays pending, which `status` shows; there is nothing to work on.
            return None

    def _read(self, receipt: Receipt, source: IO[bytes], work: Work) -> Receipt | None:
        try:
            with read(source, self.limits) as file:
                return work(receipt, file)
        except QuarantineError as error:
            settled = _settled(receipt, Outcome.QUARANTINED, reason=error.reason)
            self.ledger.settle(settled)
            return settled

    def known(self, receipt: Receipt, file: DicomFile) -> Receipt | None:
        """Settle an object whose instance is recorded already; None where it is not.

        Spares the work on pixels that nothing would come of.
        """
        study_uid, sop_uid = text(file.dataset, "StudyInstanceUID"), text(file.dataset, "SOPInstanceUID")
        uids = self.vault.uids([study_uid, sop_uid])
        existing = self.instances.get(uids[study_uid], uids[sop_uid])
        if existing is None:
            return None
        return self._second(receipt, existing, self.vault.keyed_digest(file.digest()))

    def pass_on(
        self, receipt: Receipt, file: DicomFile, looked: Looked, pixels: IO[bytes] | None = None
    ) -> Receipt:
        """De-identify the header, store the instance and settle the receipt.

        Parameters
        ----------
        receipt, file
            As `object` gave them; the dataset is changed.
        looked
            What is known of the pixels.
        pixels
            The pixel data element that goes in place of the file's; where it is None or empty, the file's is copied
            byte for byte.

        Raises
        ------
        QuarantineError
            If the header cannot be understood.
        """
        return self._take(receipt, file, looked, pixels=pixels)

    def hold(self, receipt: Receipt, file: DicomFile, reason: Reason) -> Receipt:
        """Record the instance without its pixels and settle the receipt as quarantined: its study shows it as held.

        Parameters
        ----------
        receipt, file
            As `object` gave them; the dataset is changed.
        reason
            Why nothing but the facts may be passed on.

        Raises
        ------
        QuarantineError
            If the header cannot be understood.
        """
        return self._take(receipt, file, Looked(checked=False), reason=reason)

    def _take(
        self,
        receipt: Receipt,
        file: DicomFile,
        looked: Looked,
        pixels: IO[bytes] | None = None,
        reason: Reason | None = None,
    ) -> Receipt:
        digest = self.vault.keyed_digest(file.digest())
        # Before the dates are shifted, and before cleaning changes the dataset in place.
        timing = Timing.of(file.dataset, received=from_text(receipt.received_at).date())
        result = clean_header_of(file, self.vault, self.rules, looked)
        new = Instance(
            study_uid=result.study_uid,
            sop_uid=result.sop_uid,
            object_key=receipt.object_key,
            object_version=receipt.version_id,
            digest=digest,
            state=InstanceState.HELD if reason else InstanceState.STORED,
            reason=reason.value if reason else "",
            patient=result.patient,
            received_at=receipt.received_at,
            stored_at=to_text(now()),
            facts=facts(result.dataset, timing),
        )
        existing = self.instances.get(new.study_uid, new.sop_uid)
        if existing is None and reason is None:
            key = instance_key(new.study_uid, new.facts.series_uid, new.sop_uid, new.digest)
            self._upload(key, file, result, pixels)
            new = new.model_copy(update={"studies_key": key})
        return self._record(receipt, new, existing)

    def _record(self, receipt: Receipt, new: Instance, existing: Instance | None) -> Receipt:
        if existing is None:
            outcome = Outcome.STORED if new.state is InstanceState.STORED else Outcome.QUARANTINED
            settled = _settled(
                receipt, outcome, reason=new.reason, study_uid=new.study_uid, sop_uid=new.sop_uid
            ).model_copy(update={"unknown_facts": len(new.facts.unknown)})
            if self.instances.add(new, settled):
                return settled
            existing = self.instances.get(new.study_uid, new.sop_uid)
        if existing is None:
            raise TransientError("the instance appeared and went")
        return self._second(receipt, existing, new.digest)

    def _second(self, receipt: Receipt, existing: Instance, digest: str) -> Receipt:
        """Settle an object whose instance is recorded already."""
        if existing.object_key == receipt.object_key:
            # Ours, by another delivery of the same event; it settled the receipt in the same transaction.
            return self.ledger.get(receipt.object_key, receipt.version_id) or receipt
        same = existing.digest == digest
        settled = _settled(
            receipt,
            Outcome.DUPLICATE if same else Outcome.QUARANTINED,
            reason="" if same else Reason.CONFLICT,
            study_uid=existing.study_uid,
            sop_uid=existing.sop_uid,
        )
        self.ledger.settle(settled)
        return settled

    def _upload(self, key: str, file: DicomFile, result: Deidentified, pixels: IO[bytes] | None) -> None:
        with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as target:
            write(result, file, target, pixels)
            target.seek(0)
            self.studies.put(key, target, "application/dicom")


def _settled(
    receipt: Receipt, outcome: Outcome, *, reason: str = "", study_uid: str = "", sop_uid: str = ""
) -> Receipt:
    return receipt.model_copy(
        update={
            "outcome": outcome,
            "reason": str(reason),
            "settled_at": to_text(now()),
            "study_uid": study_uid,
            "sop_uid": sop_uid,
        }
    )


def described(receipt: Receipt) -> dict[str, object]:
    """Return what a log may say of a settled receipt."""
    return {
        "outcome": receipt.outcome.value,
        "reason": receipt.reason,
        "unknown_facts": receipt.unknown_facts,
    }


class IntakeSettings(
    IncomingSettings, StudiesBucketSettings, LedgerSettings, InstancesSettings, VaultSettings
):
    """What an `Intake` is made of."""


def open_intake(settings: IntakeSettings) -> Intake:
    """Wire an `Intake` to its environment."""
    tables.bind(settings)
    return Intake(
        incoming=Bucket(settings.incoming_bucket),
        studies=Bucket(settings.studies_bucket),
        ledger=LedgerRepository(),
        instances=InstanceRepository(),
        vault=_open_vault(settings),
        rules=rules(Profile.LONGITUDINAL.options),
    )


def _open_vault(settings: VaultSettings) -> IdentityVault:
    if settings.vault == "sqlite":
        key = master_key_from_file(Path(settings.vault_key_file))
        return IdentityVault(SqliteVaultStore(Path(settings.vault_path)), key)
    store = DynamoVaultStore(settings.vault_table)
    return IdentityVault(store, lambda: store.master_key(settings.vault_key_id))
