"""A vault store in memory."""

from collections.abc import Iterable, Mapping

from firstread.deid.vault import IdentityVault


class MemoryStore:
    """The rows in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}

    def get_many(self, lookups: Iterable[str]) -> dict[str, bytes]:
        """Return the rows that exist."""
        return {key: self.rows[key] for key in lookups if key in self.rows}

    def add_many(self, rows: Mapping[str, bytes]) -> None:
        """Write each row unless one is there."""
        for key, value in rows.items():
            self.rows.setdefault(key, value)


def memory_vault(tenant: str = "default", key: bytes = b"k" * 32) -> IdentityVault:
    """Return a vault of its own."""
    return IdentityVault(MemoryStore(), key, tenant)
