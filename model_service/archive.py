"""A bundle as one file: packed the same way every time, unpacked under limits."""

import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from model_service.errors import BundleError
from model_service.registry import files

_CHUNK = 1024 * 1024
_ENCRYPTED = 0x1  # general purpose flag of a zip entry


@dataclass(frozen=True)
class Limits:
    """How large a bundle may be.

    Parameters
    ----------
    files
        Number of files in it.
    total_bytes
        Of all of them.
    """

    files: int = 2000
    total_bytes: int = 2 * 1024**3


LIMITS = Limits()


def pack(folder: Path, target: IO[bytes]) -> None:
    """Write the files of a bundle as a zip archive whose bytes depend on them only: stored, in order, without times.

    Parameters
    ----------
    folder
        The bundle.
    target
        Where the archive goes.
    """
    with zipfile.ZipFile(target, "w") as archive:
        for path in files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as written:
                shutil.copyfileobj(source, written, _CHUNK)


def unpack(source: IO[bytes], folder: Path, limits: Limits = LIMITS) -> None:
    """Unpack an archive into a folder; nothing is written outside it, and nothing but plain files.

    Parameters
    ----------
    source
        A zip archive, as anybody may have made it.
    folder
        An empty folder.
    limits
        How much of it there may be.

    Raises
    ------
    BundleError
        If it is no zip archive, or names what it may not; the folder may then hold a part of it.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            _check(entries, limits)
            for entry in entries:
                if not entry.is_dir():
                    _write(archive, entry, folder / entry.filename)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, UnicodeError) as error:
        raise BundleError(f"the archive cannot be read: {type(error).__name__}") from None


def _check(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(entries) > limits.files:
        raise BundleError(f"the archive has more than {limits.files} files")
    if sum(entry.file_size for entry in entries) > limits.total_bytes:
        raise BundleError(f"the archive inflates to more than {limits.total_bytes} bytes")
    names: set[str] = set()
    for entry in entries:
        _check_entry(entry)
        # Two names that are one on a file system without case would overwrite each other.
        folded = entry.filename.rstrip("/").casefold()
        if folded in names:
            raise BundleError("the archive names a file twice")
        names.add(folded)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or any(each in name for each in "\\:\0"):
        raise BundleError("the archive names a file outside its folder")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BundleError("the archive holds a link or a device")
    if entry.flag_bits & _ENCRYPTED:
        raise BundleError("the archive is encrypted")


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, target.open("xb") as written:
            # `zipfile` gives no more than the size that was checked, and checks the sum at the end.
            shutil.copyfileobj(source, written, _CHUNK)
    except (FileExistsError, NotADirectoryError):
        raise BundleError("the archive has a file where it has a folder") from None
