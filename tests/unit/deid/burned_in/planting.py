"""Text drawn into real pixels, with the mask of its ink: what a detector is measured with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Array = npt.NDArray[Any]

LINES = (
    "QUIMBY^THEODORA",
    "MRN 99887766",
    "03/05/1962",
    "St. Elsewhere Hospital",
    "Dr. Fiscus 18:54:34",
    "Acc: A4711-22",
)
_FOLDERS = (Path("/usr/share/fonts/truetype/dejavu"), Path("/usr/share/fonts/truetype/liberation"))
FONTS = ("", "DejaVuSans.ttf", "DejaVuSansMono-Bold.ttf", "LiberationSerif-Regular.ttf")


@dataclass(frozen=True)
class Line:
    """A line of text in an image: where its ink is, and its rectangle."""

    ink: npt.NDArray[np.bool_]
    left: int
    top: int
    right: int
    bottom: int


def font(name: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font of this machine, or the one that comes with Pillow."""
    for folder in _FOLDERS:
        if name and (folder / name).exists():
            return ImageFont.truetype(folder / name, size)
    return ImageFont.load_default(size)


def ink_of(shape: tuple[int, int], text: str, at: tuple[int, int], size: int, name: str = "") -> Line:
    """Return where a text at (left, top) would have ink, more than half covered."""
    canvas = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(canvas).text(at, text, fill=255, font=font(name, size))
    ink = np.asarray(canvas) > 127
    rows, columns = np.where(ink)
    return Line(ink, int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def draw(stored: Array, text: str, at: tuple[int, int], size: int, value: float, name: str = "") -> Line:
    """Write a text into stored values, in place, with soft edges as a scanner's console does."""
    canvas = Image.new("L", (stored.shape[1], stored.shape[0]))
    ImageDraw.Draw(canvas).text(at, text, fill=255, font=font(name, size))
    cover = np.asarray(canvas).astype(np.float64) / 255
    if stored.ndim == 3:
        cover = cover[..., np.newaxis]
    mixed = stored * (1 - cover) + np.asarray(value) * cover
    stored[...] = np.rint(mixed).astype(stored.dtype)
    return ink_of(stored.shape[:2], text, at, size, name)


def _place(
    stored: Array, random: np.random.Generator, line: tuple[int, int, int], step: float, high: float
) -> tuple[int, float]:
    """Choose a column where the text stands out from nearly all of what is under it, and its value."""
    top, size, width = line
    largest = float(np.iinfo(stored.dtype).max)
    for _ in range(40):
        left = int(random.integers(2, max(3, stored.shape[1] - width - 4)))
        under = stored[top : top + size, left : left + width]
        value = min(float(np.median(under)) + step, largest, max(high, float(under.max())))
        if float(np.percentile(under, 95)) <= value - step / 2:
            break
    return left, value


def plant(stored: Array, seed: int, sizes: tuple[int, ...], contrast: float) -> list[Line]:
    """Write all of `LINES` one under another at random columns; `contrast` is a part of the frame's range."""
    random = np.random.default_rng(seed)
    low, high = (float(limit) for limit in np.percentile(stored, (1, 99.5)))
    lines, top = [], int(random.integers(4, 12))
    for text in LINES:
        size, name = int(random.choice(sizes)), str(random.choice(FONTS))
        if top + 2 * size >= stored.shape[0]:
            break
        width = ink_of((4 * size, 40 * size), text, (0, 0), size, name).right
        left, value = _place(stored, random, (top, size, width), contrast * (high - low), high)
        lines.append(draw(stored, text, (left, top), size, value, name))
        top += int(size * 1.3) + int(random.integers(6, max(7, stored.shape[0] // len(LINES) - 2 * size)))
    return lines
