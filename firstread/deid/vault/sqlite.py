"""The vault's rows in one SQLite file: durable against a kill, safe for several processes."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from firstread.deid.vault.errors import VaultKeyError
from firstread.deid.vault.identity import IdentityVault
from firstread.deid.vault.keys import master_key_from_file

_BATCH = 500
_BUSY_SECONDS = 30
_APPLICATION_ID = 0x46525654  # "FRVT"; tells a vault from any other SQLite file
_MAGIC = b"SQLite format 3\0"
_TABLE = "(lookup TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"


class SqliteVaultStore:
    """A `VaultArchive` in a file.

    Parameters
    ----------
    path
        The database file; made, readable by its owner only, where it is missing.

    Raises
    ------
    VaultKeyError
        If the file is something else than a vault.
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600, exist_ok=True)
        with path.open("rb") as file:
            # SQLite takes a short file for an empty database and writes over it; it could be somebody's key.
            if file.read(len(_MAGIC)) not in (b"", _MAGIC):
                raise VaultKeyError("the file is not a vault")
        self._using = threading.RLock()  # a connection has one transaction at a time
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            if isinstance(error, sqlite3.OperationalError):  # locked, disk full: no fault of the file
                raise
            raise VaultKeyError("the file is not a vault") from None
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        self._pragma("application_id")  # reads the header: what is no database fails before it is changed
        with self._transaction() as cursor:
            known = self._pragma("application_id")
            if not known and not cursor.execute("SELECT 1 FROM sqlite_master").fetchone():
                cursor.execute(f"CREATE TABLE vault {_TABLE}")
                cursor.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            elif known != _APPLICATION_ID:
                raise VaultKeyError("the file is not a vault")
        self._to_wal()
        # A committed pseudonym must survive power loss: another one would split a patient in two.
        self._connection.execute("PRAGMA synchronous=FULL")
        self._world = self._pragma("user_version")

    def _to_wal(self) -> None:
        # SQLite does not wait for others when it changes the journal mode, whatever the timeout.
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _pragma(self, name: str) -> int:
        with closing(self._connection.execute(f"PRAGMA {name}")) as cursor:
            return int(cursor.fetchone()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def get_many(self, lookups: Iterable[str]) -> dict[str, bytes]:
        """Return the rows that exist."""
        # With the lock: another thread's rows count when they are committed, not before.
        with self._using, closing(self._connection.cursor()) as cursor:
            return _select(cursor, list(lookups))

    def add_many(self, rows: Mapping[str, bytes]) -> dict[str, bytes]:
        """Write each row unless one is there, all in one transaction; return what is there now.

        Raises
        ------
        VaultKeyError
            If the file was put under another key since it was opened: rows under the old one would be a second world.
        """
        with self._transaction() as cursor:
            if self._pragma("user_version") != self._world:
                raise VaultKeyError("the vault was put under another key; open it anew")
            cursor.executemany(
                "INSERT INTO vault VALUES (?, ?) ON CONFLICT (lookup) DO NOTHING", list(rows.items())
            )
            return _select(cursor, list(rows))

    @contextmanager
    def group(self) -> Iterator[None]:
        """Let what is written inside become durable together at the end: one wait for the disk in place of many.

        Inside, rows survive a kill of the process, but not power loss: what uses their surrogates may be published only
        behind the end.
        """
        self._connection.execute("PRAGMA synchronous=NORMAL")
        try:
            yield
        finally:
            self._connection.execute("PRAGMA synchronous=FULL")
            with self._transaction() as cursor:  # any commit writes the whole log through
                cursor.execute(f"PRAGMA user_version={self._pragma('user_version')}")

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Yield every row, as of the first."""
        with closing(self._connection.execute("SELECT lookup, value FROM vault")) as cursor:
            yield from cursor

    def rewrite(self, change: Callable[[Iterator[tuple[str, bytes]]], Iterator[tuple[str, bytes]]]) -> int:
        """Replace all rows in one transaction, and shut out every process that has the file open.

        Parameters
        ----------
        change
            Old rows in, new rows out.

        Returns
        -------
        int
            How many rows there are now.
        """
        self._connection.execute("PRAGMA secure_delete=ON")  # the old rows' pages are overwritten with zeros
        with self._transaction() as cursor:
            cursor.execute(f"CREATE TABLE renewed {_TABLE}")
            cursor.executemany("INSERT INTO renewed VALUES (?, ?)", change(self.rows()))
            cursor.execute("DROP TABLE vault")
            cursor.execute("ALTER TABLE renewed RENAME TO vault")
            cursor.execute(f"PRAGMA user_version={self._pragma('user_version') + 1}")
            count = int(cursor.execute("SELECT count(*) FROM vault").fetchone()[0])
        self._world = self._pragma("user_version")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._using, closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")


def _select(cursor: sqlite3.Cursor, keys: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for start in range(0, len(keys), _BATCH):
        part = keys[start : start + _BATCH]
        marks = ",".join("?" * len(part))
        query = f"SELECT lookup, value FROM vault WHERE lookup IN ({marks})"  # noqa: S608 - only marks
        found.update(cursor.execute(query, part).fetchall())
    return found


def open_vault(link: Path, key: Path, tenant: str = "default") -> IdentityVault:
    """Open the identity vault of a link file, which stays open; both files are made on first use.

    Parameters
    ----------
    link
        The vault as an SQLite file; nothing in it can be read without the key.
    key
        32 random bytes.
    tenant
        Whose world.

    Raises
    ------
    VaultKeyError
        If the file is no vault, or one that was made with another key.
    """
    store = SqliteVaultStore(link)
    try:
        return IdentityVault(store, master_key_from_file(key), tenant)
    except BaseException:
        store.close()
        raise
