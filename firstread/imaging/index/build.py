"""Making an index: walk, read what is new, and derive the rest."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from firstread.imaging.index.identity import identify
from firstread.imaging.index.quality import quality as quality_of
from firstread.imaging.index.record import FileReason, Outcome, Reader
from firstread.imaging.index.store import IndexingError, Store
from firstread.imaging.tree import Found, walk

Row = dict[str, Any]
PathLike = str | os.PathLike[str]


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
    derived
        Images that came without UIDs: they have some of their folder.
    measured, not_measured
        Images whose pixels were read, in this run or before it; those whose pixels cannot be read, by reason.
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
    derived: int = 0
    measured: int = 0
    not_measured: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return it for a program."""
        return asdict(self)


def build(
    path: PathLike,
    out: PathLike = "firstread-index",
    *,
    quality: bool = False,
    settled: Callable[[int, int], object] | None = None,
) -> Summary:
    """Index a folder, or bring its index up to date: files with the same size and time are not read again.

    Killed, the next call goes on with what was read until a minute before.

    Parameters
    ----------
    path
        Folder of DICOM files, in any order and depth.
    out
        Folder of the index.
    quality
        Whether the pixels of all images are read too, one frame at a time, once the other tables are written.
        What was measured before is kept in any case.
    settled
        Told now and then how many files are done, and of how many; with `quality`, then of how many images.

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
    settled = settled or (lambda _done, _of: None)
    with store.alone(root):
        found, unlisted = walk(root, store.folder)
        files, read = _rows(root, found, store, settled)
        _settle_copies(root, files)
        run = _Run(root, store, files, read, unlisted)
        summary = run.write()
        return run.measure(settled) if quality else summary


def _rows(
    root: Path, found: Sequence[Found], store: Store, settled: Callable[[int, int], object]
) -> tuple[list[Row], int]:
    known, reader = store.known("files"), Reader()
    files: list[Row] = []
    read = 0
    with store.keeping("files") as keep:
        for number, each in enumerate(found):
            row = known.get(each.path)
            if row is None or (row["size"], row["mtime_ns"]) != (each.size, each.mtime_ns):
                row = _read(reader, root, each)
                keep(row)
                read += 1
            files.append(row)
            if number % 64 == 0:
                settled(number, len(found))
    settled(len(found), len(found))
    return files, read


def _read(reader: Reader, root: Path, file: Found) -> Row:
    if file.is_named:
        row = reader.row(f"{root}{os.sep}{file.path}", file.size)
    else:
        row = {"outcome": Outcome.BROKEN.value, "reason": FileReason.NOT_OPENED.value}
    row.update(path=file.path, size=file.size, mtime_ns=file.mtime_ns)
    if row["reason"] is None:
        identify(row)
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


class _Run:
    """What was found in the files, on its way into the tables."""

    def __init__(self, root: Path, store: Store, files: Sequence[Row], read: int, unlisted: int) -> None:
        from firstread.imaging.index.derive import tables

        self._root, self._store, self._read, self._unlisted = root, store, read, unlisted
        instances = [row for row in files if row["outcome"] == Outcome.INSTANCE]
        self._images = [row for row in instances if row["is_image"]]
        self._tables: dict[str, Sequence[Row]] = {"files": files, **tables(instances, root)}
        before = store.known("pixels")
        self._pixels = {
            path: before[path]
            for path, size, time in ((row["path"], row["size"], row["mtime_ns"]) for row in self._images)
            if path in before and (before[path]["size"], before[path]["mtime_ns"]) == (size, time)
        }

    def write(self) -> Summary:
        """Write all tables."""
        return self._write(self._tables)

    def measure(self, settled: Callable[[int, int], object]) -> Summary:
        """Read the pixels of images that were not measured before, and write the tables about them."""
        from firstread.imaging.index.figures import figures

        with self._store.keeping("pixels") as keep:
            for number, image in enumerate(self._images):
                settled(number, len(self._images))
                if (path := image["path"]) not in self._pixels:
                    row = {name: image[name] for name in ("path", "size", "mtime_ns")}
                    self._pixels[path] = row | figures(self._root / path)
                    keep(self._pixels[path])
        settled(len(self._images), len(self._images))
        return self._write({})

    def _write(self, tables: Mapping[str, Sequence[Row]]) -> Summary:
        pixels = [self._pixels[row["path"]] for row in self._images if row["path"] in self._pixels]
        of_volumes = list(quality_of(self._tables["volumes"], self._images, self._pixels))
        summary = self._summary(pixels)
        manifest = {"root": str(self._root), "summary": summary.to_json()}
        self._store.write({**tables, "pixels": pixels, "quality": of_volumes}, manifest)
        return summary

    def _summary(self, pixels: Sequence[Row]) -> Summary:
        files, series = self._tables["files"], self._tables["series"]
        copies = [row for row in files if row["outcome"] == Outcome.DUPLICATE]
        return Summary(
            files=len(files),
            read=self._read,
            unlisted_folders=self._unlisted,
            instances=sum(row["outcome"] == Outcome.INSTANCE for row in files),
            studies=len({row["study_uid"] for row in series}),
            series=len(series),
            volumes=sum(row["volumes"] for row in series),
            geometry=_counted(_judgements(self._tables["volumes"])),
            duplicates=len(copies),
            conflicting=sum(row["same_bytes"] is False for row in copies),
            left_out=_counted(row["reason"] for row in files if row["reason"]),
            unresolved=sum(not row["is_resolved"] for row in self._tables["links"]),
            derived=sum(bool(row["derived_uids"]) for row in files if row["reason"] is None),
            measured=sum(row["reason"] is None for row in pixels),
            not_measured=_counted(row["reason"] for row in pixels if row["reason"]),
        )


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _judgements(volumes: Sequence[Row]) -> Iterator[str]:
    for row in volumes:
        yield row.get("reason") or row["geometry"]
