"""Where the pixel data of a file lies, and whether that is plausible; nothing is decoded."""

import struct
from dataclasses import dataclass
from typing import IO

from pydicom.dataset import Dataset
from pydicom.uid import UID

from firstread.dicom.objects import WITHOUT_PIXELS, is_image_class
from firstread.dicom.peek import peek
from firstread.errors import QuarantineError, Reason

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_VRS = frozenset({b"OB", b"OW", b"OF", b"OD", b"UN"})
_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_DELIMITER = 0xFFFEE0DD


@dataclass(frozen=True)
class PixelSpan:
    """The bytes of the pixel data element, header included.

    Parameters
    ----------
    start, stop
        Offsets in the source, `stop` excluded.
    length
        Length of the value in bytes, or None where it is encapsulated.
    fragments
        Number of fragments of an encapsulated value, without the Basic Offset Table item (PS3.5 A.4).
    """

    start: int
    stop: int
    length: int | None
    fragments: int = 0


def locate(source: IO[bytes], size: int, *, implicit: bool, little: bool) -> PixelSpan | None:
    """Return the span of the pixel data element at the current offset, or None at the end of the file.

    Raises
    ------
    QuarantineError
        With `Reason.TRUNCATED` if the element does not end inside the file; with `Reason.UNREADABLE` if its VR is none
        of pixel data.
    """
    start = source.tell()
    order = "<" if little else ">"
    head = source.read(8 if implicit else 12)
    if not head:
        return None
    if len(head) < (8 if implicit else 12):
        raise QuarantineError(Reason.TRUNCATED)
    group, element = struct.unpack(f"{order}HH", head[:4])
    if (group << 16 | element) not in PIXEL_TAGS:
        return None
    if not implicit and head[4:6] not in _VRS:
        # Its length would be short: what we copy as pixels would be elements to whoever reads the file next.
        raise QuarantineError(Reason.UNREADABLE)
    (length,) = struct.unpack(f"{order}L", head[-4:])
    if length == _UNDEFINED:
        fragments = _skip_fragments(source, size, order)
        return PixelSpan(start, source.tell(), None, fragments)
    stop = source.tell() + length
    if stop > size:
        raise QuarantineError(Reason.TRUNCATED)
    return PixelSpan(start, stop, length)


def _skip_fragments(source: IO[bytes], size: int, order: str) -> int:
    """Walk the items of an encapsulated value (PS3.5 A.4) and return how many fragments there are."""
    items = 0
    while True:
        head = source.read(8)
        if len(head) < 8:
            raise QuarantineError(Reason.TRUNCATED)
        group, element, length = struct.unpack(f"{order}HHL", head)
        tag = group << 16 | element
        if tag == _DELIMITER:
            return max(0, items - 1)
        if tag != _ITEM:
            raise QuarantineError(Reason.TRANSFER_SYNTAX_MISMATCH)
        if source.tell() + length > size:
            raise QuarantineError(Reason.TRUNCATED)
        source.seek(length, 1)
        items += 1


def _number(dataset: Dataset, keyword: str, default: int) -> int:
    value = peek(dataset, keyword)
    return default if value is None or value == "" else int(str(value))


def check(dataset: Dataset, span: PixelSpan | None, syntax: UID, max_frame_bytes: int) -> None:
    """Compare what the header claims (PS3.3 C.7.6.3) with the pixel data that is there.

    An object without pixel data is accepted where its SOP class has none; pixel data that such an object has all
    the same is judged as that of an image.

    Raises
    ------
    QuarantineError
        Where the object is neither an image nor of a class in `WITHOUT_PIXELS`, lacks the pixels it should have, or
        the claim and the bytes cannot both be true.
    """
    if span is None and str(peek(dataset, "SOPClassUID")) in WITHOUT_PIXELS:
        return
    rows, columns = _number(dataset, "Rows", 0), _number(dataset, "Columns", 0)
    if not rows or not columns or span is None:
        raise QuarantineError(_missing(dataset, span))
    if syntax.is_encapsulated != (span.length is None):
        raise QuarantineError(Reason.TRANSFER_SYNTAX_MISMATCH)
    frames = _number(dataset, "NumberOfFrames", 1)
    bits = _number(dataset, "BitsAllocated", 0)
    samples = _number(dataset, "SamplesPerPixel", 1)
    if frames < 1 or samples not in (1, 3, 4) or bits not in (1, 8, 16, 32, 64):
        raise QuarantineError(Reason.PIXELS_IMPLAUSIBLE)
    frame_bits = rows * columns * samples * bits
    if frame_bits > max_frame_bytes * 8:
        raise QuarantineError(Reason.PIXELS_IMPLAUSIBLE)
    if span.length is None:
        # Every frame needs a fragment of its own; a fragment never holds two frames (PS3.5 A.4).
        if span.fragments < frames and not _is_video(syntax):
            raise QuarantineError(Reason.PIXELS_IMPLAUSIBLE)
        return
    if peek(dataset, "PhotometricInterpretation") == "YBR_FULL_422":
        frame_bits = frame_bits * 2 // 3
    expected = (frame_bits * frames + 7) // 8
    # One byte of padding to even length is allowed (PS3.5 8.1.1); more would be bytes that nobody understood.
    if not expected <= span.length <= expected + 1:
        raise QuarantineError(Reason.PIXELS_IMPLAUSIBLE)


def _missing(dataset: Dataset, span: PixelSpan | None) -> Reason:
    """Return why an object that has no pixels, or no size, is refused."""
    is_image = (
        span or "Rows" in dataset or "Columns" in dataset or is_image_class(str(dataset.get("SOPClassUID")))
    )
    return Reason.PIXELS_MISSING if is_image else Reason.NOT_AN_IMAGE


def _is_video(syntax: UID) -> bool:
    return "MPEG" in syntax.name or "HEVC" in syntax.name
