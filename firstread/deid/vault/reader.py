"""The way back: from a surrogate to its original, for those who may, written down before it is answered."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from firstread.deid.vault.aliases import ALIAS, Aliases, PatientKey, current
from firstread.deid.vault.audit import Guard
from firstread.deid.vault.identity import PATIENT, PATIENT_VERSIONS, STUDY_VERSIONS, SURROGATE, UID
from firstread.deid.vault.rows import Name, Payload, Rows, log_beginning
from firstread.deid.vault.store import VaultArchive
from firstread.errors import NotFoundError
from firstread.policy import Action, Purpose

_PATIENT_CODE = re.compile(r"P[0-9A-F]{16}")
_UID = re.compile(r"[0-9.]{1,64}")  # PS3.5 9.1
_SURROGATE = re.compile(r"P[0-9A-F]{16}|2\.25\.\d{1,39}")


@dataclass(frozen=True)
class Original:
    """What a surrogate stands for.

    Parameters
    ----------
    surrogate
        A patient's code or a new UID.
    kind
        ``patient`` or ``uid``.
    uid
        The original UID; for a patient without Patient ID the Study Instance UID, else "".
    issuer, patient_id
        Of a patient; else "".
    shift_days
        Days added to a patient's dates; subtract them to get the true ones. None for a UID.
    """

    surrogate: str
    kind: str
    uid: str = ""
    issuer: str = ""
    patient_id: str = ""
    shift_days: int | None = None

    def as_dict(self) -> dict[str, object]:
        """Return what says something, for JSON."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}


@dataclass(frozen=True)
class Version:
    """A module as it arrived (DICOM JSON model, PS3.18 F.2), and when it first did."""

    at: str
    module: dict[str, object]


@dataclass(frozen=True)
class Person:
    """Whose a study is.

    Parameters
    ----------
    patient
        Under whom the patient goes today.
    formerly
        Under whom the study was first seen, where that patient has been merged since; else None.
    patient_module, study_module
        The newest version of each that was kept; empty where none was.
    """

    patient: PatientKey
    formerly: PatientKey | None
    patient_module: dict[str, object] = field(repr=False)
    study_module: dict[str, object] = field(repr=False)


class VaultReader:
    """Reads the vault backwards.

    Parameters
    ----------
    rows
        The vault's rows; they need the key.
    guard
        Who reads, and where it is written down.
    """

    def __init__(self, rows: Rows, guard: Guard) -> None:
        self._rows = rows
        self._guard = guard

    def identify(self, surrogate: str, purpose: Purpose) -> Original:
        """Return what a surrogate stands for.

        Raises
        ------
        RefusedError
            If the actor may not know.
        NotFoundError
            If this vault has not given out the surrogate.
        """
        self._allow("identify", surrogate, purpose)
        name = Name(SURROGATE, surrogate)
        found = self._rows.read([name])
        if name not in found:
            raise NotFoundError("the vault has not given out this pseudonym or UID")
        return _original(found[name])

    def modules(self, surrogate: str, purpose: Purpose) -> list[Version]:
        """Return the versions of a patient's or a study's module, oldest first; none where nothing was kept.

        Parameters
        ----------
        surrogate
            A patient's code for the patient module, a new Study Instance UID for the study module.
        purpose
            Why.

        Raises
        ------
        RefusedError
            If the actor may not know.
        NotFoundError
            If it cannot be a surrogate.
        """
        self._allow("modules", surrogate, purpose)
        kind = PATIENT_VERSIONS if _PATIENT_CODE.fullmatch(surrogate) else STUDY_VERSIONS
        entries = self._rows.log(kind, surrogate)
        return [Version(str(entry["at"]), json.loads(str(entry["module"]))) for entry in entries]

    def person(self, code: str, study_uid: str, purpose: Purpose) -> Person:
        """Return whose a study is, by what was kept last and by the merges of today.

        Parameters
        ----------
        code
            The patient's code in the study.
        study_uid
            The new Study Instance UID.
        purpose
            Why.

        Raises
        ------
        RefusedError
            If the actor may not know.
        NotFoundError
            If this vault has not given out the code.
        """
        if not (_PATIENT_CODE.fullmatch(code) and _UID.fullmatch(study_uid)):
            raise NotFoundError("this is no pseudonym that a vault gives out")
        self._guard.allow(Action.IDENTITY_VIEW, "person", study_uid, purpose, patient=code)
        name = Name(SURROGATE, code)
        logs = log_beginning(PATIENT_VERSIONS, code) + log_beginning(STUDY_VERSIONS, study_uid)
        found = self._rows.read([name, *logs])
        if name not in found or found[name]["kind"] != PATIENT:
            raise NotFoundError("the vault has not given out this pseudonym")
        issuer, patient_id, *_ = json.loads(str(found[name]["original"]))
        seen = PatientKey(issuer, patient_id)
        survivor, patients = self._survivor(seen, self._rows.log(PATIENT_VERSIONS, code, found))
        studies = self._rows.log(STUDY_VERSIONS, study_uid, found)
        return Person(survivor, None if survivor == seen else seen, _newest(patients), _newest(studies))

    def _survivor(self, seen: PatientKey, versions: list[Payload]) -> tuple[PatientKey, list[Payload]]:
        """Return under whom a patient goes today, and the versions of that patient's module."""
        if not seen.patient_id or current(self._rows.log(ALIAS, seen.original)) is None:
            return seen, versions
        survivor = Aliases(self._rows).survivor(seen)
        name = Name(PATIENT, survivor.original)
        row = self._rows.read([name]).get(name)
        of_survivor = self._rows.log(PATIENT_VERSIONS, str(row["code"])) if row else []
        # Nothing may have been sent under the survivor yet; then the name is what the images said.
        return survivor, of_survivor or versions

    def originals(self, store: VaultArchive, purpose: Purpose) -> Iterator[Original]:
        """Return every surrogate of this tenant with its original, in no order.

        Raises
        ------
        RefusedError
            If the actor may not know.
        """
        self._guard.allow(Action.IDENTITY_VIEW, "list", "", purpose)
        return (
            _original({"kind": row.name.kind, "original": row.name.original, **row.payload})
            for row in self._rows.walk(store.rows())
            if row.tenant == self._rows.tenant and row.name.kind in (PATIENT, UID)
        )

    def _allow(self, what: str, surrogate: str, purpose: Purpose) -> None:
        # What is no surrogate could be a name typed by mistake, and must not reach the audit trail.
        if not _SURROGATE.fullmatch(surrogate):
            raise NotFoundError("this is not a pseudonym or UID that a vault gives out")
        self._guard.allow(Action.IDENTITY_VIEW, what, surrogate, purpose)


def _newest(versions: list[Payload]) -> dict[str, object]:
    found: dict[str, object] = json.loads(str(versions[-1]["module"])) if versions else {}
    return found


def _original(back: Payload) -> Original:
    original = str(back["original"])
    if back["kind"] == UID:
        return Original(str(back["uid"]), "uid", uid=original)
    issuer, patient_id, *study = json.loads(original)
    return Original(
        surrogate=str(back["code"]),
        kind="patient",
        uid=study[0] if study else "",
        issuer=issuer,
        patient_id=patient_id,
        shift_days=int(str(back["shift_days"])),
    )
