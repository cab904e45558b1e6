"""New keys for an old vault; every surrogate stays as it is. ADR 0004 says why each way is sound."""

from collections.abc import Iterator
from typing import Protocol

from firstread.deid.vault.errors import VaultKeyError
from firstread.deid.vault.keys import generation_of
from firstread.deid.vault.rows import CHECK, Rows
from firstread.deid.vault.sqlite import SqliteVaultStore
from firstread.deid.vault.store import VaultArchive


class SealedArchive(VaultArchive, Protocol):
    """An archive whose rows can be sealed anew in place."""

    def replace(self, lookup: str, old: bytes, new: bytes) -> bool:
        """Put a value in the place of the one that was read; False where another is there."""


def rotate_file(store: SqliteVaultStore, old_key: bytes, new_key: bytes) -> int:
    """Put a vault file under another key, in one transaction: a crash leaves the old key or the new one, never both.

    Processes that have the file open get `VaultKeyError` at their next write.

    Parameters
    ----------
    store
        The file.
    old_key, new_key
        32 bytes each.

    Returns
    -------
    int
        Rows written; 0 where the file is under the new key already, as after a crash behind the last step.

    Raises
    ------
    VaultKeyError
        If the file is under neither key, or the keys are the same.
    VaultDamagedError
        If a row cannot be opened; nothing was changed.
    """
    if old_key == new_key:
        raise VaultKeyError("the new key is the old one")
    try:
        old = Rows(store, old_key)
    except VaultKeyError:
        Rows(store, new_key)
        return 0
    new = old.under(new_key)

    def change(rows: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        yield new.check_row()
        for row in old.walk(rows):
            yield new.sealed(row)

    return store.rewrite(change) - 1


def reseal(rows: Rows, store: SealedArchive) -> int:
    """Seal every row of an older generation under the newest; safe to stop, to repeat and to run beside the pipeline.

    Parameters
    ----------
    rows
        With the keys of all generations.
    store
        The same store.

    Returns
    -------
    int
        Rows sealed anew. Where processes still write under an older generation, a later run finds more.
    """
    keys = rows.keys
    count = 0
    for lookup, sealed in store.rows():
        ours = lookup == CHECK or not lookup.startswith("#")
        if ours and generation_of(sealed) != keys.generation:
            count += store.replace(lookup, sealed, keys.seal(lookup, keys.open(lookup, sealed)))
    return count
