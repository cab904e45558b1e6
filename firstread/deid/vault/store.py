"""What keeps the vault's rows. A store sees keyed digests and ciphertext, never an original."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol


class VaultStore(Protocol):
    """Where the vault's rows are: opaque keys, opaque values, each written once and never changed in meaning."""

    def get_many(self, lookups: Iterable[str]) -> dict[str, bytes]:
        """Return the rows that exist, as of a moment after the call began."""

    def add_many(self, rows: Mapping[str, bytes]) -> dict[str, bytes]:
        """Write each row unless one is there.

        A row is there only when every row before it in the mapping is there: a crash leaves a beginning.

        Returns
        -------
        dict
            What is there now, for each key: the given value, or that of whoever was first.
        """


class VaultArchive(VaultStore, Protocol):
    """A store that can also be walked through: for listing, export and rotation, never on the hot path."""

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Yield every row, in any order."""
