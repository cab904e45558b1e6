"""A look at stored values that tells frames without any trace of text from those an expensive detector must see.

Letters are thin strokes: darker or brighter than what lies two pixels to both sides, many of them beside each other,
and all of one brightness, for they were written and not measured. Anatomy and noise have strokes too, but not as
many in the width of a few letters, and of every brightness. Every second row is looked at, which no letter slips
through; large letters are looked for in every third and every ninth pixel.

For speed there are two looks. The first counts strokes of any brightness on the stored values; the second, at
brightness, sees only the places where the first found enough of them to be letters, and misses nothing by that.
`benchmarks/burned_in.py` measures what is missed and what is stopped for nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstread.deid.burned_in.layout import Array, Limits, extremes
from firstread.deid.burned_in.sheets import AROUND, TILE, Sheet, sheets

_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.intp]

_SAMPLES = 64  # rows and columns looked at for the range of the frame
# Strokes counted, per eight columns: at least a sixteenth of the range; the same of one brightness; half of it.
_STRONG, _FAINT = 16, 32
_ALIKE = 2  # bits: how much less than its own height a stroke may differ from the most extreme one beside it
_FEWEST = 8  # gray levels that an image has at least
_MOST = 4  # strokes that eight columns can have
_LETTERS = 6  # eights of columns: the width of a few letters
_REACH = 2  # pixels between the middle of a stroke and what is not stroke
_RUN = 32  # pixels in which strokes must be as bright as the brightest to be of one brightness
# Limits for the width of a few letters.
_STRONG_ONES, _EVEN, _FAINT_IN_TWO_ROWS, _ANY, _EVEN_AND_LARGE = 11, 6, 11, 20, 7
_WORD = 15  # bits whose differences fit into a word of 16
# A place: a tile, the letters that begin in it, and what their strokes are compared with.
_PLACE = AROUND + TILE + 8 * (_LETTERS - 1) + AROUND
_BEGIN = slice(AROUND // 8, (AROUND + TILE) // 8)


def may_have_text(frame: Array, *, turned: bool = False, limits: Limits | None = None) -> bool:
    """Tell whether a frame has anything like a line of letters.

    Parameters
    ----------
    frame
        Integers of any width and byte order, rows x columns: the stored values, not windowed.
    turned
        Look for lines that run from top to bottom as well, which takes twice as long.
    limits
        `firstread.deid.burned_in.layout.extremes` of the frame, where the caller has them.

    Returns
    -------
    bool
        True where a detector must look.
    """
    if not frame.size:
        return False
    scale = _Scale.of(frame, limits or extremes(frame))
    return scale is not None and (_has_lines(frame, scale) or (turned and _has_lines(frame.T, scale)))


def _has_lines(frame: Array, scale: "_Scale") -> bool:
    return any(_has_line(sheet, scale) for sheet in sheets(frame, scale.surplus))


def _has_line(sheet: Sheet, scale: "_Scale") -> bool:
    places = _with_strokes(sheet, scale)
    return bool(places.size) and _is_line(sheet, places, scale)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Stored values to at most 8 bits: nearly the whole range, whatever a few extreme pixels say.

    Parameters
    ----------
    surplus
        Bits to drop first, so that differences fit into a word.
    low, high
        Values that become 0 and the largest; what lies outside is cut off.
    shift
        Bits to drop.
    gain
        Factor for images of very few values, such as masks.
    strong, faint
        Heights of strokes that count, in the reduced values.
    """

    surplus: int
    low: int
    high: int
    shift: int
    gain: int
    strong: int
    faint: int

    @classmethod
    def of(cls, frame: Array, limits: Limits) -> "_Scale | None":
        """Return the scale of a frame, or None for one of a single value."""
        surplus = max(0, (limits[1] - limits[0]).bit_length() - _WORD)
        low, high = (limit >> surplus for limit in limits)
        if high <= low:
            return None
        rows, columns = frame.shape
        few = frame[:: max(1, rows // _SAMPLES), :: max(1, columns // _SAMPLES)].flatten()
        first, last = len(few) // 100, len(few) - 1 - len(few) // 200
        few.partition((first, last))
        least, most = int(few[first]) >> surplus, int(few[last]) >> surplus
        spread = max(most - least, (high - low) >> 4, 1)
        low, high = max(low, least - spread // 4), min(high, most + spread // 4 + 1)
        shift = max(0, (high - low).bit_length() - 8)
        gain = max(1, _FEWEST // (high - low))
        reduced = max(1, spread * gain >> shift)
        strong, faint = max(3, -(-reduced // _STRONG)), max(2, -(-reduced // _FAINT))
        return cls(surplus, low, high, shift, gain, strong, faint)

    def before(self, height: int) -> int:
        """Return what two values differ by, at least, that differ by a height after they were reduced."""
        return ((height - 1) << self.shift) // self.gain + 1

    def reduced(self, words: npt.NDArray[np.int16]) -> _Bytes:
        """Return words of a sheet in 8 bits."""
        low = (self.low + 0x8000 & 0xFFFF) - 0x8000  # as words wrap; the difference is right again
        values = words - np.int16(low)
        values.clip(0, self.high - self.low, out=values)
        values >>= self.shift
        if self.gain > 1:
            values *= self.gain
        return values.astype(np.uint8)


def _with_strokes(sheet: Sheet, scale: _Scale) -> _Places:
    """Return the places of a sheet that may be part of a line: with as many strokes as one has, of any brightness.

    Returns
    -------
    numpy.ndarray
        Numbers of tiles; for dark strokes, the number of all tiles more.
    """
    height = scale.before(scale.faint)
    rising = sheet.words[_REACH:] - sheet.words[:-_REACH]
    rising = rising[AROUND : AROUND + sheet.tiles * TILE]
    steps = np.empty((2, len(rising)), np.bool_)
    np.greater_equal(rising, height, out=steps[0])
    np.less_equal(rising, -height, out=steps[1])
    bits = np.packbits(steps, bitorder="little").view("<u8").reshape(2, -1)
    earlier = bits << _REACH
    earlier[:, 1:] |= bits[:, :-1] >> (TILE - _REACH)
    counts = _capped(np.bitwise_count((earlier & bits[::-1]).reshape(-1).view(np.uint8)))
    found = np.zeros(len(counts), np.bool_)
    sums = _sums(counts)
    np.greater_equal(sums, _EVEN, out=found[: len(sums)])
    _add_pairs(sums, found, sheet)
    return np.flatnonzero(found.view(np.uint64) != 0)  # eight eights are a tile


def _add_pairs(sums: _Bytes, found: npt.NDArray[np.bool_], sheet: Sheet) -> None:
    """Add places that have strokes enough only together with the row below."""
    pitch = sheet.pitch * 8
    both = sums[:-pitch] + sums[pitch:] >= _FAINT_IN_TWO_ROWS
    found[: len(both)] |= both
    found[pitch : pitch + len(both)] |= both


def _is_line(sheet: Sheet, places: _Places, scale: _Scale) -> bool:
    """Tell whether strokes stand beside each other as letters do, at any of some places."""
    bright = int(places.searchsorted(sheet.tiles))
    # Places overlap; `as_strided` does the same and takes five times as long.
    every = np.ndarray((sheet.tiles, _PLACE), np.int16, sheet.words, strides=(2 * TILE, 2))
    gray = scale.reduced(every[places % sheet.tiles])
    np.invert(gray[bright:], out=gray[bright:])  # what was dark is bright
    heights, offs = _strokes(gray.reshape(-1))
    flags = np.empty((3, len(heights)), np.bool_)
    even, many, faint = flags
    np.greater_equal(heights, scale.strong, out=many)
    np.greater_equal(heights, scale.faint, out=faint)
    heights >>= _ALIKE
    faint &= offs <= heights
    np.logical_and(many, faint, out=even)
    sums = np.zeros((3, len(places), _PLACE // 8), np.uint8)
    counts = _capped(np.bitwise_count(np.packbits(flags)))
    sums.reshape(-1)[: 1 - _LETTERS] = _sums(counts)
    return _are_letters(sums[..., _BEGIN].copy(), places, sheet)


def _are_letters(sums: _Bytes, places: _Places, sheet: Sheet) -> bool:
    """Tell whether there are as many strokes as letters have.

    Parameters
    ----------
    sums
        Of even, of strong and of faint strokes x places x where the letters begin.
    places, sheet
        As `_with_strokes` returned them.
    """
    large = np.flatnonzero(places % sheet.tiles >= sheet.small)
    if large.size:
        if sums[0, large].max() >= _EVEN_AND_LARGE:
            return True
        sums[:, large] = 0
    even, many, faint = sums.reshape(3, -1).max(axis=1)
    if even >= _EVEN or many >= _STRONG_ONES or sums.sum(axis=0, dtype=np.uint8).max() >= _ANY:
        return True
    return 2 * int(faint) >= _FAINT_IN_TWO_ROWS and _is_faint_line(sums[2], places, sheet)


def _is_faint_line(faint: _Bytes, places: _Places, sheet: Sheet) -> bool:
    below = places.searchsorted(places + sheet.pitch)
    paired = np.flatnonzero(places.take(below, mode="clip") == places + sheet.pitch)
    return bool((faint[paired] + faint[below[paired]]).max(initial=0) >= _FAINT_IN_TWO_ROWS)


def _strokes(flat: _Bytes) -> tuple[_Bytes, _Bytes]:
    """Return how far each pixel stands out from both sides, and how far it is below the brightest pixel near."""
    heights, offs = np.zeros((2, len(flat)), np.uint8)
    here, height = flat[_REACH:-_REACH], heights[_REACH:-_REACH]
    np.maximum(flat[: -2 * _REACH], flat[2 * _REACH :], out=height)
    np.minimum(height, here, out=height)  # so that the difference does not wrap
    np.subtract(here, height, out=height)
    highest, reach = flat, 1
    while reach < _RUN:
        highest = np.maximum(highest[:-reach], highest[reach:])
        reach *= 2
    inside = slice(_RUN // 2, _RUN // 2 + len(highest))
    np.subtract(highest, flat[inside], out=offs[inside])
    return heights, offs


def _capped(counts: _Bytes) -> _Bytes:
    most = np.empty(counts.shape, np.uint8)
    most.fill(_MOST)
    return np.minimum(counts, most)  # ten times as fast as with a number


def _sums(counts: _Bytes) -> _Bytes:
    """Return the sums of six eights beside each other: the width of a few letters."""
    pairs = counts[:-1] + counts[1:]
    return np.asarray(pairs[:-4] + pairs[2:-2] + pairs[4:])
