"""The images of a series as they are asked for: headers at once, pixels one frame at a time."""

from collections.abc import Sequence
from io import BufferedReader
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from firstread.imaging.lookup import numbers
from firstread.imaging.pixels import MAX_FRAME_PIXELS, decode
from firstread.imaging.plain import HEAD, NotPlainError, PlainHeader, plain_header

if TYPE_CHECKING:  # plain files are read without it
    from pydicom.dataset import Dataset

Array = npt.NDArray[Any]

_EXPLICIT, _IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_LONGEST_HEAD = 12  # of an element in bytes: tag, VR, reserved, length (PS3.5 7.1.2)


class Images(Protocol):
    """The images of a series."""

    @property
    def headers(self) -> Sequence["Dataset"]:
        """Return the data sets; whether they have their pixels does not matter."""

    def stored(self, image: int, frame: int) -> Array:
        """Return the stored values of a frame, rows x columns, or RGB; frames are 0 first.

        Raises
        ------
        PixelError
            If it cannot be decoded.
        """


class InMemory:
    """Images that are there with their pixels.

    Parameters
    ----------
    headers
        With their file meta information.
    """

    def __init__(self, headers: Sequence["Dataset"]) -> None:
        self.headers = headers

    def stored(self, image: int, frame: int) -> Array:
        """Return the stored values of a frame."""
        return decode(self.headers[image], frame).stored


class PlainFiles:
    """Images in files that are read without pydicom.

    Parameters
    ----------
    paths
        DICOM files.
    headers
        Theirs, where they were read already.

    Raises
    ------
    NotPlainError
        If pydicom should read one of them: here, and wherever a header or a frame is asked for.
    """

    def __init__(self, paths: Sequence[Path], headers: Sequence[PlainHeader | None] = ()) -> None:
        self._paths = paths
        self._plain = [
            header or _plain_header(path) for path, header in zip_longest(paths, headers[: len(paths)])
        ]

    @property
    def headers(self) -> Sequence["Dataset"]:
        """Return the headers: they answer as data sets do, or not at all."""
        return cast("list[Dataset]", self._plain)

    def stored(self, image: int, frame: int) -> Array:
        """Return the stored values of a frame, straight from the file."""
        found = _native(self._paths[image], self.headers[image], self._plain[image].end, frame)
        if found is None:
            raise NotPlainError
        return found


def _plain_header(path: Path) -> PlainHeader:
    with path.open("rb", buffering=0) as file:
        return plain_header(file.read(HEAD))


class OnDisk:
    """Images in files, of which one is held at a time.

    Parameters
    ----------
    paths
        DICOM files.

    Raises
    ------
    pydicom.errors.InvalidDicomError
        If a file is none.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        import pydicom

        from firstread.imaging.heads import header_of

        self._paths = paths
        self.headers: list[Dataset] = []
        self._ends: list[int] = []
        for path in paths:
            with path.open("rb", buffering=0) as file:
                found = header_of(file.read(HEAD))
                if found is None:
                    file.seek(0)
                    with BufferedReader(file) as slowly:
                        found = pydicom.dcmread(slowly, stop_before_pixels=True), slowly.tell()
            self.headers.append(found[0])
            self._ends.append(found[1])
        self._last: tuple[int, Dataset] | None = None

    def stored(self, image: int, frame: int) -> Array:
        """Return the stored values of a frame; those of native frames straight from the file."""
        native = _native(self._paths[image], self.headers[image], self._ends[image], frame)
        if native is not None:
            return native
        if self._last is None or self._last[0] != image:
            import pydicom

            self._last = image, pydicom.dcmread(self._paths[image])
        return decode(self._last[1], frame).stored


def _native(path: Path, header: "Dataset", end: int, frame: int) -> Array | None:
    """Return a frame as it lies in a file, its pixels after `end`; None where that is not simply so."""
    kind = _kind(header)
    if kind is None:
        return None
    rows, columns, stored = (int(numbers(header, each)[0]) for each in ("Rows", "Columns", "BitsStored"))
    found = np.empty((rows, columns), kind)
    count = int((numbers(header, "NumberOfFrames") or (1,))[0])
    with path.open("rb", buffering=0) as file:
        file.seek(end)
        head = file.read(_LONGEST_HEAD)
        explicit = header.file_meta.get("TransferSyntaxUID") == _EXPLICIT
        start, length = (12, head[8:12]) if explicit else (8, head[4:8])
        told, size = int.from_bytes(length, "little"), found.nbytes
        if head[:4] != _PIXEL_DATA or told not in (size * count, size * count + 1) or frame >= count:
            return None
        file.seek(end + start + frame * size)
        if file.readinto(found.data.cast("B")) != size:  # a short file, or a network that gives less at once
            return None
    return _of_stored_bits(found, stored)


def _kind(header: "Dataset") -> np.dtype[Any] | None:
    """Return the type of native grayscale samples; None for all others."""
    named = (
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "SamplesPerPixel",
    )
    found = [numbers(header, each) for each in named]
    if not all(len(each) == 1 for each in found):
        return None
    rows, columns, allocated, stored, high, signed, samples = (int(each[0]) for each in found)
    plain = (
        header.file_meta.get("TransferSyntaxUID") in (_EXPLICIT, _IMPLICIT)
        and header.get("PhotometricInterpretation") in ("MONOCHROME1", "MONOCHROME2")
        and (samples, high) == (1, stored - 1)
        and allocated in (8, 16, 32)
        and 0 < stored <= allocated
        and 0 < rows * columns <= MAX_FRAME_PIXELS
    )
    return np.dtype(f"<{'i' if signed else 'u'}{allocated // 8}") if plain else None


def _of_stored_bits(values: Array, stored: int) -> Array:
    """Return values without what lies in the bits above Bits Stored (PS3.5 8.1.1)."""
    unused = values.dtype.itemsize * 8 - stored
    if unused and values.dtype.kind == "u":
        values &= values.dtype.type((1 << stored) - 1)
    elif unused:
        values <<= unused
        values >>= unused
    return values
