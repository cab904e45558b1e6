"""Where each frame of an object lies, so that one of them can be read without the others."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from pydicom.dataset import Dataset

from firstread.dicomweb.errors import CannotRenderError
from firstread.dicomweb.header import Header, unsigned
from firstread.imaging.lookup import numbers
from firstread.imaging.pixels import frame_count

Read = Callable[[int, int], bytes]
Span = tuple[int, int]

_ITEM, _DELIMITER = 0xFFFEE000, 0xFFFEE0DD
_WINDOW = 1024 * 1024
_GROUP = 0x0028
_MOST_FRAMES = 1_000_000


@dataclass(frozen=True)
class Layout:
    """The frames of an object.

    Parameters
    ----------
    image
        Group 0028 of the object: what its pixels are.
    stored_syntax
        Transfer syntax UID.
    tag
        Of the pixel data.
    frames
        How many.
    spans
        Of each frame of encapsulated pixel data: offsets of its first item and behind its last one. Empty for native
        pixel data.
    at
        Offset of the value of native pixel data.
    frame_bits
        Of a native frame.
    """

    image: Dataset = field(repr=False)
    stored_syntax: str
    tag: int
    frames: int
    spans: tuple[Span, ...]
    at: int
    frame_bits: int

    @property
    def bits(self) -> int:
        """Return Bits Allocated (0028,0100)."""
        return _number(self.image, "BitsAllocated", 8)


def layout_of(header: Header) -> Layout:
    """Return where the frames of an object lie.

    Raises
    ------
    CannotRenderError
        If it has no pixels, or its frames cannot be told apart.
    """
    image = Dataset()
    for tag in list(header.dataset.keys()):
        if tag.group == _GROUP:
            image[tag] = header.dataset[tag]
    frames = frame_count(header.dataset)
    if not header.pixels_tag or frames > _MOST_FRAMES:
        raise CannotRenderError("no_pixels")
    spans = () if header.pixels_length is not None else _spans(header, frames)
    bits = (
        _number(image, "Rows", 0)
        * _number(image, "Columns", 0)
        * _number(image, "SamplesPerPixel", 1)
        * _number(image, "BitsAllocated", 8)
    )
    if image.get("PhotometricInterpretation") == "YBR_FULL_422" and header.pixels_length is not None:
        bits = bits * 2 // 3  # PS3.3 C.7.6.3.1.2: two samples for each pixel
    if bits <= 0:
        raise CannotRenderError("no_pixels")
    return Layout(image, str(header.stored_syntax), header.pixels_tag, frames, spans, header.pixels_at, bits)


def _number(dataset: Dataset, keyword: str, default: int) -> int:
    found = numbers(dataset, keyword)
    return int(found[0]) if found else default


def _spans(header: Header, frames: int) -> tuple[Span, ...]:
    """Return the spans of encapsulated frames (PS3.5 A.4): by a table of offsets, else by their fragments."""
    read = header.read
    tag, length = _item(read, header.pixels_at)
    if tag != _ITEM:
        raise CannotRenderError("unreadable")
    base = header.pixels_at + 8 + length
    if frames == 1:
        return ((base, header.size),)
    offsets = unsigned(read(header.pixels_at + 8, length), "L")
    if len(offsets) < frames:
        offsets = unsigned(bytes(header.dataset.get("ExtendedOffsetTable") or b""), "Q")
    if len(offsets) >= frames:
        ends = [base + offset for offset in offsets[:frames]] + [header.size]
        if all(first < last <= header.size for first, last in pairwise(ends)):
            return tuple(pairwise(ends))
    starts = list(_fragments(_Window(read), base, header.size))
    if len(starts) != frames:
        raise CannotRenderError("frames_cannot_be_told_apart")
    return tuple(pairwise([*starts, header.size]))


def _item(read: Read, offset: int) -> tuple[int, int]:
    head = read(offset, 8)
    if len(head) < 8:
        raise CannotRenderError("unreadable")
    group, element, length = struct.unpack("<HHL", head)
    return group << 16 | element, length


def _fragments(window: "_Window", offset: int, size: int) -> Iterator[int]:
    while offset + 8 <= size:
        tag, length = _item(window.read, offset)
        if tag != _ITEM:
            return
        yield offset
        offset += 8 + length


def value_of(data: bytes) -> bytes:
    """Return the bytes of a frame's fragments, one after the other, without their items.

    Raises
    ------
    CannotRenderError
        If a fragment is cut short.
    """
    found, offset = [], 0
    while offset + 8 <= len(data):
        group, element, length = struct.unpack("<HHL", data[offset : offset + 8])
        if group << 16 | element != _ITEM:
            break
        fragment = data[offset + 8 : offset + 8 + length]
        if len(fragment) < length:
            raise CannotRenderError("unreadable")
        found.append(fragment)
        offset += 8 + length
    return b"".join(found)


class _Window:
    """Reads ahead, so that the items of small fragments do not each need a request."""

    def __init__(self, read: Read) -> None:
        self._source = read
        self._start = 0
        self._bytes = b""

    def read(self, offset: int, length: int) -> bytes:
        inside = offset - self._start
        if inside < 0 or inside + length > len(self._bytes):
            self._start, self._bytes, inside = offset, self._source(offset, _WINDOW), 0
        return self._bytes[inside : inside + length]
