"""A look at stored values that tells frames without any trace of text from those an expensive detector must see.

Letters are thin strokes: darker or brighter than what lies two pixels to both sides, many of them beside each other,
and all of one brightness, for they were written and not measured. Anatomy and noise have strokes too, but not as
many in the width of a few letters, and of every brightness. Every second row is looked at, which no letter slips
through; large letters are looked for in every third and every ninth pixel. `benchmarks/burned_in.py` measures what
is missed and what is stopped for nothing; the limits below were chosen on images of the same sets, not on others.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstread.deid.burned_in.layout import Array

_Bytes = npt.NDArray[np.uint8]

_SCALES = (1, 3, 9)
_SMALLEST = 60  # rows and columns that a reduced frame must have left
_REACH = 2  # pixels between the middle of a stroke and what is not stroke
_RUN = 32  # pixels in which strokes must be as bright as the brightest to be of one brightness
_BAND = 2**17  # pixels worked on together: what a processor's second cache holds
_SAMPLES = 64  # rows and columns looked at for the range of the frame
# Strokes counted, per eight columns: at least a sixteenth of the range; the same of one brightness; half of it.
_STRONG, _FAINT = 16, 32
_ALIKE = 2  # bits: how much less than its own height a stroke may differ from the most extreme one beside it
_FEWEST = 8  # gray levels that an image has at least
_APART = 6  # eights of columns between two rows
_MOST = 4  # strokes that eight columns can have
# Limits for 48 columns.
_STRONG_ONES, _EVEN, _FAINT_IN_TWO_ROWS, _ANY, _EVEN_AND_LARGE = 11, 6, 11, 20, 7


def may_have_text(frame: Array, *, turned: bool = False) -> bool:
    """Tell whether a frame has anything like a line of letters.

    Parameters
    ----------
    frame
        Integers of any width and byte order, rows x columns: the stored values, not windowed.
    turned
        Look for lines that run from top to bottom as well, which takes twice as long.

    Returns
    -------
    bool
        True where a detector must look.
    """
    scale = _Scale.of(frame)
    if scale is None:
        return False
    return _has_lines(frame, scale) or (turned and _has_lines(np.ascontiguousarray(frame.T), scale))


def _has_lines(frame: Array, scale: "_Scale") -> bool:
    for step in _SCALES:
        part = frame if step == 1 else frame[::step, ::step]
        if step > 1 and min(part.shape) < _SMALLEST:
            break
        if any(_has_line(_gray(band, scale), scale, small=step == 1) for band in _bands(part)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Scale:
    """Stored values to at most 8 bits: nearly the whole range, whatever a few extreme pixels say.

    Parameters
    ----------
    low, high
        Values that become 0 and the largest; what lies outside is cut off.
    shift
        Bits to drop.
    spread
        The range of the image, in the reduced values.
    gain
        Factor for images of very few values, such as masks.
    """

    low: int
    high: int
    shift: int
    spread: int
    gain: int

    @classmethod
    def of(cls, frame: Array) -> "_Scale | None":
        """Return the scale of a frame, or None for one of a single value."""
        if not frame.size:
            return None
        low, high = int(frame.min()), int(frame.max())
        if high <= low:
            return None
        rows, columns = frame.shape
        few = frame[:: max(1, rows // _SAMPLES), :: max(1, columns // _SAMPLES)].ravel()
        first, last = len(few) // 100, len(few) - 1 - len(few) // 200
        sorted_at = np.partition(few, (first, last))
        least, most = int(sorted_at[first]), int(sorted_at[last])
        spread = max(most - least, (high - low) >> 4, 1)
        low, high = max(low, least - spread // 4), min(high, most + spread // 4 + 1)
        shift = max(0, (high - low).bit_length() - 8)
        gain = max(1, _FEWEST // (high - low))
        return cls(low, high, shift, max(1, spread * gain >> shift), gain)


def _bands(part: Array) -> Iterator[Array]:
    """Yield every second row, in bands that share a row."""
    rows = part[1::2] if part.shape[0] > 1 else part
    height = max(2, _BAND // rows.shape[1])
    for top in range(0, max(1, rows.shape[0] - 1), height - 1):
        yield rows[top : top + height]


def _gray(band: Array, scale: _Scale) -> _Bytes:
    """Return a band in 8 bits, a row of zeros above and below, and at the right its border for some eights of columns.

    The rows are worked on end to end, as one, and that keeps them apart.
    """
    rows, columns = band.shape
    cut = np.clip(band, scale.low, scale.high)
    if cut.dtype.byteorder not in "=|":
        cut = cut.astype(cut.dtype.newbyteorder("="))
    cut = cut.view(f"u{cut.dtype.itemsize}")  # differences of signed values may not fit into their own width
    cut -= cut.dtype.type(scale.low & ((1 << cut.dtype.itemsize * 8) - 1))
    if scale.shift:
        cut >>= scale.shift
    if scale.gain > 1:
        cut *= scale.gain
    gray = np.zeros((rows + 2, (columns // 8 + _APART) * 8), dtype=np.uint8)
    gray[1:-1, :columns] = cut
    gray[1:-1, columns:] = gray[1:-1, columns - 1 : columns]
    return gray


def _has_line(gray: _Bytes, scale: _Scale, *, small: bool) -> bool:
    """Tell whether strokes stand beside each other as letters do, in a band from `_gray`."""
    heights, offs = _strokes(gray)
    strong = heights >= max(3, -(-scale.spread // _STRONG))
    alike = offs <= heights >> _ALIKE
    width = gray.shape[1] // 8
    even = _counts(strong & alike)
    if not small:
        return _most(even) >= _EVEN_AND_LARGE
    many = _counts(strong)
    faint = _counts(alike & (heights >= max(2, -(-scale.spread // _FAINT))))
    return (
        _most(even) >= _EVEN
        or _most(many) >= _STRONG_ONES
        or _most(faint[:-width] + faint[width:]) >= _FAINT_IN_TWO_ROWS
        or _most(faint + even + many) >= _ANY
    )


def _strokes(gray: _Bytes) -> tuple[_Bytes, _Bytes]:
    """Return how far each pixel stands out from both sides, and how far it is off the most extreme pixel near.

    Returns
    -------
    tuple
        Two arrays of 2 x pixels: as bright strokes, and as dark ones.
    """
    flat, width = gray.reshape(-1), gray.shape[1]
    count = len(flat) - 2 * width
    here = flat[width : width + count]
    left, right = (flat[width + by : width + by + count] for by in (-_REACH, _REACH))
    heights, offs = np.empty((2, count), np.uint8), np.empty((2, count), np.uint8)
    bright, dark = heights
    np.maximum(left, right, out=bright)
    np.minimum(bright, here, out=bright)  # so that the difference does not wrap
    np.subtract(here, bright, out=bright)
    np.minimum(left, right, out=dark)
    np.maximum(dark, here, out=dark)
    np.subtract(dark, here, out=dark)
    highest, lowest = flat, flat
    reach = 1
    while reach < _RUN:
        highest = np.maximum(highest[:-reach], highest[reach:])
        lowest = np.minimum(lowest[:-reach], lowest[reach:])
        reach *= 2
    start = width - _RUN // 2
    if start < 0 or start + count > len(highest):
        highest, lowest = np.pad(highest, _RUN, "edge"), np.pad(lowest, _RUN, "edge")
        start += _RUN
    np.subtract(highest[start : start + count], here, out=offs[0])
    np.subtract(here, lowest[start : start + count], out=offs[1])
    return heights, offs


def _counts(found: npt.NDArray[np.bool_]) -> _Bytes:
    """Count in eights of columns, both polarities one behind the other."""
    counts = np.bitwise_count(np.packbits(found))
    return np.minimum(counts, np.full_like(counts, _MOST))  # ten times as fast as with a number


def _most(counts: _Bytes) -> int:
    """Return the largest sum of six eights beside each other: the width of a few letters."""
    pairs = counts[:-1] + counts[1:]
    return int((pairs[:-4] + pairs[2:-2] + pairs[4:]).max(initial=0))
