"""Merges by a data steward: allowed by policy, and written down."""

import json
from collections.abc import Iterable

from firstread.deid.vault.aliases import Aliases, AliasEvent, PatientKey
from firstread.deid.vault.audit import Guard
from firstread.deid.vault.errors import MergeError
from firstread.deid.vault.identity import PATIENT, SURROGATE, PatientPseudonym, pseudonym_of, surrogates
from firstread.deid.vault.rows import Name, Rows
from firstread.errors import NotFoundError
from firstread.policy import Action, Purpose


class VaultSteward:
    """Merges patients, and takes merges back.

    Parameters
    ----------
    rows
        The vault's rows; they need the key.
    guard
        Who does it, and where it is written down.
    """

    def __init__(self, rows: Rows, guard: Guard) -> None:
        self._rows = rows
        self._aliases = Aliases(rows)
        self._guard = guard

    def merge(self, patient: PatientKey, into: PatientKey) -> None:
        """Let new studies of a patient go under another one (HL7 v2 ADT^A40: MRG-1 into PID-3).

        Studies that the vault has seen stay where they are. Both patients have pseudonyms afterwards.

        Raises
        ------
        RefusedError
            If the actor may not.
        MergeError
            If it would make a circle, an ID is empty, or the patient is merged already.
        """
        self._allow_merge(patient, into)
        self._aliases.merge(patient, into, self._guard.actor.name)

    def merge_once(self, patient: PatientKey, into: PatientKey) -> bool:
        """Merge as `merge` does; return False, with nothing changed, where the patient goes under the other already.

        Raises
        ------
        RefusedError
            If the actor may not.
        MergeError
            If the merge contradicts an earlier one, or an ID is empty.
        """
        self._allow_merge(patient, into)
        if self._aliases.leads(patient, into):
            return False
        try:
            self._aliases.merge(patient, into, self._guard.actor.name)
        except MergeError:
            if self._aliases.leads(patient, into):  # another delivery of the same message was faster
                return False
            raise
        return True

    def _allow_merge(self, patient: PatientKey, into: PatientKey) -> None:
        code, other = (pseudonym.code for pseudonym in self._pseudonyms([patient, into]))
        self._guard.allow(Action.IDENTITY_MERGE, f"merge into {other}", code, Purpose.DATA_QUALITY)

    def unmerge(self, patient: PatientKey) -> None:
        """Take a merge back: new studies of the patient go under their own pseudonym again.

        Raises
        ------
        RefusedError
            If the actor may not.
        MergeError
            If the patient is not merged.
        """
        (pseudonym,) = self._pseudonyms([patient])
        self._guard.allow(Action.IDENTITY_MANAGE, "unmerge", pseudonym.code, Purpose.DATA_QUALITY)
        self._aliases.unmerge(patient, self._guard.actor.name)

    def history(self, patient: PatientKey) -> list[AliasEvent]:
        """Return the merges of a patient, oldest first, each with time and actor."""
        (pseudonym,) = self._pseudonyms([patient])
        self._guard.allow(Action.IDENTITY_MANAGE, "history", pseudonym.code, Purpose.DATA_QUALITY)
        return self._aliases.history(patient)

    def patient(self, code: str) -> PatientKey:
        """Return whom a pseudonym stands for, to merge them; not to show them.

        Raises
        ------
        NotFoundError
            If the vault has not given out the pseudonym.
        MergeError
            If it stands for one study without Patient ID.
        """
        name = Name(SURROGATE, code)
        back = self._rows.read([name]).get(name)
        if back is None or back["kind"] != PATIENT:
            raise NotFoundError("the vault has not given out this pseudonym")
        issuer, patient_id, *study = json.loads(str(back["original"]))
        if study:
            raise MergeError("a patient without patient ID cannot be merged")
        return PatientKey(issuer, patient_id)

    def _pseudonyms(self, patients: Iterable[PatientKey]) -> list[PatientPseudonym]:
        originals = [patient.original for patient in patients]
        if not all(patient_id for _, patient_id in map(json.loads, originals)):
            raise MergeError("an empty patient ID cannot be merged")
        found = surrogates(self._rows, PATIENT, originals)
        return [pseudonym_of(found[original]) for original in originals]
