"""Draw an activation map as a transparent PNG that lies over the image."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

# Anchors of the "inferno" colour map (S. van der Walt and N. Smith, CC0), evenly spaced. Its lightness only
# rises, so more evidence looks like more also in greyscale print and to colour-blind readers.
_ANCHORS = np.array(
    [
        [0, 0, 4],
        [31, 12, 72],
        [85, 15, 109],
        [136, 34, 106],
        [186, 54, 85],
        [227, 89, 51],
        [249, 140, 10],
        [249, 201, 50],
        [252, 255, 164],
    ],
    dtype=np.float64,
)
_MAX_SIDE = 1024
_TRANSPARENT_BELOW = 0.2
_FULL_AT = 0.6
_MAX_ALPHA = 0.6


def render_overlay(activation_map: npt.NDArray[np.float32]) -> bytes:
    """Render an activation map as an RGBA PNG.

    Parameters
    ----------
    activation_map : numpy.ndarray
        Height x width, ``float32`` in [0, 1].

    Returns
    -------
    bytes
        A PNG of the map's size, or scaled down so that its long side is 1024 pixels. It is transparent where
        the map is low and never opaque, and it bears no text.
    """
    if activation_map.ndim != 2:
        raise ValueError(f"expected a 2-D map, got {activation_map.ndim}-D")
    values = _limit(np.clip(activation_map, 0.0, 1.0).astype(np.float32))
    positions = np.linspace(0.0, 1.0, len(_ANCHORS))
    rgba = np.empty((*values.shape, 4), dtype=np.uint8)
    for channel in range(3):
        rgba[..., channel] = np.rint(np.interp(values, positions, _ANCHORS[:, channel]))
    ramp = np.clip((values - _TRANSPARENT_BELOW) / (_FULL_AT - _TRANSPARENT_BELOW), 0.0, 1.0)
    rgba[..., 3] = np.rint(ramp * _MAX_ALPHA * 255)
    # Colour under full transparency would only make the file larger.
    rgba[rgba[..., 3] == 0] = 0
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, format="PNG")
    return buffer.getvalue()


def _limit(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    height, width = values.shape
    shrink = _MAX_SIDE / max(height, width)
    if shrink >= 1:
        return values
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))
