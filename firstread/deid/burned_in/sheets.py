"""The rows of a frame that the cheap look sees, end to end, in one array of words: few calls for many pixels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstread.deid.burned_in.layout import Array

TILE = 64
"""Columns of a tile; rows are whole tiles, and begin with a border."""
AROUND = 16
"""Words before the first tile, and at least as many border columns on both sides of a row."""

_SCALES = (3, 9)
_SMALLEST = 60  # rows and columns that a reduced frame must have left
_WORDS = 2**18  # looked at together: more do not fit into the caches, fewer take more calls
_BLOCK = 256  # columns of a transposed frame that are copied together, for the same reason
_BEHIND = 2 * TILE  # words that a place has behind its tile, and more


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows end to end.

    Parameters
    ----------
    words
        Stored values in words of 16 bits: differences are right, the values may have wrapped.
    tiles
        How many there are.
    small
        How many of them, the first ones, are of rows of which every pixel is there.
    pitch
        Tiles between one of these rows and the next.
    """

    words: npt.NDArray[np.int16]
    tiles: int
    small: int
    pitch: int


def sheets(frame: Array, surplus: int) -> Iterator[Sheet]:
    """Yield every second row, of every pixel first, then of every third and every ninth in both directions.

    Parameters
    ----------
    frame
        Rows x columns, of any integers; it may be a transposed view.
    surplus
        Bits to drop before differences fit into a word.
    """
    smallest = min(frame.shape)
    parts = [frame, *(frame[::step, ::step] for step in _SCALES if smallest > step * (_SMALLEST - 1))]
    small, *large = ([*_bands(part)] for part in parts)
    rest = [band for bands in large for band in bands]
    if frame.size <= _WORDS:
        yield _sheet([*small, *rest], len(small), surplus)
        return
    for band in small:
        yield _sheet([band], 1, surplus)
    together = rest and sum(band.size for band in rest) <= _WORDS
    for bands in [rest] if together else [[band] for band in rest]:
        yield _sheet(bands, 0, surplus)


def _bands(part: Array) -> Iterator[Array]:
    """Yield every second row, in bands that share a row."""
    rows = part[1::2] if len(part) > 1 else part
    height = max(2, _WORDS // rows.shape[1])
    for top in range(0, max(1, rows.shape[0] - 1), height - 1):
        yield rows[top : top + height]


def _pitch(columns: int) -> int:
    return -(-(columns + 2 * AROUND) // TILE)


def _sheet(parts: list[Array], small: int, surplus: int) -> Sheet:
    """Return parts one behind the other; so many of them, the first, are of every pixel."""
    tiles = [len(part) * _pitch(part.shape[1]) for part in parts]
    words = np.empty(AROUND + sum(tiles) * TILE + _BEHIND, np.int16)
    words[:AROUND] = words[-_BEHIND:] = 0
    at = AROUND
    for part, count in zip(parts, tiles, strict=True):
        _fill(words[at : at + count * TILE].reshape(len(part), -1), part, surplus)
        at += count * TILE
    return Sheet(words, sum(tiles), sum(tiles[:small]), _pitch(parts[0].shape[1]))


def _fill(rows: npt.NDArray[np.int16], band: Array, surplus: int) -> None:
    """Copy rows, and their first and last pixel into the borders, where no stroke is then."""
    end = AROUND + band.shape[1]
    inside = rows[:, AROUND:end]
    block = _BLOCK if band.strides[0] < band.strides[1] else end
    for left in range(0, band.shape[1], block):
        part = band[:, left : left + block]
        np.copyto(inside[:, left : left + block], part >> surplus if surplus else part, casting="unsafe")
    rows[:, :AROUND] = inside[:, :1]
    rows[:, end:] = inside[:, -1:]
