"""Small pictures of cases: what the model saw, beside what it said of it."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageDraw
from scipy import ndimage

from firstread.imaging.volume import Volume
from model_service.evaluation.cases import Area
from model_service.overlay import render_overlay
from model_service.prediction import Image

_SIDE = 256
_SHOWN = (0.5, 99.5)  # percentiles
# Blue and orange of Okabe and Ito: told apart by colour-blind readers; the reference is the thicker line.
REFERENCE, PREDICTED = (86, 180, 233), (230, 159, 0)


def grey(values: npt.NDArray[np.float32], pixel: tuple[float, float] = (1.0, 1.0)) -> PIL.Image.Image:
    """Return a thumbnail in RGB, of at most 256 pixels on its longer side, its pixels square.

    Parameters
    ----------
    values : numpy.ndarray
        Rows x columns, or rows x columns x 3 in [0, 1].
    pixel : tuple of float
        Height and width of a pixel, in any one unit.
    """
    if values.ndim == 2:
        low, high = np.percentile(values, _SHOWN)
        values = (values - low) / max(float(high - low), 1e-6)
    image = PIL.Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    height, width = image.height * pixel[0], image.width * pixel[1]
    scale = _SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return image.resize(size, PIL.Image.Resampling.BILINEAR)


def with_map(image: Image, evidence: npt.NDArray[np.float32] | None) -> PIL.Image.Image:
    """Draw an image beside itself with an activation map; by itself where there is none."""
    plain = grey(image)
    if evidence is None:
        return plain
    with PIL.Image.open(io.BytesIO(render_overlay(evidence))) as layer:
        over = layer.convert("RGBA").resize(plain.size, PIL.Image.Resampling.BILINEAR)
    return _beside(plain, PIL.Image.alpha_composite(plain.convert("RGBA"), over).convert("RGB"))


def with_outlines(
    source: Image | Volume, reference: npt.NDArray[np.uint8] | None, predicted: npt.NDArray[np.uint8]
) -> PIL.Image.Image:
    """Draw an image, or the slice with most of the segments, beside itself with their outlines."""
    pixel = (1.0, 1.0)
    if isinstance(source, Volume):
        telling = predicted if reference is None or not reference.any() else reference
        areas = (telling > 0).sum(axis=(1, 2))
        number = int(areas.argmax()) if areas.any() else len(areas) // 2
        image, predicted = source.values[number], predicted[number]
        reference = None if reference is None else reference[number]
        pixel = source.spacing_mm[1:]
    else:
        image = source
    plain = grey(image, pixel)
    drawn = np.array(plain)
    for labels, colour, reach in ((reference, REFERENCE, 2), (predicted, PREDICTED, 1)):
        if labels is not None:
            small = np.asarray(PIL.Image.fromarray(labels).resize(plain.size, PIL.Image.Resampling.NEAREST))
            drawn[_edges(small, reach)] = colour
    return _beside(plain, PIL.Image.fromarray(drawn))


def with_boxes(image: Image, reference: Sequence[Area], predicted: Sequence[Area]) -> PIL.Image.Image:
    """Draw an image beside itself with boxes."""
    plain = grey(image)
    over = plain.copy()
    pen = PIL.ImageDraw.Draw(over)
    scale = plain.width / image.shape[1]
    for areas, colour, width in ((reference, REFERENCE, 3), (predicted, PREDICTED, 1)):
        for top, bottom, left, right in areas:
            pen.rectangle(
                [left * scale, top * scale, right * scale, bottom * scale], outline=colour, width=width
            )
    return _beside(plain, over)


def data_uri(image: PIL.Image.Image) -> str:
    """Return a picture as a data URI of a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _edges(labels: npt.NDArray[np.uint8], reach: int) -> npt.NDArray[np.bool_]:
    edges = np.zeros(labels.shape, dtype=bool)
    for number in np.unique(labels[labels > 0]):
        part = labels == number
        edges |= part & ~ndimage.binary_erosion(part, iterations=reach)
    return edges


def _beside(left: PIL.Image.Image, right: PIL.Image.Image) -> PIL.Image.Image:
    both = PIL.Image.new("RGB", (left.width + right.width + 4, left.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width + 4, 0))
    return both
