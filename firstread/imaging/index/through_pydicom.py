"""What the index knows of a file that is not plain, read by pydicom."""

from collections.abc import Sequence
from typing import IO, Literal

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag

from firstread.imaging.elements import DEFLATED, NotDicomError, OddError, TruncatedError
from firstread.imaging.index.columns import WANTED
from firstread.imaging.index.elements import BINARY, written
from firstread.imaging.mosaics import is_mosaic, tiles
from firstread.imaging.pixels import frame_count
from firstread.imaging.slices import Keys, Slice, keys_of, slices_of
from firstread.imaging.verdict import VolumeError

_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_LONG = frozenset({b"OB", b"OW", b"OF", b"OD", b"UN", b"OV", b"OL"})
_UNDEFINED = 0xFFFFFFFF


def read(file: IO[bytes], size: int) -> Dataset:
    """Read a header; called within `firstread.dicom.silence.quiet`.

    Raises
    ------
    NotDicomError, TruncatedError
        If it is no DICOM file, or its pixels are not all there.
    Exception
        Whatever pydicom raises for what it cannot read.
    """
    try:
        found = pydicom.dcmread(file, stop_before_pixels=True)
    except InvalidDicomError:
        raise NotDicomError from None
    if syntax_of(found) != DEFLATED:
        _check_end(file, size, found)
    return found


def _check_end(file: IO[bytes], size: int, found: Dataset) -> None:
    """Look whether the pixel data, where they come next, end within the file."""
    head = file.read(12)
    little = found.original_encoding[1]
    order: Literal["little", "big"] = "little" if little else "big"
    tag = int.from_bytes(head[0:2], order) << 16 | int.from_bytes(head[2:4], order)
    if tag not in _PIXELS or len(head) < 12:
        return
    explicit_long = head[4:6] in _LONG
    length, start = (head[8:12], 0) if explicit_long else (head[4:8], 4)
    told = int.from_bytes(length, order)
    if told != _UNDEFINED and file.tell() - start + told > size:
        raise TruncatedError


def syntax_of(header: Dataset) -> str:
    """Return the transfer syntax; "" where it is not told."""
    return str(header.file_meta.get("TransferSyntaxUID", ""))


def texts_of(header: Dataset) -> dict[int, bytes]:
    """Return the wanted elements as `firstread.imaging.index.elements.read_elements` does."""
    found = {}
    for tag in WANTED:
        if Tag(tag) not in header:
            continue
        element: object = header.get_item(Tag(tag))
        text = _of_raw(element) if isinstance(element, RawDataElement) else _of_value(element)
        if text is not None:
            found[tag] = text
    return found


def _of_raw(element: RawDataElement) -> bytes | None:
    value: object = element.value or b""
    vr: str | None = element.VR
    if not isinstance(value, bytes):
        return None
    kind = BINARY.get(WANTED[int(element.tag)] if vr is None else vr)
    if kind is None:
        return value
    try:
        return written(value, kind, "<" if element.is_little_endian else ">")
    except OddError:
        return None


def _of_value(element: object) -> bytes | None:
    """Return a value that pydicom has converted already."""
    value = getattr(element, "value", None)
    if isinstance(value, pydicom.Sequence):
        return None
    if value is None:
        return b""
    parts = value if isinstance(value, pydicom.multival.MultiValue | list) else [value]
    return "\\".join(map(str, parts)).encode()


def planes_of(header: Dataset) -> list[Slice]:
    """Return where the frames lie, or the tiles of a mosaic; [] where the image does not say.

    Raises
    ------
    VolumeError
        If it is a mosaic that does not say.
    """
    try:
        found = list(slices_of(header, 0, frame_count(header)))
    except VolumeError:
        return []
    return [each for whole in found for each in tiles(header, whole)] if is_mosaic(header) else found


def keys_of_frames(header: Dataset) -> list[Keys]:
    """Return for each frame what may tell it from another at its position."""
    return [keys_of(header, frame) for frame in range(frame_count(header))]


def items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence; () where there is none."""
    found = dataset.get(keyword)
    return found if isinstance(found, pydicom.Sequence) else ()
