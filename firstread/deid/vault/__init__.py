"""The identity vault: pseudonyms, new UIDs and date shifts, stored once, found by keyed digest, kept encrypted.

Here is what the hot path needs. The way back is in `reader`, merges are in `steward`, new keys in `rotation`, moving to
another vault in `transfer`.
"""

from firstread.deid.vault.errors import MergeError, RefusedError, VaultDamagedError, VaultError, VaultKeyError
from firstread.deid.vault.identity import IdentityVault, PatientPseudonym
from firstread.deid.vault.modules import Modules
from firstread.deid.vault.sqlite import open_vault
from firstread.deid.vault.store import VaultStore

__all__ = [
    "IdentityVault",
    "MergeError",
    "Modules",
    "PatientPseudonym",
    "RefusedError",
    "VaultDamagedError",
    "VaultError",
    "VaultKeyError",
    "VaultStore",
    "open_vault",
]
