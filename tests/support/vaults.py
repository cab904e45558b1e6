"""A vault store in memory."""

from collections.abc import Iterable, Iterator, Mapping

from firstread.deid.vault import IdentityVault


class MemoryStore:
    """The rows in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get_many(self, lookups: Iterable[str]) -> dict[str, bytes]:
        """Return the rows that exist."""
        return {key: self.kept[key] for key in lookups if key in self.kept}

    def add_many(self, rows: Mapping[str, bytes]) -> dict[str, bytes]:
        """Write each row unless one is there; return what is there now."""
        return {key: self.kept.setdefault(key, value) for key, value in rows.items()}

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Yield every row."""
        yield from list(self.kept.items())

    def replace(self, lookup: str, old: bytes, new: bytes) -> bool:
        """Put a value in the place of the one that was read; False where another is there."""
        if self.kept[lookup] != old:
            return False
        self.kept[lookup] = new
        return True


def memory_vault(tenant: str = "default", key: bytes = b"k" * 32) -> IdentityVault:
    """Return a vault of its own."""
    return IdentityVault(MemoryStore(), key, tenant)


def world(vault: IdentityVault, uids: Iterable[str]) -> object:
    """Return what a vault gives for some UIDs, two patients and a digest: equal in one world only."""
    return (
        vault.uids(uids),
        vault.patient("A", "1", "s"),
        vault.patient("A", "2", "t"),
        vault.keyed_digest("d"),
    )
