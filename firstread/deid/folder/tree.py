"""The files of the input tree, in an order that is the same every time."""

import os
import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Refusal(StrEnum):
    """Why something in the input was not even read; beside `firstread.errors.Reason`."""

    NOT_READABLE = "not_readable"
    NOT_A_FILE = "not_a_file"
    LINK_OUTSIDE = "link_outside"


class Found(NamedTuple):
    """Something in the tree.

    Parameters
    ----------
    path
        Absolute path. It may carry patients' names: it is opened, and never told.
    refusal
        Why it is not to be opened.
    """

    path: str
    refusal: Refusal | None


def walk(root: Path) -> Iterator[Found]:
    """Yield every file below a folder, hidden ones too, sorted by name, the files of a folder before its subfolders.

    A symbolic link is followed where it leads to a file of the same tree. What leads out of it, what is no file, and
    a folder that cannot be listed are yielded with the reason.
    """
    top = os.path.realpath(root)
    unlisted: list[OSError] = []
    for folder, subfolders, names in os.walk(top, onerror=unlisted.append):
        subfolders.sort()
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118
        for name in sorted(names + links):
            path = os.path.join(folder, name)  # noqa: PTH118 - a million of these, and Path is ten times slower
            refusal = _refusal(path, top)
            if name not in links:
                yield Found(path, refusal)
            elif refusal is Refusal.LINK_OUTSIDE:  # a folder of this tree has its own turn
                yield Found(path, refusal)
    yield from (Found(str(error.filename), Refusal.NOT_READABLE) for error in unlisted)


def _refusal(path: str, top: str) -> Refusal | None:
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            if os.path.commonpath((top, os.path.realpath(path))) != top:
                return Refusal.LINK_OUTSIDE
            mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError:  # gone since, a link to nothing, or in a circle
        return Refusal.NOT_READABLE
    return None if stat.S_ISREG(mode) else Refusal.NOT_A_FILE
