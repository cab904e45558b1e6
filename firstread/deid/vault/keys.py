"""Keys: where rows are found (HMAC-SHA256) and how they are sealed (AES-256-GCM), by generation.

Both keys come from 32-byte master keys by HKDF (RFC 5869). The master keys of all generations stand one behind the
other, oldest first. Where rows are found depends on the first for ever, so that two processes that know different
generations still meet at the same row; what is in them is sealed under the newest.
"""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from firstread.deid.vault.errors import VaultDamagedError, VaultKeyError

KEY_BYTES = 32
_NONCE = 12


class UnknownGenerationError(VaultKeyError):
    """A row sealed under a generation that these keys do not have; newer keys may."""


class Keys:
    """The keys of a vault.

    Parameters
    ----------
    master_keys
        32 random bytes per generation, oldest first; a key file holds one generation.

    Raises
    ------
    ValueError
        If the length is no multiple of 32, or there are no keys or more than 255.
    """

    def __init__(self, master_keys: bytes) -> None:
        count, rest = divmod(len(master_keys), KEY_BYTES)
        if rest or not 1 <= count <= 255:
            raise ValueError("the master key must have 32 bytes per generation")
        parts = [master_keys[start : start + KEY_BYTES] for start in range(0, len(master_keys), KEY_BYTES)]
        self._lookup_key = derive(parts[0], b"firstread vault lookup")
        self._ciphers = [AESGCM(derive(part, b"firstread vault values")) for part in parts]

    @property
    def generation(self) -> int:
        """The newest generation, counted from 1; new rows are sealed under it."""
        return len(self._ciphers)

    def lookup(self, message: bytes) -> str:
        """Return where a row is found."""
        return hmac.new(self._lookup_key, message, hashlib.sha256).hexdigest()

    def seal(self, lookup: str, plain: bytes) -> bytes:
        """Encrypt a row: generation (1 byte), nonce (12), ciphertext with tag; bound to its lookup."""
        head, nonce = bytes([self.generation]), secrets.token_bytes(_NONCE)
        return head + nonce + self._ciphers[-1].encrypt(nonce, plain, head + lookup.encode())

    def open(self, lookup: str, sealed: bytes) -> bytes:
        """Decrypt a row.

        Raises
        ------
        UnknownGenerationError
            If these keys are older than the row.
        VaultDamagedError
            If the row was not sealed with these keys for this lookup.
        """
        head = sealed[:1]
        generation = head[0] if head else 0
        if generation > self.generation:
            raise UnknownGenerationError("a row of the vault is of a newer key generation")
        try:
            if not generation:
                raise InvalidTag
            cipher, nonce = self._ciphers[generation - 1], sealed[1 : 1 + _NONCE]
            return cipher.decrypt(nonce, sealed[1 + _NONCE :], head + lookup.encode())
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise VaultDamagedError("a row of the vault is not what was written") from None


def generation_of(sealed: bytes) -> int:
    """Return the generation of a sealed row; 0 for what is none."""
    return sealed[0] if sealed else 0


def derive(master_key: bytes, purpose: bytes) -> bytes:
    """Return a 32-byte key for one purpose (HKDF-SHA256)."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(master_key)


def master_key_from_file(path: Path) -> bytes:
    """Return the 32-byte master key of a key file, made on first use and readable by its owner only.

    Raises
    ------
    VaultKeyError
        If the file does not hold exactly 32 bytes.
    """
    if not path.exists():
        # Made beside and linked: no other process can see a half-written key, and the first one stays.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
        # The name must survive power loss before the first row does: without its key the vault is lost.
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise VaultKeyError("a vault key file holds exactly 32 bytes")
    return key
