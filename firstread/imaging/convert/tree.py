"""The files of a tree by series, from the first kilobytes of each."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from firstread.imaging.convert.ids import Ids, read_ids


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
    """

    path: Path
    size: int
    mtime_ns: int
    sop_uid: str


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
        Files that begin as DICOM and cannot be read.
    """

    series: dict[str, Series]
    others: int
    broken: tuple[Path, ...]


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
    others = 0
    broken: list[Path] = []
    for path in _files(roots, leave.resolve()):
        try:
            ids = read_ids(path)
            state = path.stat()
        except OSError:
            broken.append(path)
            continue
        if ids is None:
            others += 1
        elif not ids.series_uid:
            broken.append(path)
        else:
            series = found.setdefault(ids.series_uid, Series(ids))
            series.files.append(Source(path, state.st_size, state.st_mtime_ns, ids.sop_uid))
            series.has_images |= ids.has_image
    return Tree(found, others, tuple(broken))


def _files(roots: Sequence[Path], leave: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    for root in roots:
        for path in _below(root, leave):
            if (real := path.resolve()) not in seen and real.is_file():
                seen.add(real)
                yield path


def _below(root: Path, leave: Path) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if (Path(folder) / name).resolve() != leave)
        yield from (Path(folder) / name for name in sorted(files))
