"""Frames of an encapsulated Pixel Data element (PS3.5 A.4): where they are, and writing them anew."""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from pydicom.dataset import Dataset

from firstread.dicom.pixels import PixelSpan
from firstread.errors import QuarantineError, Reason

_HEADER = (
    12  # tag, VR, reserved, length of undefined value: encapsulated syntaxes are Explicit VR Little Endian
)
_ITEM = struct.pack("<HH", 0xFFFE, 0xE000)
_DELIMITER = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
_ELEMENT = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")  # SOI of JPEG and JPEG-LS, SOC and SIZ of JPEG 2000
_LARGEST_OFFSET = 2**32 - 1
OFFSET_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment.

    Parameters
    ----------
    item
        Offset of its item in the file.
    length
        Bytes of its value, which begins 8 bytes after the item.
    starts_image
        Whether a compressed image begins with it.
    """

    item: int
    length: int
    starts_image: bool


def frames_of(source: IO[bytes], span: PixelSpan, dataset: Dataset, frames: int) -> list[list[Fragment]]:
    """Return the fragments of every frame.

    Parameters
    ----------
    source
        The file.
    span
        Its pixel data element.
    dataset
        May have an Extended Offset Table (PS3.3 C.7.6.3.1.8).
    frames
        How many frames there must be.

    Raises
    ------
    QuarantineError
        With `Reason.PIXELS_IMPLAUSIBLE` if fragments and frames do not match: a frame might hide in another.
    """
    table, fragments = _walk(source, span)
    if len(fragments) == frames:
        groups = [[fragment] for fragment in fragments]
    elif frames == 1:
        groups = [fragments]
    else:
        base = fragments[0].item if fragments else 0
        groups = (
            _by_offsets(fragments, [base + offset for offset in table])
            or _by_offsets(fragments, [base + offset for offset in _extended(dataset)])
            or _by_markers(fragments)
        )
    if len(groups) != frames or any(fragment.starts_image for group in groups for fragment in group[1:]):
        raise QuarantineError(Reason.PIXELS_IMPLAUSIBLE)
    return groups


def _walk(source: IO[bytes], span: PixelSpan) -> tuple[list[int], list[Fragment]]:
    source.seek(span.start + _HEADER)
    table: list[int] = []
    found: list[Fragment] = []
    position = span.start + _HEADER
    for index in range(span.fragments + 1):
        (length,) = struct.unpack("<4xL", source.read(8))
        if index == 0:
            table = [offset for (offset,) in struct.iter_unpack("<L", source.read(length // 4 * 4))]
        else:
            found.append(Fragment(position, length, source.read(min(4, length)).startswith(_STARTS)))
        position += 8 + length
        source.seek(position)
    return table, found


def _extended(dataset: Dataset) -> list[int]:
    value = dataset.get("ExtendedOffsetTable")
    return (
        [int(offset) for offset in np.frombuffer(value, dtype="<u8")] if value and len(value) % 8 == 0 else []
    )


def _by_offsets(fragments: list[Fragment], offsets: list[int]) -> list[list[Fragment]]:
    """Group fragments by the item each frame starts with; [] where an offset hits no item."""
    starts = set(offsets)
    if not offsets or not starts <= {fragment.item for fragment in fragments}:
        return []
    return _grouped(fragments, lambda fragment: fragment.item in starts)


def _by_markers(fragments: list[Fragment]) -> list[list[Fragment]]:
    return _grouped(fragments, lambda fragment: fragment.starts_image)


def _grouped(fragments: list[Fragment], starts: Callable[[Fragment], bool]) -> list[list[Fragment]]:
    groups: list[list[Fragment]] = []
    for fragment in fragments:
        if starts(fragment) or not groups:
            groups.append([])
        groups[-1].append(fragment)
    return groups


def read_frame(source: IO[bytes], fragments: Iterable[Fragment]) -> list[bytes]:
    """Return the values of a frame's fragments."""
    found = []
    for fragment in fragments:
        source.seek(fragment.item + 8)
        found.append(source.read(fragment.length))
    return found


@dataclass(frozen=True)
class Offsets:
    """Where the frames of a written element are.

    Parameters
    ----------
    starts
        Offset of each frame's first item, from the first item after the Basic Offset Table.
    lengths
        Bytes of each frame.
    """

    starts: tuple[int, ...]
    lengths: tuple[int, ...]

    def extended(self) -> tuple[bytes, bytes]:
        """Return the values of Extended Offset Table and Extended Offset Table Lengths."""
        return np.array(self.starts, dtype="<u8").tobytes(), np.array(self.lengths, dtype="<u8").tobytes()


def write(target: IO[bytes], frames: Iterator[list[bytes]], count: int, *, extended: bool) -> Offsets:
    """Write a pixel data element of encapsulated frames.

    Parameters
    ----------
    target
        Seekable; the Basic Offset Table comes before what it describes.
    frames
        The fragments of each frame.
    count
        How many frames.
    extended
        Leave the Basic Offset Table empty, and make each frame one fragment, as the Extended Offset Table asks.
    """
    target.write(_ELEMENT)
    table = target.tell()
    size = 0 if extended else 4 * count
    target.write(_ITEM + struct.pack("<L", size) + bytes(size))
    starts, lengths, position = [], [], 0
    for parts in frames:
        starts.append(position)
        lengths.append(sum(len(part) for part in parts))
        for part in [b"".join(parts)] if extended else parts:
            padded = part + bytes(len(part) % 2)
            target.write(_ITEM + struct.pack("<L", len(padded)))
            target.write(padded)
            position += 8 + len(padded)
    target.write(_DELIMITER)
    if len(starts) != count or (not extended and starts[-1] > _LARGEST_OFFSET):
        raise QuarantineError(Reason.PIXELS_IMPLAUSIBLE)
    if not extended:
        stop = target.tell()
        target.seek(table + 8)
        target.write(struct.pack(f"<{count}L", *starts))
        target.seek(stop)
    return Offsets(tuple(starts), tuple(lengths))
