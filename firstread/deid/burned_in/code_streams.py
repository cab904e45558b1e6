"""Compressed frames without the text that they may carry beside their pixels; nothing is decoded.

Comments, application data, thumbnails and whatever follows the end of a code stream is taken out or zeroed. The
samples that a decoder gives stay the same to the bit. Sources: ISO/IEC 10918-1 Annex B (JPEG), 14495-1 Annex C
(JPEG-LS), 15444-1 Annexes A and I (JPEG 2000), DICOM PS3.5 Annex G (RLE).
"""

import re
import struct
from collections.abc import Callable, Iterator

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    JPEG2000MC,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEG2000MCLossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from firstread.errors import QuarantineError, Reason

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APPLICATIONS = range(0xE0, 0xF0)
_RESTARTS = range(0xD0, 0xD8)
# Frame headers and tables; with SOF55 and LSE of JPEG-LS. Other codes are reserved, and hold who knows what.
_NEEDED = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0), 0xF7, 0xF8} - {0xC8})
# The next marker in entropy-coded data: stuffed bytes and restarts are none. JPEG-LS stuffs bits: below 80 is data.
_JPEG_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)
_JPEG_LS_MARKER = re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]", re.DOTALL)
_JFIF_HEAD = 12  # identifier, version, units, densities; two bytes and the thumbnail follow
_ADOBE_SIZE = 12

