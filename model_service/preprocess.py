"""Preprocessing that training, evaluation and inference share, so that they cannot drift apart."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Intensity = Literal["rank", "zscore", "minmax"]

# Ranks come from a histogram, not from a sort: linear time, and fine enough that a 12-bit image whose anatomy
# fills a quarter of the range still gets a thousand levels.
_BINS = 16384
# Standard deviation of a uniform variable on [0, 1]; brings rank images to unit variance.
_UNIFORM_STD = 12**-0.5
_FLAT = 1e-6
_PERCENTILES = (1.0, 99.0)
# The dark frame is looked for on a grid of averages, where noise does not count.
_GRID = 64
_DARK = 0.04
_MARKER = 0.05
_MIN_SPAN = 0.4


class Box(NamedTuple):
    """Part of an image, in pixels; ``bottom`` and ``right`` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int


def to_batch(image: npt.NDArray[np.float32]) -> Tensor:
    """Check one greyscale image and make a batch of it.

    Parameters
    ----------
    image : numpy.ndarray
        Height x width, ``float32`` in [0, 1], MONOCHROME2 polarity (air is dark).

    Returns
    -------
    torch.Tensor
        1 x 1 x height x width.

    Raises
    ------
    ValueError
        If the array is not a finite 2-D ``float32`` image in [0, 1].
    """
    if image.ndim != 2 or image.dtype != np.float32:
        raise ValueError(f"expected a 2-D float32 image, got {image.ndim}-D {image.dtype}")
    if min(image.shape) < 8:
        raise ValueError(f"image of {image.shape[0]} x {image.shape[1]} pixels is too small")
    if not np.isfinite(image).all() or image.min() < 0.0 or image.max() > 1.0:
        raise ValueError("image values must be finite and within [0, 1]")
    # A copy: decoders hand out read-only arrays, which torch does not take without a warning.
    return torch.from_numpy(image.copy(order="C"))[None, None]


class Preprocess:
    """Cut off the dark frame, resize to a square and standardise the intensities of each image by itself.

    The square is squashed, not padded, as in the training set. ``rank`` replaces each value by its rank
    within the image, so the result depends neither on exposure, window, gamma nor bit depth; ``zscore``
    subtracts the mean and divides by the standard deviation; ``minmax`` brings the first and the last percentile
    to -1 and 1 and clips, so that nothing can be larger.

    Parameters
    ----------
    size : int
        Side of the square in pixels.
    intensity : {"rank", "zscore", "minmax"}
        Standardisation of the intensities.
    cut_frame : bool
        Whether a dark frame is cut off first.

    Examples
    --------
    >>> import torch
    >>> Preprocess(size=144)(torch.rand(2, 1, 300, 200)).shape
    torch.Size([2, 1, 144, 144])
    """

    def __init__(self, size: int, intensity: Intensity = "rank", cut_frame: bool = True) -> None:
        if size < 32:
            raise ValueError(f"size {size} is too small")
        if intensity not in _STANDARDISE:
            raise ValueError(f"unknown intensity standardisation {intensity!r}")
        self.size = size
        self.intensity = intensity
        self.cut_frame = cut_frame

    def __call__(self, batch: Tensor) -> Tensor:
        """Preprocess N x channels x height x width values in [0, 1]."""
        side = (self.size, self.size)
        # Anti-aliasing also removes the finest detail, where the compression of the source shows.
        resized = [
            functional.interpolate(image, side, mode="bilinear", antialias=True, align_corners=False)
            for image in (
                whole[None, :, box.top : box.bottom, box.left : box.right]
                for whole, box in zip(batch, self.boxes(batch), strict=True)
            )
        ]
        stacked = torch.cat(resized)
        return _STANDARDISE[self.intensity](stacked)

    def boxes(self, batch: Tensor) -> list[Box]:
        """Return the part of each image that is used."""
        height, width = batch.shape[-2:]
        return content_boxes(batch) if self.cut_frame else [Box(0, height, 0, width)] * len(batch)


def content_boxes(batch: Tensor) -> list[Box]:
    """Find the box of each image without its dark frame (collimation, shutter, padding).

    The frame must go before ranks are taken: how much of it there is says nothing of the lungs, yet would
    shift every rank, and in the training set it differs between the classes.

    Parameters
    ----------
    batch : torch.Tensor
        N x channels x height x width values in [0, 1].

    Returns
    -------
    list of Box
        The whole image where nothing is dark, or where what remains would be too little to trust.
    """
    height, width = batch.shape[-2:]
    cells = functional.adaptive_avg_pool2d(batch, _GRID).mean(dim=1)
    low = cells.amin(dim=(1, 2))
    high = cells.flatten(1).kthvalue(int(0.95 * _GRID**2), dim=1).values
    content = cells > (low + _DARK * (high - low)).view(-1, 1, 1)
    # A lead marker outside the field is narrower than this.
    rows, columns = (content.sum(dim=dim) > _GRID * _MARKER for dim in (2, 1))
    boxes = []
    for row, column in zip(rows, columns, strict=True):
        top, bottom = _span(row, height)
        left, right = _span(column, width)
        boxes.append(Box(top, bottom, left, right))
    return boxes


def _span(lines: Tensor, length: int) -> tuple[int, int]:
    inside = lines.nonzero().flatten()
    if len(inside) < _GRID * _MIN_SPAN:
        return 0, length
    first, last = int(inside[0]), int(inside[-1]) + 1
    return first * length // _GRID, -(-last * length // _GRID)


def _zscore(batch: Tensor) -> Tensor:
    # Over the channels together, so that a colour image keeps its hue.
    std, mean = torch.std_mean(batch, dim=(-3, -2, -1), correction=0, keepdim=True)
    return (batch - mean) / std.clamp_min(_FLAT)


def _minmax(batch: Tensor) -> Tensor:
    limits = torch.tensor(_PERCENTILES, dtype=batch.dtype) / 100
    low, high = (bound.view(-1, 1, 1, 1) for bound in torch.quantile(batch.flatten(1), limits, dim=1))
    scaled: Tensor = 2 * (batch - low) / (high - low).clamp_min(_FLAT) - 1
    return scaled.clamp(-1, 1)


def _rank(batch: Tensor) -> Tensor:
    flat = batch.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    bins = ((flat - low) / (high - low).clamp_min(_FLAT) * (_BINS - 1)).round().long()
    counts = torch.zeros(len(flat), _BINS, device=flat.device).scatter_add_(1, bins, torch.ones_like(flat))
    # Values in one bin share their mean rank: a black border of any size becomes one grey value.
    ranks = (counts.cumsum(1) - 0.5 * counts) / flat.shape[1]
    return ((ranks.gather(1, bins) - 0.5) / _UNIFORM_STD).view_as(batch)


_STANDARDISE: dict[Intensity, Callable[[Tensor], Tensor]] = {
    "rank": _rank,
    "zscore": _zscore,
    "minmax": _minmax,
}
