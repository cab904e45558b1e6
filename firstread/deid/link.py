"""Opening the identity vault of a link file with its key."""

import sqlite3
from pathlib import Path

from firstread.deid.sqlite_store import SqliteVaultStore, master_key_from_file
from firstread.deid.vault import IdentityVault
from firstread.errors import FirstReadError

_CHECK = "key check"


class VaultKeyError(FirstReadError):
    """The key does not belong to this vault, or what was opened is no vault."""


def open_vault(link: Path, key: Path) -> IdentityVault:
    """Open the identity vault of a link file, which stays open; both files are made on first use.

    Parameters
    ----------
    link
        The vault as an SQLite file; nothing in it can be read without the key.
    key
        32 random bytes.

    Raises
    ------
    VaultKeyError
        If the file is no vault, or one that was made with another key.
    """
    try:
        store = SqliteVaultStore(link)
        vault = IdentityVault(store, master_key_from_file(key))
    except ValueError:
        raise VaultKeyError("a vault key file holds exactly 32 bytes") from None
    except sqlite3.OperationalError:  # locked, disk full: no fault of the file
        raise
    except sqlite3.DatabaseError:
        raise VaultKeyError("the file is not a vault") from None
    mine = vault.keyed_digest(_CHECK).encode()
    store.add_many({_CHECK: mine})
    if store.get_many([_CHECK])[_CHECK] != mine:
        raise VaultKeyError("the vault was made with another key")
    return vault