_SOC, _SOT, _SOD, _EOC, _J2K_COM = b"\xff\x4f", b"\xff\x90", b"\xff\x93", b"\xff\xd9", 0xFF64
_SOT_SIZE = 12
_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_BOXES = frozenset(
    {b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef", b"res "}
)

_RLE_HEADER = 64
_RLE_SEGMENTS = 15


def without_text(code: bytes, syntax: UID, pixels: int) -> bytes:
    """Return a compressed frame without anything that is no pixel.

    Parameters
    ----------
    code
        One frame, its fragments joined.
    syntax
        Its transfer syntax.
    pixels
        Rows times columns: run lengths do not say where they end.

    Raises
    ------
    QuarantineError
        With `Reason.UNREADABLE` if the code stream is not what it should be; with
        `Reason.MAY_CONTAIN_BURNED_IN_TEXT` if nobody here knows what such a stream carries, as with video.
    """
    cleaner = _CLEANERS.get(syntax)
    if cleaner is None:
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
    try:
        return cleaner(code, pixels)
    except (IndexError, ValueError, struct.error):
        raise QuarantineError(Reason.UNREADABLE) from None


def _jpeg(code: bytes, _pixels: int) -> bytes:
    return b"".join(_segments(code, _JPEG_MARKER))


def _jpeg_ls(code: bytes, _pixels: int) -> bytes:
    return b"".join(_segments(code, _JPEG_LS_MARKER))


def _segments(code: bytes, markers: re.Pattern[bytes]) -> Iterator[bytes]:
    """Yield what a decoder needs, up to the end of the image."""
    if code[:2] != bytes((0xFF, _SOI)):
        raise ValueError
    yield code[:2]
    position = 2
    while True:
        if code[position] != 0xFF:
            raise ValueError
        while code[position] == 0xFF:  # fill bytes
            position += 1
        marker = code[position]
        position += 1
        if marker == _EOI:
            yield bytes((0xFF, _EOI))
            return
        (length,) = struct.unpack_from(">H", code, position)
        value, position = code[position + 2 : position + length], position + length
        if length < 2 or len(value) != length - 2:
            raise ValueError
        kept = _kept(marker, value)
        if kept is not None:
            yield struct.pack(">BBH", 0xFF, marker, len(kept) + 2) + kept
        if marker == _SOS:
            found = markers.search(code, position)
            stop = found.start() if found else len(code)
            yield code[position:stop]
            if found is None:  # no end of image: decoders forgive it, and there is nothing behind
                return
            position = stop


def _kept(marker: int, value: bytes) -> bytes | None:
    """Return what is kept of a segment, or None."""
    if marker == _COM:
        return None
    if marker not in _APPLICATIONS:
        if marker not in _NEEDED or marker in _RESTARTS:
            raise ValueError
        return value
    if marker == 0xE0 and value.startswith(b"JFIF\0"):
        return value[:_JFIF_HEAD] + bytes(2)  # no thumbnail
    if marker == 0xEE and value.startswith(b"Adobe"):
        return value[:_ADOBE_SIZE]  # tells how colour was transformed
    if marker == 0xE8 and value.startswith(b"mrfx"):
        return value[:5]  # the same, in JPEG-LS
    return None


def _jpeg_2000(code: bytes, _pixels: int) -> bytes:
    buffer = bytearray(code)
    if code.startswith(_SIGNATURE):
        return bytes(buffer[: _clean_boxes(buffer, 0, len(buffer))])
    return bytes(buffer[: _clean_codestream(buffer, 0, len(buffer))])


def _clean_boxes(buffer: bytearray, start: int, stop: int) -> int:
    """Zero the boxes that no decoder needs (XML, UUID, and the unknown), in place; return where the last one ends."""
    position = start
    while position + 8 <= stop:
        (length,) = struct.unpack_from(">L", buffer, position)
        kind, head = bytes(buffer[position + 4 : position + 8]), 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", buffer, position + 8)
            head = 16
        end = stop if length == 0 else position + length
        if end > stop or end < position + head:
            raise ValueError
        if kind == b"jp2h":
            _clean_boxes(buffer, position + head, end)
        elif kind == b"jp2c":
            used = _clean_codestream(buffer, position + head, end)
            buffer[used:end] = bytes(end - used)
        elif kind not in _BOXES:
            buffer[position + 4 : position + 8] = b"free"
            buffer[position + head : end] = bytes(end - position - head)
        position = end
    return position


def _clean_codestream(buffer: bytearray, start: int, stop: int) -> int:
    """Zero the comments of a code stream in place; return where it ends."""
    if buffer[start : start + 2] != _SOC:
        raise ValueError
    position = _clean_header(buffer, start + 2, stop)
    while buffer[position : position + 2] == _SOT:
        (length,) = struct.unpack_from(">L", buffer, position + 6)
        if length == 0:  # the last one, up to the end of the image
            end = buffer.rfind(_EOC, position, stop)
            end = stop if end < 0 else end
        else:
            end = min(stop, position + length)
        if end < position + _SOT_SIZE:
            raise ValueError
        _clean_header(buffer, position + _SOT_SIZE, end)
        position = end
    if buffer[position : position + 2] == _EOC:
        position += 2
    return position


def _clean_header(buffer: bytearray, position: int, stop: int) -> int:
    """Zero the comments before the next tile-part or its data; return where that begins."""
    while position + 2 <= stop:
        (marker,) = struct.unpack_from(">H", buffer, position)
        if buffer[position : position + 2] in (_SOT, _SOD):
            return position
        if marker < 0xFF30:
            raise ValueError
        if 0xFF30 <= marker <= 0xFF3F:  # without a length
            position += 2
            continue
        (length,) = struct.unpack_from(">H", buffer, position + 2)
        end = position + 2 + length
        if length < 2 or end > stop:
            raise ValueError
        if marker == _J2K_COM:
            buffer[position + 4 : end] = bytes(end - position - 4)  # registration 0: binary
        position = end
    raise ValueError


def _rle(code: bytes, pixels: int) -> bytes:
    """Return the segments of a frame alone: nothing between them, and nothing behind the last."""
    (count,) = struct.unpack_from("<L", code)
    if not 1 <= count <= _RLE_SEGMENTS:
        raise ValueError
    starts = list(struct.unpack_from(f"<{count}L", code, 4))
    stops = [*starts[1:], len(code)]
    if starts[0] < _RLE_HEADER or starts != sorted(starts) or starts[-1] > len(code):
        raise ValueError
    segments = [
        code[start : _run_end(code, start, stop, pixels)] for start, stop in zip(starts, stops, strict=True)
    ]
    segments = [segment + bytes(len(segment) % 2) for segment in segments]
    offset, offsets = _RLE_HEADER, []
    for segment in segments:
        offsets.append(offset)
        offset += len(segment)
    head = struct.pack(f"<{1 + count}L", count, *offsets).ljust(_RLE_HEADER, b"\0")
    return head + b"".join(segments)


def _run_end(code: bytes, position: int, stop: int, pixels: int) -> int:
    """Return where the runs of so many bytes end."""
    left = pixels
    while left > 0:
        head = code[position]
        if head < 128:
            position, left = position + head + 2, left - head - 1
        elif head > 128:
            position, left = position + 2, left - 257 + head
        else:
            position += 1
        if position > stop:
            raise ValueError
    return position


_CLEANERS: dict[UID, Callable[[bytes, int], bytes]] = {
    **dict.fromkeys((JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1), _jpeg),
    **dict.fromkeys((JPEGLSLossless, JPEGLSNearLossless), _jpeg_ls),
    **dict.fromkeys((JPEG2000Lossless, JPEG2000, JPEG2000MCLossless, JPEG2000MC), _jpeg_2000),
    **dict.fromkeys((HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K), _jpeg_2000),
    RLELossless: _rle,
}
