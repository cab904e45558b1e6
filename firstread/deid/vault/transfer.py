"""A vault as a file of sealed lines, to take into another vault: a file into DynamoDB, or a table into a new one.

The first line names format, version and a random identifier; each other line is one row, AES-256-GCM under the
transfer key, bound to the identifier and its number; the last line holds the count, so that nothing can be cut off.
"""

import base64
import binascii
import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from firstread.deid.vault.errors import VaultDamagedError, VaultKeyError
from firstread.deid.vault.identity import PATIENT, SURROGATE, UID, way_back
from firstread.deid.vault.keys import Keys
from firstread.deid.vault.rows import Name, Row, Rows
from firstread.deid.vault.store import VaultArchive

_FORMAT = "firstread vault export"
_VERSION = 1
_BATCH = 500


@dataclass
class Imported:
    """What became of the rows of an export, by kind; ways back are not counted.

    Parameters
    ----------
    added
        New here.
    present
        Here already, and the same.
    conflicting
        Here already with another value, which stays.
    """

    added: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)
    conflicting: Counter[str] = field(default_factory=Counter)


def export_rows(rows: Rows, store: VaultArchive, target: Path, key: bytes) -> int:
    """Write all rows of all tenants to a new file, readable by its owner only.

    Returns
    -------
    int
        How many.

    Raises
    ------
    FileExistsError
        If the file is there already.
    """
    keys, identifier = Keys(key), secrets.token_hex(16)
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            head = {"format": _FORMAT, "version": _VERSION, "identifier": identifier}
            file.write(json.dumps(head) + "\n")
            file.write(_line(keys, f"{identifier} head", {}))
            count = 0
            for row in rows.walk(store.rows()):
                file.write(_line(keys, f"{identifier} {count}", [row.tenant, *row.name, row.payload]))
                count += 1
            file.write(_line(keys, f"{identifier} end", count))
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return count


def import_rows(rows: Rows, source: Path, key: bytes) -> Imported:
    """Add the rows of an export to a vault: each is written unless one is there, and nothing is overwritten.

    The file is read whole before the first row is written. An import that was broken off is repeated.

    Parameters
    ----------
    rows
        Of the vault that gets them.
    source, key
        The export and its key.

    Raises
    ------
    VaultKeyError
        If the file is no export, of a version that is not known, or of another key.
    VaultDamagedError
        If a line was changed, moved or cut off; nothing was written then.
    """
    for _ in _rows_of(source, key):
        pass
    told = Imported()
    found = _rows_of(source, key)
    while batch := list(islice(found, _BATCH)):
        _import(rows, batch, told)
    return told


def _import(rows: Rows, batch: list[Row], told: Imported) -> None:
    # Where a row conflicts, its way back is still true: the surrogate was given out, by the other vault.
    backs = [
        Row(row.tenant, name, payload)
        for row in batch
        if row.name.kind in (PATIENT, UID)
        for name, payload in way_back(*row.name, row.payload).items()
    ]
    before = rows.store.get_many(rows.lookup_of(row.tenant, row.name) for row in batch)
    rows.add_rows(backs)
    for row, there in zip(batch, rows.add_rows(batch), strict=True):
        if row.name.kind == SURROGATE:
            continue  # random, so never conflicting; written with what it leads back to
        if there.payload != row.payload:
            told.conflicting[row.name.kind] += 1
        elif rows.lookup_of(row.tenant, row.name) in before:
            told.present[row.name.kind] += 1
        else:
            told.added[row.name.kind] += 1


def _rows_of(source: Path, key: bytes) -> Iterator[Row]:
    keys = Keys(key)
    with source.open(encoding="ascii", errors="replace") as file:
        identifier = _identifier(file.readline())
        try:
            _opened(keys, f"{identifier} head", file.readline())
        except VaultDamagedError:
            raise VaultKeyError("the key is not the one of this export") from None
        count, line = 0, file.readline()
        for following in file:
            tenant, kind, original, payload = json.loads(_opened(keys, f"{identifier} {count}", line))
            yield Row(tenant, Name(kind, original), payload)
            count, line = count + 1, following
        if json.loads(_opened(keys, f"{identifier} end", line)) != count:
            raise VaultDamagedError("the export is not whole")


def _identifier(line: str) -> str:
    try:
        head = json.loads(line)
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("format") != _FORMAT or head.get("version") != _VERSION:
        raise VaultKeyError("the file is no export of a vault that this version can read")
    return str(head.get("identifier"))


def _line(keys: Keys, place: str, value: object) -> str:
    return base64.b64encode(keys.seal(place, json.dumps(value).encode())).decode() + "\n"


def _opened(keys: Keys, place: str, line: str) -> bytes:
    try:
        return keys.open(place, base64.b64decode(line.strip(), validate=True))
    except (binascii.Error, ValueError, VaultKeyError):
        raise VaultDamagedError("the export is not whole") from None
