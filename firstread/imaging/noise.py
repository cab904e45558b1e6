"""How much noise there is in a picture, told from the picture alone."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FEWEST = 64
"""Squares of 2 x 2 pixels without which nothing is said: of so many, one standard error is 15 %."""
_NORMAL = 0.6744897501960817  # third quartile of the normal distribution


def noise(values: Array, left_out: npt.NDArray[np.bool_] | None = None) -> float | None:
    """Return the standard deviation of white noise: the median of the finest wavelet coefficients over 0.6745.

    The coefficients are the diagonal ones of the Haar wavelet, in which structures hardly show, and of those that do
    the median takes no notice (Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika
    81, 1994). Of noise in which neighbours are alike, as reconstruction kernels and interpolation leave it, this is
    less than the standard deviation in a region; it compares images that were made in the same way.

    Parameters
    ----------
    values : numpy.ndarray
        Rows x columns, or rows x columns x samples. The median of whole numbers is interpolated.
    left_out : numpy.ndarray, optional
        Of the same shape: squares of 2 x 2 with one of these are not looked at.

    Returns
    -------
    float or None
        In the units of the values; 0.0 also where whole numbers are too coarse to show it, None where there are fewer
        than `FEWEST` squares.
    """
    kind = np.float64 if values.dtype.kind == "f" else np.int64 if values.itemsize > 2 else np.int32
    corners: list[Array] = [each.astype(kind) for each in _corners(values)]
    first, right, below, last = corners
    twice: Array = abs(first - right - below + last)
    if left_out is not None:
        one, other, third, fourth = _corners(left_out)
        twice = twice[~(one | other | third | fourth)]
    if twice.size < FEWEST:
        return None
    middle = float(np.median(twice)) if kind is np.float64 else _median(twice)
    return middle / 2 / _NORMAL


def _corners(values: Array) -> tuple[Array, Array, Array, Array]:
    rows, columns = (side // 2 * 2 for side in values.shape[:2])
    even = values[:rows, :columns]
    return even[0::2, 0::2], even[0::2, 1::2], even[1::2, 0::2], even[1::2, 1::2]


def _median(whole: Array) -> float:
    """Return the median of what was rounded to whole numbers; 0.0 where half of it is."""
    middle = np.partition(whole, whole.size // 2, axis=None)[whole.size // 2]
    if not middle:
        return 0.0
    below, at = np.count_nonzero(whole < middle), np.count_nonzero(whole == middle)
    return float(middle - 0.5 + (whole.size / 2 - below) / at)
