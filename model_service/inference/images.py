"""From an image to what the network sees, and back; the twin of `preprocess` without torch."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model_service.inference.intensity import Array, standardise
from model_service.manifest.inputs import ImageInput
from model_service.prediction import LabelMap

_MIN_SIDE = 8
# As in `preprocess`: the dark frame is looked for on a grid of averages, where noise does not count.
_GRID = 64
_DARK = 0.04
_MARKER = 0.05
_MIN_SPAN = 0.4
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as the readers of PNG have it


class Area(NamedTuple):
    """Part of an image or map, in its pixels; ``bottom`` and ``right`` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Return rows and columns."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True)
class PreparedImage:
    """An image as the network sees it, and the way back.

    Parameters
    ----------
    values : numpy.ndarray
        Channels x rows x columns, float32.
    source : tuple of int
        Rows and columns of the source.
    used : Area
        The part of the source that was used: all but its dark frame.
    content : Area
        Where that part lies in `values`; the rest is padding.
    """

    values: Array
    source: tuple[int, int]
    used: Area
    content: Area

    def set_in(self, values: Array) -> Array:
        """Bring a map over `values`, of any resolution, to the source; 0 in the frame."""
        rows, columns = self.values.shape[-2:]
        down, across = values.shape[0] / rows, values.shape[1] / columns
        top, bottom, left, right = self.content
        # Part of a cell of the map can lie over padding.
        part = (left * across, top * down, right * across, bottom * down)
        full = np.zeros(self.source, np.float32)
        full[_slices(self.used)] = _resize(values, self.used.size, part)
        return full

    def labels_back(self, labels: LabelMap) -> LabelMap:
        """Bring a label map on the grid of `values` to the source, by the nearest pixel; 0 in the frame."""
        part = labels[_slices(self.content)]
        full = np.zeros(self.source, np.uint8)
        rows, columns = (
            np.minimum(((np.arange(to) + 0.5) * (of / to)).astype(np.intp), of - 1)
            for of, to in zip(part.shape, self.used.size, strict=True)
        )
        full[_slices(self.used)] = part[rows][:, columns]
        return full

    def area_back(self, area: Area, grid: tuple[int, int]) -> Area:
        """Bring an area on a map of `grid` rows and columns over `values` to the source, grown to whole pixels."""
        rows = self._back(area.top, area.bottom, grid[0], axis=0)
        columns = self._back(area.left, area.right, grid[1], axis=1)
        return Area(*rows, *columns)

    def _back(self, first: int, last: int, cells: int, *, axis: int) -> tuple[int, int]:
        used, content = (self.used[2 * axis :][:2], self.content[2 * axis :][:2])
        step = self.values.shape[1 + axis] / cells
        factor = (used[1] - used[0]) / (content[1] - content[0])
        ends = [used[0] + (each * step - content[0]) * factor for each in (first, last)]
        low, high = int(np.floor(ends[0] + 1e-6)), int(np.ceil(ends[1] - 1e-6))
        low = min(max(low, used[0]), used[1] - 1)
        return low, min(max(high, low + 1), used[1])


def prepare_image(image: npt.NDArray[np.float32], wanted: ImageInput) -> PreparedImage:
    """Make what the network sees of an image.

    Parameters
    ----------
    image : numpy.ndarray
        Rows x columns, or rows x columns x 3, float32; `prediction.Image`.
    wanted : ImageInput
        What the manifest says.

    Raises
    ------
    ValueError
        If the array is not such an image.
    """
    _check(image, wanted)
    source = (image.shape[0], image.shape[1])
    used = content_area(_luminance(image)) if wanted.cut_frame else Area(0, source[0], 0, source[1])
    size = _size(used.size, wanted)
    part = image[_slices(used)]  # cut, for a resize of a part also looks at what is beside it
    # Anti-aliasing also removes the finest detail, where the compression of the source shows.
    values = np.stack(
        [_resize(plane, size) for plane in (part[None] if part.ndim == 2 else np.moveaxis(part, -1, 0))]
    )
    values, content = _pad(standardise(values, wanted.intensity), wanted)
    return PreparedImage(values, source, used, content)


def content_area(image: Array) -> Area:
    """Find an image without its dark frame; see `preprocess.content_boxes`."""
    height, width = image.shape
    cells = _averages(image)
    low = cells.min()
    high = np.partition(cells.ravel(), int(0.95 * _GRID**2) - 1)[int(0.95 * _GRID**2) - 1]
    content = cells > low + np.float32(_DARK) * (high - low)
    rows, columns = (content.sum(axis=axis) > _GRID * _MARKER for axis in (1, 0))
    return Area(*_span(rows, height), *_span(columns, width))


