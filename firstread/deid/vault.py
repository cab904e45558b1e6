"""The identity vault: random pseudonyms, new UIDs and date shifts, stored once and found by keyed digest.

A value is found under ``HMAC-SHA256(key, tenant, kind, original)`` and encrypted with AES-256-GCM under another key;
both keys are derived from one 32-byte master key (HKDF, RFC 5869). Nothing is computed from the original, so nobody can
recompute a pseudonym; the same original always meets the value that was stored first.
"""

import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12
_MAX_SHIFT_DAYS = 3650
_MIN_SHIFT_DAYS = 365


class VaultStore(Protocol):
    """Where the vault's rows are: opaque keys, opaque values, written once."""

    def get_many(self, lookups: Iterable[str]) -> dict[str, bytes]:
        """Return the rows that exist."""

    def add_many(self, rows: Mapping[str, bytes]) -> None:
        """Write each row unless one is there."""


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
        32 random bytes.
    tenant
        Separates the worlds of several institutions.
    """

    def __init__(self, store: VaultStore, master_key: bytes, tenant: str = "default") -> None:
        if len(master_key) != 32:
            raise ValueError("the master key must have 32 bytes")
        self._store = store
        self._tenant = tenant
        self._lookup_key = _derive(master_key, b"firstread vault lookup")
        self._cipher = AESGCM(_derive(master_key, b"firstread vault values"))

    def uids(self, originals: Iterable[str]) -> dict[str, str]:
        """Return the new UID for each original UID (PS3.5 B.2: ``2.25.`` and a random UUID)."""
        surrogates = self._surrogates("uid", originals, lambda: {"uid": f"2.25.{uuid.uuid4().int}"})
        return {original: str(value["uid"]) for original, value in surrogates.items()}

    def patient(self, issuer: str, patient_id: str, study_uid: str) -> PatientPseudonym:
        """Return what stands for a patient.

        Parameters
        ----------
        issuer, patient_id
            Issuer of Patient ID and Patient ID as they arrived.
        study_uid
            Stands in where Patient ID is empty: an empty Patient ID never links studies.
        """
        original = json.dumps([issuer, patient_id] if patient_id else ["", "", study_uid])
        value = self._surrogates("patient", [original], _new_patient)[original]
        return PatientPseudonym(str(value["code"]), int(str(value["shift_days"])))

    def keyed_digest(self, digest: str) -> str:
        """Return a digest that only a holder of the key could have computed from the plain one."""
        return self._lookup("digest", digest)

    def _lookup(self, kind: str, original: str) -> str:
        message = json.dumps([self._tenant, kind, original]).encode()
        return hmac.new(self._lookup_key, message, hashlib.sha256).hexdigest()

    def _surrogates(
        self, kind: str, originals: Iterable[str], make: Callable[[], dict[str, object]]
    ) -> dict[str, dict[str, object]]:
        lookups = {self._lookup(kind, original): original for original in originals}
        found = self._store.get_many(lookups)
        missing = lookups.keys() - found.keys()
        if missing:
            self._store.add_many(
                {key: self._seal(key, {"kind": kind, "original": lookups[key], **make()}) for key in missing}
            )
            # Read again: another process may have been first, and the first one counts.
            found |= self._store.get_many(missing)
        return {lookups[key]: self._open(key, sealed) for key, sealed in found.items()}

    def _seal(self, key: str, value: dict[str, object]) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, json.dumps(value).encode(), key.encode())

    def _open(self, key: str, sealed: bytes) -> dict[str, object]:
        plain = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], key.encode())
        value: dict[str, object] = json.loads(plain)
        return value


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(master_key)


def _new_patient() -> dict[str, object]:
    shift = _MIN_SHIFT_DAYS + secrets.randbelow(_MAX_SHIFT_DAYS - _MIN_SHIFT_DAYS)
    return {"code": f"P{secrets.token_hex(8).upper()}", "shift_days": -shift}
