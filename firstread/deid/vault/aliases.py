"""Merges of patients (HL7 v2 ADT^A40) as reversible aliases: a log per patient, whose last entry counts.

Nothing is rewritten by a merge. It decides under whom *new* studies of the merged patient go; a study stays for ever
with the patient it was first seen under, so that a file that comes again gives the same bytes again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from firstread.clock import now, to_text
from firstread.deid.vault.errors import MergeError
from firstread.deid.vault.rows import Payload, Rows
from firstread.errors import TransientError

ALIAS = "alias"
MAX_HOPS = 32


@dataclass(frozen=True)
class PatientKey:
    """A patient as the sender knows them.

    Parameters
    ----------
    issuer, patient_id
        Issuer of Patient ID (0010,0021) and Patient ID (0010,0020).
    """

    issuer: str = field(repr=False)
    patient_id: str = field(repr=False)

    @property
    def original(self) -> str:
        """The name of the patient's rows."""
        return json.dumps([self.issuer, self.patient_id])


@dataclass(frozen=True)
class AliasEvent:
    """One entry of a patient's log: merged into somebody, or (`into` None) taken back."""

    into: PatientKey | None
    at: str
    actor: str


class Aliases:
    """Who stands for whom.

    Parameters
    ----------
    rows
        The vault's rows.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def history(self, patient: PatientKey) -> list[AliasEvent]:
        """Return what happened to a patient, oldest first."""
        return [_event(entry) for entry in self._rows.log(ALIAS, patient.original)]

    def survivor(self, patient: PatientKey) -> PatientKey:
        """Return under whom new studies of a patient go.

        Raises
        ------
        TransientError
            If two merges at the same moment made a circle; one of them is about to be taken back.
        """
        seen = {patient}
        while True:
            into = current(self._rows.log(ALIAS, patient.original))
            if into is None:
                return patient
            if into in seen or len(seen) > MAX_HOPS:
                raise TransientError("a chain of merged patients has no end")
            seen.add(into)
            patient = into

    def leads(self, patient: PatientKey, into: PatientKey) -> bool:
        """Tell whether new studies of a patient go the way of another one, by one merge or several."""
        for _ in range(MAX_HOPS + 1):
            step = current(self._rows.log(ALIAS, patient.original))
            if step is None or step == into:
                return step is not None
            patient = step
        return False

    def merge(self, patient: PatientKey, into: PatientKey, actor: str) -> None:
        """Let new studies of a patient go under another one.

        Raises
        ------
        MergeError
            If that would make a circle or too long a chain, an ID is empty, or the patient is merged already.
        """
        if not (patient.patient_id and into.patient_id):
            raise MergeError("an empty patient ID cannot be merged")
        entries = self._rows.log(ALIAS, patient.original)
        if current(entries) is not None:
            raise MergeError("the patient is merged already; take that back first")
        self._refuse_circle(patient, into)
        self._append(patient, into, actor, len(entries))
        try:
            self._refuse_circle(patient, into)  # again: another merge may have come between
        except MergeError:
            self._append(patient, None, actor, len(entries) + 1)
            raise

    def unmerge(self, patient: PatientKey, actor: str) -> None:
        """Let new studies of a patient go under their own pseudonym again.

        Raises
        ------
        MergeError
            If the patient is not merged.
        """
        entries = self._rows.log(ALIAS, patient.original)
        if current(entries) is None:
            raise MergeError("the patient is not merged")
        self._append(patient, None, actor, len(entries))

    def _refuse_circle(self, patient: PatientKey, into: PatientKey) -> None:
        hops = 0
        step: PatientKey | None = into
        while step is not None:
            if step == patient:
                raise MergeError("the merge would make a circle")
            hops += 1
            if hops >= MAX_HOPS:
                raise MergeError("the chain of merges is too long")
            step = current(self._rows.log(ALIAS, step.original))

    def _append(self, patient: PatientKey, into: PatientKey | None, actor: str, place: int) -> None:
        entry: Payload = {
            "into": [into.issuer, into.patient_id] if into else None,
            "at": to_text(now()),
            "actor": actor,
        }
        if not self._rows.append(ALIAS, patient.original, entry, place):
            raise MergeError("somebody else merged this patient at the same moment; look again")


def current(entries: Sequence[Payload]) -> PatientKey | None:
    """Return into whom the last entry of a log merges, or None."""
    return _event(entries[-1]).into if entries else None


def _event(entry: Payload) -> AliasEvent:
    into = entry["into"]
    patient = PatientKey(str(into[0]), str(into[1])) if isinstance(into, list) else None
    return AliasEvent(patient, str(entry["at"]), str(entry["actor"]))