def _averages(image: Array) -> Array:
    """Average over a grid of _GRID x _GRID parts; parts of lengths that do not divide overlap by one line."""
    rows = np.stack([image[part].mean(axis=0) for part in _parts(image.shape[0])])
    return np.stack([rows[:, part].mean(axis=1) for part in _parts(image.shape[1])], axis=1)


def _parts(length: int) -> list[slice]:
    return [slice(step * length // _GRID, -(-(step + 1) * length // _GRID)) for step in range(_GRID)]


def _span(lines: npt.NDArray[np.bool_], length: int) -> tuple[int, int]:
    inside = np.flatnonzero(lines)
    if len(inside) < _GRID * _MIN_SPAN:
        return 0, length
    first, last = int(inside[0]), int(inside[-1]) + 1
    return first * length // _GRID, -(-last * length // _GRID)


def _check(image: npt.NDArray[np.float32], wanted: ImageInput) -> None:
    shape = image.shape
    if len(shape) != (2 if wanted.channels == 1 else 3) or image.dtype != np.float32:
        raise ValueError(f"not an image of {wanted.channels} channels: {image.ndim}-D {image.dtype}")
    if wanted.channels == 3 and shape[2] != 3:
        raise ValueError(f"image of {shape[2]} channels, not 3")
    if min(shape[:2]) < _MIN_SIDE:
        raise ValueError(f"image of {shape[0]} x {shape[1]} pixels is too small")
    low, high = float(image.min()), float(image.max())
    if not np.isfinite([low, high]).all():  # a NaN anywhere is the smallest and the largest
        raise ValueError("image values must be finite")
    if wanted.values == "brightness" and not 0.0 <= low <= high <= 1.0:
        raise ValueError("image values must be within [0, 1]")


def _luminance(image: Array) -> Array:
    return image if image.ndim == 2 else image @ _LUMINANCE


def _size(used: tuple[int, int], wanted: ImageInput) -> tuple[int, int]:
    if wanted.size is None:
        return used
    if wanted.fit == "squash":
        return wanted.size
    scale = min(wanted.size[0] / used[0], wanted.size[1] / used[1])
    return max(1, round(used[0] * scale)), max(1, round(used[1] * scale))


def _resize(
    plane: Array, size: tuple[int, int], part: tuple[float, float, float, float] | None = None
) -> Array:
    """Resize, or a part given as left, top, right and bottom: bilinear with anti-aliasing, as torch and Pillow do."""
    if part is None:
        if size == plane.shape:
            return plane
        part = (0, 0, plane.shape[1], plane.shape[0])
    down, bands = _weights(plane.shape[0], part[1], part[3], size[0])
    across, _ = _weights(plane.shape[1], part[0], part[2], size[1])
    if len(down) * 4 > plane.shape[0]:
        rows = down @ plane
    else:  # most weights of a row are 0
        rows = np.stack([weights[band] @ plane[band] for weights, band in zip(down, bands, strict=True)])
    return np.asarray(rows @ across.T)


@lru_cache(maxsize=64)
def _weights(length: int, first: float, last: float, count: int) -> tuple[Array, tuple[slice, ...]]:
    """Return the weights of `length` places for `count` places between first and last, and where they are not 0."""
    scale = (last - first) / count
    reach = max(scale, 1.0)
    centres = first + (np.arange(count) + 0.5) * scale
    weights = (1 - abs(np.arange(length) + 0.5 - centres[:, None]) / reach).clip(0)
    weights /= weights.sum(axis=1, keepdims=True)
    bands = tuple(
        slice(max(0, int(centre - reach)), min(length, int(centre + reach) + 1)) for centre in centres
    )
    return weights.astype(np.float32), bands


def _pad(values: Array, wanted: ImageInput) -> tuple[Array, Area]:
    """Pad to the letterbox, in the middle, and to the multiple, at the end; windows pad for themselves."""
    height, width = values.shape[-2:]
    box = wanted.size if wanted.size and not wanted.window else (height, width)
    top, left = (box[0] - height) // 2, (box[1] - width) // 2
    content = Area(top, top + height, left, left + width)
    if not wanted.window:
        step = wanted.multiple_of
        box = (-(-box[0] // step) * step, -(-box[1] // step) * step)
    if box == (height, width):
        return values, content
    padded = np.zeros((len(values), *box), np.float32)
    padded[(slice(None), *_slices(content))] = values
    return padded, content


def _slices(area: Area) -> tuple[slice, slice]:
    return slice(area.top, area.bottom), slice(area.left, area.right)
