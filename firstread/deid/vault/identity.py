"""What de-identification asks the vault for: pseudonyms, new UIDs and date shifts, random, stored once.

A value is found under ``HMAC-SHA256(key, tenant, kind, original)`` and encrypted; nothing is computed from the
original, so nobody can recompute a pseudonym, and the same original always meets the value that was stored first.
"""

import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from firstread.clock import now, to_text
from firstread.deid.vault.aliases import ALIAS, Aliases, PatientKey, current
from firstread.deid.vault.modules import Modules
from firstread.deid.vault.recent import Recent
from firstread.deid.vault.rows import Name, Payload, Rows, log_beginning, log_entry
from firstread.deid.vault.store import VaultStore
from firstread.errors import TransientError

_MAX_SHIFT_DAYS = 3650
_MIN_SHIFT_DAYS = 365
_MOST_VERSIONS = 200
_TRIES = 8

UID = "uid"
PATIENT = "patient"
STUDY = "study"  # whose it is
SURROGATE = "surrogate"  # the way back
PATIENT_VERSIONS = "patient-module"
STUDY_VERSIONS = "study-module"
_DIGEST_KEY = Name("digest-key", "")


@dataclass(frozen=True)
class PatientPseudonym:
    """What stands for a patient.

    Parameters
    ----------
    code
        Pseudonym for Patient ID and Patient's Name.
    shift_days
        Days, negative, added to every date of the patient.
    """

    code: str
    shift_days: int


