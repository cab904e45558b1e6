"""The pixels within outlines: the way back from `firstread.objects.outline`."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from firstread.objects.outline import Mask, Polyline


def filled(rings: Iterable[Polyline | Sequence[tuple[float, float]]], shape: tuple[int, int]) -> Mask:
    """Return the pixels whose centres lie within closed rings, by the even-odd rule.

    A hole is a ring inside another. A centre that lies on an edge belongs to the side with the larger column, then the
    larger row, so that regions side by side share no pixel and leave none out.

    Parameters
    ----------
    rings
        Points x (column, row), the top left corner of the image being 0, 0; the last point may repeat the first one.
    shape
        Rows and columns.

    Returns
    -------
    Mask
        Rows x columns.
    """
    begins, ends = _edges(rings)
    mask = np.zeros(shape, dtype=np.bool_)
    if not len(begins):
        return mask
    lowest = np.minimum(begins[:, 1], ends[:, 1])
    highest = np.maximum(begins[:, 1], ends[:, 1])
    first = max(0, int(np.ceil(lowest.min() - 0.5)))
    last = min(shape[0], int(np.ceil(highest.max() - 0.5)))
    for row in range(first, last):
        centre = row + 0.5
        crossed = (lowest <= centre) & (centre < highest)
        a, b = begins[crossed], ends[crossed]
        columns = np.sort(a[:, 0] + (centre - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1]))
        limits = np.clip(np.ceil(columns - 0.5), 0, shape[1]).astype(np.int64)
        for left, right in zip(limits[::2], limits[1::2], strict=True):
            mask[row, left:right] = True
    return mask


def _edges(
    rings: Iterable[Polyline | Sequence[tuple[float, float]]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    found = [np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in rings]
    if not found:
        return np.empty((0, 2)), np.empty((0, 2))
    begins = np.concatenate(found)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in found])
    level = begins[:, 1] == ends[:, 1]  # crosses no row of centres
    return begins[~level], ends[~level]
