"""The vault's rows in one SQLite file: durable against a kill, safe for several processes."""

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path

_BATCH = 500


class SqliteVaultStore:
    """A `VaultStore` in a file.

    Parameters
    ----------
    path
        The database file; made, readable by its owner only, where it is missing.
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600, exist_ok=True)
        self._writing = threading.Lock()  # a connection has one transaction at a time
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        # A committed pseudonym must survive power loss: another one would split a patient in two.
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS vault (lookup TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
        )

    def get_many(self, lookups: Iterable[str]) -> dict[str, bytes]:
        """Return the rows that exist."""
        keys = list(lookups)
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), _BATCH):
            part = keys[start : start + _BATCH]
            marks = ",".join("?" * len(part))
            query = f"SELECT lookup, value FROM vault WHERE lookup IN ({marks})"  # noqa: S608 - only marks
            with closing(self._connection.execute(query, part)) as cursor:
                found.update(cursor.fetchall())
        return found

    def add_many(self, rows: Mapping[str, bytes]) -> None:
        """Write each row unless one is there, all in one transaction."""
        with self._writing, closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany(
                    "INSERT INTO vault VALUES (?, ?) ON CONFLICT (lookup) DO NOTHING", list(rows.items())
                )
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")


def master_key_from_file(path: Path) -> bytes:
    """Return the 32-byte master key of a key file, made on first use and readable by its owner only.

    Raises
    ------
    ValueError
        If the file does not hold exactly 32 bytes.
    """
    if not path.exists():
        # Made beside and linked: no other process can see a half-written key, and the first one stays.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    key = path.read_bytes()
    if len(key) != 32:
        raise ValueError("a vault key file holds exactly 32 bytes")
    return key
