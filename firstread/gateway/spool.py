"""What the gateway has taken and not yet handed on: files in a folder, and an SQLite index that makes them count.

A file belongs to the spool when its row is committed. The file is on the disk by then, and so is its name; success is
answered after that. A file without a row was never answered for and is removed at the next start. Names of files are
random: what a sender calls its patients and studies is in the files and the index only, which are this user's own.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from firstread.errors import FirstReadError
from firstread.gateway.items import Batch, Commitment, Identifiers, Item, Kind
from firstread.gateway.landing import Landing

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT NOT NULL UNIQUE, source TEXT NOT NULL,
    batch TEXT NOT NULL, study_uid TEXT NOT NULL, sop_class TEXT NOT NULL, sop_uid TEXT NOT NULL,
    number INTEGER NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, urgent INTEGER NOT NULL,
    received REAL NOT NULL, turn INTEGER NOT NULL DEFAULT 0, refusal TEXT
);
CREATE INDEX IF NOT EXISTS waiting ON items (kind, turn, urgent DESC, id) WHERE refusal IS NULL;
CREATE INDEX IF NOT EXISTS of_batch ON items (batch) WHERE refusal IS NULL;
CREATE INDEX IF NOT EXISTS of_instance ON items (sop_uid);
CREATE TABLE IF NOT EXISTS batches (batch TEXT PRIMARY KEY, source TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS studies (
    batch TEXT NOT NULL, study_uid TEXT NOT NULL, instances INTEGER NOT NULL, PRIMARY KEY (batch, study_uid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS instances (
    batch TEXT NOT NULL, study_uid TEXT NOT NULL, sop_uid TEXT NOT NULL, PRIMARY KEY (batch, study_uid, sop_uid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acknowledged (
    sop_uid TEXT PRIMARY KEY, sop_class TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commitments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, transaction_uid TEXT NOT NULL, source TEXT NOT NULL,
    ae_title TEXT NOT NULL, instances TEXT NOT NULL, asked REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL, at REAL NOT NULL);
"""
_ITEM = "id, kind, name, source, batch, study_uid, sop_class, sop_uid, number, size, sha256, urgent"


class SpoolError(FirstReadError):
    """The spool cannot be used."""


class _State(StrEnum):
    OPEN = "open"
    RELEASED = "released"
    ABORTED = "aborted"


