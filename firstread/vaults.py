"""The identity vault of an installation, by its settings."""

from pathlib import Path

from firstread.deid.vault.keys import master_key_from_file
from firstread.deid.vault.rows import Rows
from firstread.deid.vault.sqlite import SqliteVaultStore
from firstread.environment import VaultSettings
from firstread.records.vault_store import DynamoVaultStore


def open_rows(settings: VaultSettings) -> Rows:
    """Return the vault's rows in clear, for who merges patients or finds the way back."""
    if settings.vault == "sqlite":
        key = master_key_from_file(Path(settings.vault_key_file))
        return Rows(SqliteVaultStore(Path(settings.vault_path)), key)
    store = DynamoVaultStore(settings.vault_table)
    return Rows(store, lambda: store.master_key(settings.vault_key_id))
