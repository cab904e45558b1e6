"""Rows by what they are about: sealed on the way in, opened and verified on the way out."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from typing import NamedTuple

from firstread.deid.vault.errors import VaultDamagedError, VaultKeyError
from firstread.deid.vault.keys import Keys, UnknownGenerationError
from firstread.deid.vault.store import VaultStore

Payload = dict[str, object]
CHECK = "#check"
_FIRST_PROBE = 3


class Name(NamedTuple):
    """What a row is about: a kind, and the original (or surrogate, or place in a log) within it."""

    kind: str
    original: str


class Row(NamedTuple):
    """One opened row, with all that is needed to write it into another vault."""

    tenant: str
    name: Name
    payload: Payload


class Rows:
    """The vault's rows in clear, for one tenant.

    Parameters
    ----------
    store
        Where rows are kept.
    master_keys
        32 random bytes (per generation), or a function that returns them and is asked again when a row turns up that is
        sealed under a newer generation.
    tenant
        Separates the worlds of several institutions.

    Raises
    ------
    VaultKeyError
        If the store was filled under another key.
    """

    def __init__(
        self, store: VaultStore, master_keys: bytes | Callable[[], bytes], tenant: str = "default"
    ) -> None:
        self.store = store
        self.tenant = tenant
        self._fetch = master_keys if callable(master_keys) else None
        self.keys = Keys(master_keys() if callable(master_keys) else master_keys)
        self._check()

    def _check(self) -> None:
        """Prove that key and store belong together, or make them belong together where the store is new."""
        found = self.store.get_many([CHECK]).get(CHECK)
        if found is None:
            found = self.store.add_many(dict([self.check_row()]))[CHECK]
        try:
            self._open(CHECK, found)
        except VaultDamagedError:
            raise VaultKeyError("the key is not the one this vault was made with") from None

    def check_row(self) -> tuple[str, bytes]:
        """Return the row that tells whether a key is the vault's."""
        return CHECK, self.keys.seal(CHECK, b"firstread vault")

    def under(self, master_key: bytes) -> "Rows":
        """Return the same rows under another key, for writing them anew; nothing is checked or written."""
        other = copy(self)
        other.keys = Keys(master_key)
        return other

    def sealed(self, row: Row) -> tuple[str, bytes]:
        """Return where a row is found, and what is there."""
        lookup = self.lookup_of(row.tenant, row.name)
        return lookup, self.keys.seal(lookup, json.dumps([row.tenant, *row.name, row.payload]).encode())

    def lookup(self, name: Name) -> str:
        """Return where a row is found."""
        return self.lookup_of(self.tenant, name)

    def lookup_of(self, tenant: str, name: Name) -> str:
        """Return where a row of some tenant is found."""
        return self.keys.lookup(json.dumps([tenant, *name]).encode())

    def read(self, names: Iterable[Name]) -> dict[Name, Payload]:
        """Return the rows that exist, in one batch.

        Raises
        ------
        VaultDamagedError
            If a row is not what was written under its name.
        """
        lookups = {self.lookup(name): name for name in names}
        found = self.store.get_many(lookups)
        return {lookups[lookup]: self.open(lookup, sealed).payload for lookup, sealed in found.items()}

    def add(self, rows: Mapping[Name, Payload]) -> dict[Name, Payload]:
        """Write each row unless one is there, in this order; return what is there now."""
        there = self.add_rows([Row(self.tenant, name, payload) for name, payload in rows.items()])
        return {row.name: row.payload for row in there}

    def add_rows(self, rows: Iterable[Row]) -> list[Row]:
        """Write rows of any tenant, as `add` does; return what is there now, in the same order."""
        given = {self.lookup_of(row.tenant, row.name): row for row in rows}
        mine = dict(self.sealed(row) for row in given.values())
        there = self.store.add_many(mine)
        return [
            row if there[lookup] == mine[lookup] else self.open(lookup, there[lookup])
            for lookup, row in given.items()
        ]

    def log(self, kind: str, subject: str, read: Mapping[Name, Payload] | None = None) -> list[Payload]:
        """Return the entries of an append-only log, oldest first.

        Parameters
        ----------
        kind, subject
            What the log is about.
        read
            What reading `log_beginning` gave, where the caller has done so together with other rows.
        """
        entries: list[Payload] = []
        ahead = _FIRST_PROBE
        while True:
            names = [log_entry(kind, subject, place) for place in range(len(entries), len(entries) + ahead)]
            found = self.read(names) if read is None else read
            there = [found[name] for name in names if name in found]
            entries += there
            if len(there) < ahead:
                return entries
            read, ahead = None, ahead * 4

    def append(self, kind: str, subject: str, entry: Payload, place: int) -> bool:
        """Write a log's next entry; False where somebody else has written that place."""
        name = log_entry(kind, subject, place)
        return self.add({name: entry})[name] == entry

    def walk(self, rows: Iterable[tuple[str, bytes]]) -> Iterator[Row]:
        """Open what a store yields; the rows about the keys themselves (``#...``) are left out."""
        for lookup, sealed in rows:
            if not lookup.startswith("#"):
                yield self.open(lookup, sealed)

    def open(self, lookup: str, sealed: bytes) -> Row:
        """Open one row.

        Raises
        ------
        VaultDamagedError
            If it is not what was written there.
        """
        tenant, kind, original, payload = json.loads(self._open(lookup, sealed))
        return Row(tenant, Name(kind, original), payload)

    def _open(self, lookup: str, sealed: bytes) -> bytes:
        try:
            return self.keys.open(lookup, sealed)
        except UnknownGenerationError:
            if self._fetch is None:
                raise
            self.keys = Keys(self._fetch())
            return self.keys.open(lookup, sealed)


def log_entry(kind: str, subject: str, place: int) -> Name:
    """Return the name of an entry of a log."""
    return Name(kind, json.dumps([subject, place]))


def log_beginning(kind: str, subject: str) -> list[Name]:
    """Return the names of a log's first entries, to be read together with other rows."""
    return [log_entry(kind, subject, place) for place in range(_FIRST_PROBE)]