class Spool:
    """The spool in one folder, for one process.

    Parameters
    ----------
    path
        The folder; made where it is missing.
    remember
        Whether acknowledged instances are remembered, for storage commitment.

    Raises
    ------
    SpoolError
        If another process has it, or it cannot be used.
    """

    def __init__(self, path: Path, *, remember: bool = False) -> None:
        self.objects, self.refused = path / "objects", path / "refused"
        for folder in (path, self.objects, self.refused):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        self._lock_file = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock_file)
            raise SpoolError("another gateway uses this spool") from None
        self._remember = remember
        self._lock = threading.RLock()
        self.changed = threading.Condition()
        """Notified when there is something to do."""
        index = path / "index.sqlite"
        index.touch(mode=0o600)
        self._connection = sqlite3.connect(index, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            # A commit is on the disk when it returns: success is answered after it.
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA)
            self._recover()
        except sqlite3.Error:
            self.close()
            raise SpoolError("the index of the spool cannot be used") from None
        _sync_folder(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder; what waits stays."""
        with self._lock:
            self._connection.close()
            os.close(self._lock_file)

    # ---- arriving

    def add(self, landing: Landing, kind: Kind, source: str, batch: str, about: Identifiers) -> None:
        """Take a file; when this returns, it survives a kill and a power cut.

        Raises
        ------
        OSError
            If the disk is full or broken. The file is gone then.
        """
        try:
            landing.finish()
            _sync_folder(self.objects)
            with self._transaction() as run:
                number = self._count(batch, source, about) if kind is Kind.OBJECT else 0
                values = (
                    kind,
                    landing.path.name,
                    source,
                    batch,
                    about.study_uid,
                    about.sop_class,
                    about.sop_uid,
                )
                more = (number, landing.size, landing.sha256, about.urgent, time.time())
                columns = f"{_ITEM}, received".removeprefix("id, ")
                run(f"INSERT INTO items ({columns}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", *values, *more)  # noqa: S608
            with self._lock:
                self._size += landing.size
        except (OSError, sqlite3.Error) as error:
            landing.discard()
            if isinstance(error, OSError):
                raise
            raise OSError(0, "the index of the spool cannot be written") from None
        self.notify()

    def _count(self, batch: str, source: str, about: Identifiers) -> int:
        execute = self._connection.execute
        execute("INSERT OR IGNORE INTO batches VALUES (?, ?, ?)", (batch, source, _State.OPEN))
        key = (batch, about.study_uid)
        new = execute("INSERT OR IGNORE INTO instances VALUES (?, ?, ?)", (*key, about.sop_uid)).rowcount
        execute("INSERT OR IGNORE INTO studies VALUES (?, ?, 0)", key)
        execute("UPDATE studies SET instances = instances + ? WHERE batch = ? AND study_uid = ?", (new, *key))
        return int(self._one("SELECT instances FROM studies WHERE batch = ? AND study_uid = ?", *key)[0])

    def end(self, batch: str, *, released: bool) -> None:
        """Say that nothing more comes with a batch."""
        state = _State.RELEASED if released else _State.ABORTED
        with self._transaction() as run:
            run("UPDATE batches SET state = ? WHERE batch = ?", state, batch)
        self.notify()

    # ---- leaving

    def waiting(self, kind: Kind, most: int) -> list[Item]:
        """Return what is next: what failed less often first, then urgent, then by arrival; a feed by arrival alone.

        Parameters
        ----------
        most
            Number of items.
        """
        order = "turn, urgent DESC, id" if kind is Kind.OBJECT else "id"
        query = f"SELECT {_ITEM} FROM items WHERE kind = ? AND refusal IS NULL ORDER BY {order} LIMIT ?"  # noqa: S608
        return [self._item(row) for row in self._all(query, kind, most)]

    def sent(self, items: Sequence[Item]) -> None:
        """Forget items that the other side has acknowledged."""
        with self._transaction() as run:
            gone = 0
            for item in items:
                gone += item.size * run("DELETE FROM items WHERE id = ?", item.id).rowcount
                if self._remember and item.kind is Kind.OBJECT:
                    values = (item.about.sop_uid, item.about.sop_class, time.time())
                    run("INSERT OR REPLACE INTO acknowledged VALUES (?, ?, ?)", *values)
            self._add_to(f"sent_{items[0].kind}", len(items))
        with self._lock:
            self._size -= gone
        for item in items:
            item.path.unlink(missing_ok=True)
        self.notify()

    def failed(self, items: Sequence[Item]) -> None:
        """Let others go first."""
        with self._transaction() as run:
            for item in items:
                run("UPDATE items SET turn = turn + 1 WHERE id = ?", item.id)

    def refuse(self, item: Item, reason: str) -> None:
        """Put an item aside that the other side will never take."""
        with self._transaction() as run:
            run("UPDATE items SET refusal = ? WHERE id = ?", reason, item.id)
        if item.path.exists():
            item.path.rename(self.refused / item.path.name)
        self.notify()

    def ended(self) -> list[Batch]:
        """Return the released batches of which nothing waits any more.

        What was refused counts: a study must not look complete while an instance of it lies here.
        """
        query = """SELECT batch, source FROM batches WHERE state = ?
            AND NOT EXISTS (SELECT 1 FROM items WHERE items.batch = batches.batch AND refusal IS NULL)"""
        found = []
        for batch, source in self._all(query, _State.RELEASED):
            studies = self._all("SELECT study_uid, instances FROM studies WHERE batch = ?", batch)
            found.append(Batch(batch, source, dict(studies)))
        return found

    def forget(self, batch: str) -> None:
        """Forget a batch whose end has been told."""
        with self._transaction() as run:
            for table in ("batches", "studies", "instances"):
                run(f"DELETE FROM {table} WHERE batch = ?", batch)  # noqa: S608 - our own words

    def forget_aborted(self) -> None:
        """Forget aborted batches of which nothing waits; nobody is told of their end."""
        query = """SELECT batch FROM batches WHERE state = ?
            AND NOT EXISTS (SELECT 1 FROM items WHERE items.batch = batches.batch AND refusal IS NULL)"""
        for (batch,) in self._all(query, _State.ABORTED):
            self.forget(batch)

    # ---- looking

    @property
    def size(self) -> int:
        """Bytes that wait or are put aside; asked for each object, so it is counted on the way."""
        return self._size

    def count(self, name: str) -> None:
        """Add one to a counter, for `status`."""
        with self._transaction():
            self._add_to(name, 1)

    def is_acknowledged(self, sop_uid: str) -> str | None:
        """Return the SOP class of an instance that was acknowledged; None if it was not, or long ago."""
        row = self._all("SELECT sop_class FROM acknowledged WHERE sop_uid = ?", sop_uid)
        return row[0][0] if row else None

    def is_waiting(self, sop_uid: str) -> bool:
        """Return whether an instance is still on its way."""
        return bool(self._all("SELECT 1 FROM items WHERE sop_uid = ? AND refusal IS NULL", sop_uid))

    def forget_acknowledged(self, before: float) -> None:
        """Forget what was acknowledged before a time (seconds since the epoch)."""
        with self._transaction() as run:
            run("DELETE FROM acknowledged WHERE at < ?", before)

    def notify(self) -> None:
        """Wake whoever waits for something to do."""
        with self.changed:
            self.changed.notify_all()

    # ---- storage commitment

    def add_commitment(self, transaction_uid: str, source: str, ae_title: str, instances: str) -> None:
        """Keep a request until its answer was delivered."""
        with self._transaction() as run:
            values = (transaction_uid, source, ae_title, instances, time.time())
            columns = "transaction_uid, source, ae_title, instances, asked"
            run(f"INSERT INTO commitments ({columns}) VALUES (?, ?, ?, ?, ?)", *values)  # noqa: S608
        self.notify()

    def commitments(self) -> list[Commitment]:
        """Return the requests that wait for their answer."""
        return [Commitment(*row) for row in self._all("SELECT * FROM commitments ORDER BY id")]

    def settle_commitment(self, number: int, counter: str) -> None:
        """Forget a request, and count how it ended."""
        with self._transaction() as run:
            run("DELETE FROM commitments WHERE id = ?", number)
            self._add_to(counter, 1)

    # ---- inside

    def _recover(self) -> None:
        """Bring files and rows together after whatever ended the last process."""
        with self._transaction() as run:
            run("UPDATE batches SET state = ? WHERE state = ?", _State.ABORTED, _State.OPEN)
        refused = dict(self._all("SELECT name, id FROM items WHERE refusal IS NOT NULL"))
        waiting = {row[0] for row in self._all("SELECT name FROM items WHERE refusal IS NULL")}
        for path in list(self.objects.iterdir()):
            if path.name in refused:
                path.rename(self.refused / path.name)
            elif path.name not in waiting:
                path.unlink()
        for name, number in refused.items():
            if not (self.refused / name).exists():  # somebody has looked after it
                with self._transaction() as run:
                    run("DELETE FROM items WHERE id = ?", number)
        self._size = int(self._one("SELECT coalesce(sum(size), 0) FROM items")[0])

    def _item(self, row: Sequence[Any]) -> Item:
        number, kind, name, source, batch, study_uid, sop_class, sop_uid, count, size, sha256, urgent = row
        about = Identifiers(sop_class, sop_uid, study_uid, bool(urgent))
        return Item(number, Kind(kind), self.objects / name, source, batch, about, count, size, sha256)

    def _add_to(self, name: str, more: int) -> None:
        query = """INSERT INTO counters VALUES (?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET value = value + excluded.value, at = excluded.at"""
        self._connection.execute(query, (name, more, time.time()))

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """Yield a function that runs one statement; all of them count, or none."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield lambda query, *values: self._connection.execute(query, values)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite ends it itself where the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    def _one(self, query: str, *values: object) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self._all(query, *values)[0]
        return found

    def _all(self, query: str, *values: object) -> list[Any]:
        with self._lock, closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchall()


def _sync_folder(path: Path) -> None:
    """Put the names in a folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
