"""The files of a tree by series, from one look at the header of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from firstread.imaging.convert.ids import Ids, read_file, read_ids
from firstread.imaging.plain import PlainHeader
from firstread.imaging.tree import Found, walk

_MOST_HEADERS = 5000
"""Kept until their series are loaded, some 15 KB each; of more files, those of the others are read again then."""


@dataclass(frozen=True)
class Source:
    """A file, as it was when it was looked at.

    Parameters
    ----------
    path
        Where it lies.
    size, mtime_ns
        Bytes, and time of the last change in nanoseconds.
    sop_uid
        SOP Instance UID (0008,0018).
    header
        As it was read; None where it is to be read again.
    """

    path: Path
    size: int
    mtime_ns: int
    sop_uid: str
    header: PlainHeader | None = field(default=None, repr=False, compare=False)


@dataclass
class Series:
    """The files of a series.

    Parameters
    ----------
    ids
        Of its first file.
    files
        In the order of their paths.
    has_images
        Whether any has Rows (0028,0010).
    """

    ids: Ids
    files: list[Source] = field(default_factory=list)
    has_images: bool = False


@dataclass(frozen=True)
class Tree:
    """What there is to convert.

    Parameters
    ----------
    series
        By Series Instance UID.
    others
        How many files are no DICOM instances of a series: other files, DICOMDIR.
    broken
        Files that begin as DICOM and cannot be read, or cannot be opened.
    unlisted
        How many folders could not be listed.
    """

    series: dict[str, Series]
    others: int
    broken: tuple[Path, ...]
    unlisted: int = 0


def grow(roots: Sequence[Path], leave: Path) -> Tree:
    """Walk files and folders.

    Parameters
    ----------
    roots
        In which to look; links to folders are not followed.
    leave
        A folder that is not looked into: that of the output.
    """
    found: dict[str, Series] = {}
    others = kept = unlisted = 0
    broken: list[Path] = []
    seen: set[Path] = set()
    below = [_below(root, leave.resolve()) for root in roots]
    may_repeat = _may_repeat(below)
    for files, missed in below:
        unlisted += missed
        for path, file in files:
            if may_repeat and _is_known(path, seen):
                continue
            try:
                ids, header = read_file(path) if kept < _MOST_HEADERS else (read_ids(path), None)
            except OSError:
                broken.append(path)
                continue
            kept += header is not None
            if ids is not None and ids.has_image and not (ids.series_uid and ids.sop_uid and ids.study_uid):
                ids = _identified(ids, file)
            if ids is None:
                others += 1
            elif not ids.series_uid:
                broken.append(path)
            else:
                series = found.setdefault(ids.series_uid, Series(ids))
                series.files.append(Source(path, file.size, file.mtime_ns, ids.sop_uid, header))
                series.has_images |= ids.has_image
    return Tree(found, others, tuple(broken), unlisted)


def _identified(ids: Ids, file: Found) -> Ids:
    """Return ids with the UIDs that the index gives images that came without."""
    from firstread.imaging.index.identity import NAMES, identify  # with all of the index, which few need

    number = ids.series_number
    row: dict[str, Any] = {
        "path": file.path,
        "patient_id": ids.patient_id or None,
        "modality": ids.modality or None,
        "series_number": int(number) if number.isascii() and number.isdigit() else None,
        **{name: getattr(ids, name) or None for name in NAMES},
    }
    identify(row)
    return replace(ids, study_uid=row["study_uid"], series_uid=row["series_uid"], sop_uid=row["sop_uid"])


_Files = tuple[list[tuple[Path, Found]], int]


def _below(root: Path, leave: Path) -> _Files:
    if not root.is_dir():
        state = root.stat()
        return [(root, Found(root.name, state.st_size, state.st_mtime_ns, name=root.name))], 0
    files, unlisted = walk(root.resolve(), leave)
    return [(root / each.name, each) for each in files], unlisted


def _may_repeat(below: Sequence[_Files]) -> bool:
    """Return whether a file may come twice: by two roots, or by a link."""
    return len(below) > 1 or any(file.is_link for files, _ in below for _, file in files)


def _is_known(path: Path, seen: set[Path]) -> bool:
    real = path.resolve()
    is_known = real in seen
    seen.add(real)
    return is_known
