"""8-bit images of a frame for a text detector: everything a viewer could make visible, text included."""

from collections.abc import Iterator

import numpy as np
from pydicom.pixels.processing import convert_color_space

from firstread.deid.burned_in.boxes import Image
from firstread.deid.burned_in.layout import (
    AS_YBR,
    Array,
    Layout,
    Palette,
    hidden_bits,
    values,
)

_RANGE = (0.5, 99.5)  # percentiles: bright text must not push faint text below one gray level


def views(stored: Array, layout: Layout, palette: Palette | None) -> Iterator[Image]:
    """Yield images of a frame.

    Parameters
    ----------
    stored
        The frame, rows x columns or rows x columns x 3.
    layout
        How it is stored.
    palette
        The colours of a PALETTE COLOR image.

    Yields
    ------
    numpy.ndarray
        8 bit, gray or RGB: the image over its full range; a palette's indices, as two entries may share a colour;
        and each bit that no viewer shows but that is set somewhere.
    """
    if stored.ndim == 3:
        yield _colour(stored, layout)
        return
    samples = values(stored, layout)
    if palette is not None:
        yield palette.shown(samples)
    yield stretched(samples, inverted=layout.photometric == "MONOCHROME1")
    hidden = hidden_bits(stored, layout)
    for bit in range(layout.bits_allocated):
        plane = hidden >> bit & 1
        if plane.any():
            yield (plane * 255).astype(np.uint8)


def stretched(samples: Array, *, inverted: bool = False) -> Image:
    """Return gray values with nearly their full range spread over 8 bits."""
    low, high = (float(limit) for limit in np.percentile(samples, _RANGE))
    if high <= low:
        low, high = float(samples.min()), float(samples.max())
    if high <= low:
        return np.zeros(samples.shape, dtype=np.uint8)
    shown = np.clip((samples.astype(np.float32) - low) * (255.0 / (high - low)), 0, 255).astype(np.uint8)
    return np.asarray(255 - shown, dtype=np.uint8) if inverted else shown


def _colour(stored: Array, layout: Layout) -> Image:
    wide = layout.bits_stored - 8
    shown = (stored >> wide if wide > 0 else stored).astype(np.uint8)
    if layout.photometric in AS_YBR:
        shown = convert_color_space(shown, "YBR_FULL", "RGB").astype(np.uint8)
    return np.asarray(shown, dtype=np.uint8)
