"""What a job has settled so far: an SQLite file beside the report, there until the report is written.

A file is known by a keyed digest of its path below the input, so that no name of the input is in here.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self

from firstread.deid.folder.errors import JobError, UsageError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS job (settings TEXT NOT NULL, started TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, number INTEGER NOT NULL, sha256 TEXT, outcome TEXT NOT NULL,
    output TEXT, reason TEXT, size INTEGER NOT NULL, actions TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS outputs (instance TEXT PRIMARY KEY, output TEXT NOT NULL) WITHOUT ROWID;
DELETE FROM outputs;
"""


class Outcome(StrEnum):
    """What becomes of a file; the word of the report."""

    DEIDENTIFIED = "deidentified"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


class Entry(NamedTuple):
    """A file that is settled.

    Parameters
    ----------
    sha256
        Of the input; None if it could not be read.
    output
        Path below the output folder; None for what is quarantined.
    reason
        Why it is quarantined; None otherwise.
    size
        Of the output, in bytes.
    actions
        `Deidentified.actions` of what came out.
    """

    sha256: str | None
    outcome: Outcome
    output: str | None = None
    reason: str | None = None
    size: int = 0
    actions: Mapping[str, int] = {}


@dataclass(frozen=True)
class Totals:
    """What came of a job.

    Parameters
    ----------
    outcomes
        Number of files.
    reasons
        Number of quarantined files.
    actions
        How often each action was taken in all files that came out.
    """

    outcomes: Counter[str]
    reasons: Counter[str]
    actions: Counter[str]


class Journal:
    """The state of one job.

    Parameters
    ----------
    path
        The file; made where it is missing.
    settings
        Digest of what the job was asked to do.
    started
        When, for a job that begins now.

    Raises
    ------
    UsageError
        If the file is of a job with other settings.
    JobError
        If the file cannot be used.
    """

    def __init__(self, path: Path, settings: str, started: str) -> None:
        self._path = path
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            # Survives a kill. What is lost with the power is done again.
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
            found = self._one("SELECT settings, started FROM job")
            if found is None:
                self._connection.execute("INSERT INTO job VALUES (?, ?)", (settings, started))
        except sqlite3.Error:
            self._connection.close()
            raise JobError("the journal of the unfinished job beside the report cannot be used") from None
        if found is not None and found[0] != settings:
            self._connection.close()
            raise UsageError(
                "an unfinished job with other settings has this report: "
                "run it again as it was, or choose another --report and --out"
            )
        self.started: str = found[1] if found else started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def remove(self) -> None:
        """Remove the file: the report holds everything now."""
        self._connection.close()
        self._path.unlink()

    def entry(self, path: str) -> Entry | None:
        """Return what became of a file before; None if it is not settled."""
        row = self._one(
            "SELECT sha256, outcome, output, reason, size, actions FROM files WHERE path = ?", path
        )
        return None if row is None else _entry(row)

    def settle(self, path: str, number: int, entry: Entry) -> None:
        """Write what became of a file; for an output, before it gets its name: a kill between leaves it to be done."""
        actions = json.dumps(entry.actions)
        values = (path, number, entry.sha256, entry.outcome, entry.output, entry.reason, entry.size, actions)
        self._connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def move(self, path: str, number: int) -> None:
        """Say where a file that is settled stands in the order now."""
        self._connection.execute("UPDATE files SET number = ? WHERE path = ?", (number, path))

    def add_output(self, instance: str, output: str) -> None:
        """Remember where an instance is."""
        self._connection.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?)", (instance, output))

    def remove_output(self, instance: str) -> None:
        """Forget where an instance was."""
        self._connection.execute("DELETE FROM outputs WHERE instance = ?", (instance,))

    def output_of(self, instance: str) -> str | None:
        """Return where an instance is."""
        row = self._one("SELECT output FROM outputs WHERE instance = ?", instance)
        return None if row is None else row[0]

    def entries(self) -> Iterator[Entry]:
        """Yield everything that is settled, in order."""
        query = "SELECT sha256, outcome, output, reason, size, actions FROM files ORDER BY number, rowid"
        with closing(self._connection.execute(query)) as cursor:
            yield from map(_entry, cursor)

    def totals(self) -> Totals:
        """Count what is settled."""
        totals = Totals(Counter(), Counter(), Counter())
        for entry in self.entries():
            totals.outcomes[entry.outcome.value] += 1
            totals.actions.update(entry.actions)
            if entry.reason:
                totals.reasons[entry.reason] += 1
        return totals

    def _one(self, query: str, *values: str) -> tuple[str, ...] | None:
        with closing(self._connection.execute(query, values)) as cursor:
            found: tuple[str, ...] | None = cursor.fetchone()
        return found


def _entry(row: tuple[str, ...]) -> Entry:
    sha256, outcome, output, reason, size, actions = row
    return Entry(sha256, Outcome(outcome), output, reason, int(size), json.loads(actions))
