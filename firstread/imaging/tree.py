"""The files of a tree, by their paths."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Found:
    """A file.

    Parameters
    ----------
    path
        Below the root, with slashes; what is not UTF-8 in it is escaped, and `is_named` False.
    size, mtime_ns
        In bytes; last change.
    is_named
        Whether `path` is its name.
    name
        Below the root, as the system has it.
    is_link
        Whether it is a link to the file.
    """

    path: str
    size: int
    mtime_ns: int
    is_named: bool = True
    name: str = ""
    is_link: bool = False


def walk(root: Path, leave_out: Path) -> tuple[list[Found], int]:
    """Return the files below a folder in the order of their paths, and how many folders could not be listed.

    Links to folders are not followed, links to files are.

    Parameters
    ----------
    root
        The folder.
    leave_out
        A folder that is not walked.
    """
    found: list[Found] = []
    unlisted = 0
    base = len(str(root).rstrip(os.sep)) + 1
    folders = [str(root)]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.path != str(leave_out):
                            folders.append(entry.path)
                    elif entry.is_file() or entry.is_symlink():
                        found += _files(entry, base)
        except OSError:
            unlisted += 1
    found.sort(key=lambda each: each.path)
    return found, unlisted


def _files(entry: "os.DirEntry[str]", base: int) -> list[Found]:
    name = entry.path[base:]
    path = name.replace(os.sep, "/")
    named = path.encode("utf-8", "backslashreplace").decode()
    try:
        is_link = entry.is_symlink()
        if is_link and not entry.is_file():
            return [Found(named, -1, 0, is_named=False, name=name)] if not entry.is_dir() else []
        stat = entry.stat()
    except OSError:
        return [Found(named, -1, 0, is_named=False, name=name)]
    return [Found(named, stat.st_size, stat.st_mtime_ns, named == path, name, is_link)]
