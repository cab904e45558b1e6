"""Making an index: walk, read what is new, and derive the rest."""

import hashlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from firstread.imaging.index.record import FileReason, Outcome, Reader
from firstread.imaging.index.store import IndexingError, Store
from firstread.imaging.index.tree import Found, walk

Row = dict[str, Any]
PathLike = str | os.PathLike[str]
_KEEP_EVERY, _KEEP_SECONDS = 20_000, 60.0


@dataclass(frozen=True)
class Summary:
    """What a run found; counts only, nothing of any header.

    Parameters
    ----------
    files, read, unlisted_folders
        Files there are; of them those that were read now; folders that could not be listed.
    instances, studies, series, volumes
        What is in the index.
    geometry
        Volumes by geometry; series that are none by their reason.
    duplicates, conflicting
        Files whose SOP Instance UID another has too; those of them with other bytes.
    left_out
        Files that are no instances, by reason.
    unresolved
        References to what is not in the index.
    """

    files: int
    read: int
    unlisted_folders: int
    instances: int
    studies: int
    series: int
    volumes: int
    geometry: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    conflicting: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    unresolved: int = 0

    def to_json(self) -> dict[str, object]:
        """Return it for a program."""
        return asdict(self)


def build(
    path: PathLike, out: PathLike = "firstread-index", *, settled: Callable[[int, int], object] | None = None
) -> Summary:
    """Index a folder, or bring its index up to date: files with the same size and time are not read again.

    Killed, the next call goes on with what was read until a minute before.

    Parameters
    ----------
    path
        Folder of DICOM files, in any order and depth.
    out
        Folder of the index.
    settled
        Told now and then how many files are done, and of how many.

    Raises
    ------
    IndexingError
        If there is no such folder; if the other is no index, is that of another folder, or is being written.
    OSError
        If the index cannot be written.
    """
    root, store = Path(path).resolve(), Store(Path(out).resolve())
    if not root.is_dir():
        raise IndexingError("there is no such folder")
    with store.alone(root):
        found, unlisted = walk(root, store.folder)
        files, read = _rows(root, found, store, settled or (lambda _done, _of: None))
        _settle_copies(root, files)
        return _write(root, store, files, read, unlisted)


def _rows(
    root: Path, found: Sequence[Found], store: Store, settled: Callable[[int, int], object]
) -> tuple[list[Row], int]:
    known, reader = store.known(), Reader()
    files: list[Row] = []
    new: list[Row] = []
    kept, since = 0, time.monotonic()
    try:
        for number, each in enumerate(found):
            row = known.get(each.path)
            if row is None or (row["size"], row["mtime_ns"]) != (each.size, each.mtime_ns):
                row = _read(reader, root, each)
                new.append(row)
            files.append(row)
            if number % 64 == 0:
                settled(number, len(found))
                if len(new) - kept >= _KEEP_EVERY or time.monotonic() - since > _KEEP_SECONDS:
                    store.keep(new[kept:])
                    kept, since = len(new), time.monotonic()
    except BaseException:
        store.keep(new[kept:])
        raise
    settled(len(found), len(found))
    return files, len(new)


def _read(reader: Reader, root: Path, file: Found) -> Row:
    if file.is_named:
        row = reader.row(f"{root}{os.sep}{file.path}", file.size)
    else:
        row = {"outcome": Outcome.BROKEN.value, "reason": FileReason.NOT_OPENED.value}
    row.update(path=file.path, size=file.size, mtime_ns=file.mtime_ns)
    return row


def _settle_copies(root: Path, files: Sequence[Row]) -> None:
    """Say of each file whether it is the first with its SOP Instance UID, and of others whether they are the same."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in files:
        if row["reason"] is None:
            row.update(outcome=Outcome.INSTANCE.value, duplicate_of=None, same_bytes=None)
            groups[row["sop_uid"]].append(row)
    for first, *others in groups.values():
        for each in others:
            digests = [_digest(root, row) for row in (first, each)]
            each.update(
                outcome=Outcome.DUPLICATE.value,
                duplicate_of=first["path"],
                same_bytes=digests[0] == digests[1] if all(digests) else None,
            )


def _digest(root: Path, row: Row) -> str | None:
    if row.get("sha256") is None:
        try:
            with (root / row["path"]).open("rb") as file:
                row["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
    digest: str = row["sha256"]
    return digest


def _write(root: Path, store: Store, files: Sequence[Row], read: int, unlisted: int) -> Summary:
    from firstread.imaging.index.derive import tables

    instances = [row for row in files if row["outcome"] == Outcome.INSTANCE]
    found: dict[str, Sequence[Row]] = {"files": files, **tables(instances, root)}
    copies = [row for row in files if row["outcome"] == Outcome.DUPLICATE]
    series, volumes = found["series"], found["volumes"]
    summary = Summary(
        files=len(files),
        read=read,
        unlisted_folders=unlisted,
        instances=len(instances),
        studies=len({row["study_uid"] for row in series}),
        series=len(series),
        volumes=sum(row["volumes"] for row in series),
        geometry=dict(sorted(Counter(_judgements(volumes)).items())),
        duplicates=len(copies),
        conflicting=sum(row["same_bytes"] is False for row in copies),
        left_out=dict(sorted(Counter(row["reason"] for row in files if row["reason"]).items())),
        unresolved=sum(not row["is_resolved"] for row in found["links"]),
    )
    store.write(found, {"root": str(root), "summary": summary.to_json()})
    return summary


def _judgements(volumes: Sequence[Row]) -> Iterator[str]:
    for row in volumes:
        yield row.get("reason") or row["geometry"]
