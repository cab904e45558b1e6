"""References: what stands for an original identifier where the identifier itself may not go.

A door knows original UIDs and order numbers, but not the identity vault. It names a study by a keyed digest, and so
does every step that meets the same study later; nobody without the key can tell whose study it is.
"""

import hashlib
import hmac
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from firstread.deid.vault.keys import derive, master_key_from_file
from firstread.environment import ReferenceSettings
from firstread.region import making, region

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_PURPOSE = b"firstread references 1"
_CHARACTERS = 40  # 160 bits: no two of any number of studies meet by chance


class References:
    """Makes references under one key.

    Parameters
    ----------
    key
        32 bytes, the same for every door and step of an installation.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def study(self, study_uid: str) -> str:
        """Return the reference of an original Study Instance UID."""
        return self._of("study", study_uid)

    def instance(self, sop_uid: str) -> str:
        """Return the reference of an original SOP Instance UID."""
        return self._of("instance", sop_uid)

    def order(self, number: str) -> str:
        """Return the reference of an accession number, or of a placer's or filler's order number; "" for none."""
        return self._of("order", number)

    def message(self, name: str) -> str:
        """Return the reference of a feed's message: of the digest of its bytes, or of its sender and control ID."""
        return self._of("message", name)

    def batch(self, source: str, name: str) -> str:
        """Return the reference of a batch that a source has named: no other source's, and nothing of the name."""
        return self._of("batch", f"{source}\0{name}")

    def _of(self, kind: str, value: str) -> str:
        """Return 160 bits of HMAC-SHA256 (RFC 2104), as hexadecimal text; "" where there is no value."""
        value = value.strip(" \0")
        if not value:
            return ""
        message = f"{kind}\0{value}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:_CHARACTERS]


@lru_cache(maxsize=1)
def _kms() -> "KMSClient":
    with making:
        return boto3.client("kms", region_name=region())


def open_references(settings: ReferenceSettings) -> References:
    """Return the references of an installation.

    In AWS the key is what a KMS key for HMAC makes of a fixed text, asked for once per process: the KMS key never
    leaves KMS, and no other place has to keep a secret. Locally it is derived from a key file.
    """
    if settings.reference_key_file:
        return References(derive(master_key_from_file(Path(settings.reference_key_file)), _PURPOSE))
    answer = _kms().generate_mac(
        Message=_PURPOSE, KeyId=settings.reference_key_id, MacAlgorithm="HMAC_SHA_256"
    )
    return References(answer["Mac"])