class IdentityVault:
    """Gives the same surrogate for the same original, for ever.

    Parameters
    ----------
    store
        Where rows are kept.
    master_key
        32 random bytes; or a function that returns the keys of all generations (`Rows`).
    tenant
        Separates the worlds of several institutions.
    remembered
        Surrogates kept in this process. None of them can become wrong: a row, once written, stays as it is, and a
        merge moves no study that the vault has seen.

    Raises
    ------
    VaultKeyError
        If the store was filled under another key.
    """

    def __init__(
        self,
        store: VaultStore,
        master_key: bytes | Callable[[], bytes],
        tenant: str = "default",
        remembered: int = 50_000,
    ) -> None:
        self._rows = Rows(store, master_key, tenant)
        self._uids: Recent[str, str] = Recent(remembered)
        self._patients: Recent[tuple[str, str, str], PatientPseudonym] = Recent(remembered)
        self._kept: Recent[tuple[object, ...], bool] = Recent(max(2, remembered // 10))
        self._digest_key = b""

    def uids(self, originals: Iterable[str]) -> dict[str, str]:
        """Return the new UID for each original UID (PS3.5 B.2: ``2.25.`` and a random UUID)."""
        found: dict[str, str] = {}
        unknown: list[str] = []
        for original in originals:
            uid = self._uids.get(original)
            if uid is None:
                unknown.append(original)
            else:
                found[original] = uid
        if unknown:
            for original, payload in surrogates(self._rows, UID, unknown).items():
                found[original] = uid = str(payload["uid"])
                self._uids.put(original, uid)
        return found

    def patient(self, issuer: str, patient_id: str, study_uid: str) -> PatientPseudonym:
        """Return what stands for a patient in a study.

        Parameters
        ----------
        issuer, patient_id
            Issuer of Patient ID and Patient ID as they arrived.
        study_uid
            Original Study Instance UID. It stays with the pseudonym it was first seen under, whatever is merged later;
            where Patient ID is empty it also stands in for it: an empty Patient ID never links studies.

        Raises
        ------
        TransientError
            If the patient is being merged in a circle at this moment.
        """
        key = (issuer, patient_id, study_uid)
        pseudonym = self._patients.get(key)
        if pseudonym is None:
            pseudonym = self._pseudonym(PatientKey(issuer, patient_id), study_uid)
            self._patients.put(key, pseudonym)
        return pseudonym

    def keyed_digest(self, digest: str) -> str:
        """Return a digest that only a holder of the key could have computed from the plain one.

        Its key is a random row of the vault, so that digests which records hold stay true after a rotation.
        """
        if not self._digest_key:
            found = self._rows.read([_DIGEST_KEY]).get(_DIGEST_KEY)
            if found is None:
                found = self._rows.add({_DIGEST_KEY: {"key": secrets.token_hex(32)}})[_DIGEST_KEY]
            self._digest_key = bytes.fromhex(str(found["key"]))
        return hmac.new(self._digest_key, digest.encode(), hashlib.sha256).hexdigest()

    def keep(self, modules: Modules, patient: PatientPseudonym, study_uid: str) -> None:
        """Keep the patient and study modules under their surrogates; nothing is done where they are kept already.

        Every different version is kept once, in the order of arrival; the first 200 of a patient or a study, as more of
        them are no person's history.

        Parameters
        ----------
        modules
            As they arrived: ``Modules.of(dataset)``, before the dataset is changed.
        patient
            Whose they are.
        study_uid
            The new Study Instance UID.
        """
        known = (patient.code, study_uid, modules.fingerprint)
        if self._kept.get(known):
            return
        logs = ((PATIENT_VERSIONS, patient.code, modules.patient), (STUDY_VERSIONS, study_uid, modules.study))
        for _ in range(_TRIES):
            found = self._rows.read(
                name for kind, subject, _ in logs for name in log_beginning(kind, subject)
            )
            new: dict[Name, Payload] = {}
            for kind, subject, module in logs:
                versions = self._rows.log(kind, subject, found)
                if len(versions) < _MOST_VERSIONS and all(each["module"] != module for each in versions):
                    new[log_entry(kind, subject, len(versions))] = {"module": module, "at": to_text(now())}
            if not new or self._rows.add(new) == new:
                self._kept.put(known, True)
                return
        raise TransientError("others kept modules of the same patient all the time")

    def _pseudonym(self, patient: PatientKey, study_uid: str) -> PatientPseudonym:
        own = patient.original if patient.patient_id else json.dumps(["", "", study_uid])
        study = Name(STUDY, json.dumps([patient.issuer, patient.patient_id, study_uid]))
        found = self._rows.read([study, Name(PATIENT, own), *log_beginning(ALIAS, own)])
        if study not in found:
            found = self._bind(study, patient, own, found)
        stands_for = str(found[study]["patient"])
        payload = found.get(Name(PATIENT, stands_for))
        return pseudonym_of(payload or surrogates(self._rows, PATIENT, [stands_for])[stands_for])

    def _bind(
        self, study: Name, patient: PatientKey, own: str, found: dict[Name, Payload]
    ) -> dict[Name, Payload]:
        """Write whose a study is, with the patient's own rows where they are new, in one batch."""
        stands_for = own
        if current(self._rows.log(ALIAS, own, found)) is not None:
            stands_for = Aliases(self._rows).survivor(patient).original
            found |= self._rows.read([Name(PATIENT, stands_for)])
        rows = {} if Name(PATIENT, stands_for) in found else new_surrogate(PATIENT, stands_for)
        # The first one counts: where a merge came between, that may be another patient.
        return found | self._rows.add({**rows, study: {"patient": stands_for}})


def surrogates(rows: Rows, kind: str, originals: Iterable[str]) -> dict[str, Payload]:
    """Return the surrogates of originals of one kind; those that are missing are made, in one batch."""
    names = [Name(kind, original) for original in originals]
    found = rows.read(names)
    missing = [name for name in names if name not in found]
    if missing:
        made = [new_surrogate(kind, name.original) for name in missing]
        # The ways back come first: a surrogate that is given out can always be found.
        new = {name: row for pair in made for name, row in pair.items() if name.kind == SURROGATE}
        new |= {name: row for pair in made for name, row in pair.items() if name.kind != SURROGATE}
        there = rows.add(new)
        found |= {name: there[name] for name in missing}
    return {name.original: found[name] for name in names}


def new_surrogate(kind: str, original: str) -> dict[Name, Payload]:
    """Make a random surrogate: the row of the way back, then the row under the original."""
    if kind == UID:
        payload: Payload = {"uid": f"2.25.{uuid.uuid4().int}"}
    else:
        shift = _MIN_SHIFT_DAYS + secrets.randbelow(_MAX_SHIFT_DAYS - _MIN_SHIFT_DAYS)
        payload = {"code": f"P{secrets.token_hex(8).upper()}", "shift_days": -shift}
    return {**way_back(kind, original, payload), Name(kind, original): payload}


def way_back(kind: str, original: str, payload: Payload) -> dict[Name, Payload]:
    """Return the row that leads from a surrogate back to its original."""
    surrogate = str(payload["uid" if kind == UID else "code"])
    return {Name(SURROGATE, surrogate): {"kind": kind, "original": original, **payload}}


def pseudonym_of(payload: Payload) -> PatientPseudonym:
    """Return the pseudonym that a patient's row holds."""
    return PatientPseudonym(str(payload["code"]), int(str(payload["shift_days"])))
