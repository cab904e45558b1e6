"""Slices brought onto an even, upright grid by linear interpolation; what is on it already is not touched."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.even import Grid

Array = npt.NDArray[Any]

_ON_IT = 1e-3  # of a pixel, or of the distance between slices


def regrid(values: Array, grid: Grid, outside: float) -> Array:
    """Bring slices onto a grid.

    Parameters
    ----------
    values : numpy.ndarray
        Slices x rows x columns, as they came; with the samples of colours last.
    grid
        Where they lie, and where they are to lie.
    outside
        The value where no image was.

    Returns
    -------
    numpy.ndarray
        In the shape of the grid and the type of `values`; whole numbers are rounded to the nearest.
    """
    if values.ndim > 3:
        return np.stack([regrid(values[..., each], grid, outside) for each in range(values.shape[-1])], -1)
    made = np.empty(grid.shape, values.dtype)
    for number in range(grid.shape[0]):
        after = int(np.clip(np.searchsorted(grid.distances, number - _ON_IT), 0, len(values) - 1))
        share = 1.0
        if after and abs(grid.distances[after] - number) > _ON_IT:
            gap = grid.distances[after] - grid.distances[after - 1]
            share = float(np.clip((number - grid.distances[after - 1]) / gap, 0.0, 1.0))
        plane = _placed(values[after], grid, after, outside)
        if share < 1.0:
            plane = share * plane + (1.0 - share) * _placed(values[after - 1], grid, after - 1, outside)
        made[number] = np.rint(plane) if np.issubdtype(values.dtype, np.integer) else plane
    return made


def _placed(plane: Array, grid: Grid, number: int, outside: float) -> Array:
    """Return a slice moved within its plane."""
    if plane.shape == grid.shape[1:] and abs(grid.offsets[number]).max() <= _ON_IT:
        return plane
    from scipy.ndimage import affine_transform  # as long to import as a small volume takes to load

    moved: Array = affine_transform(
        plane.astype(np.result_type(plane.dtype, np.float32)),
        np.ones(2),
        offset=-grid.offsets[number],
        output_shape=grid.shape[1:],
        order=1,
        mode="constant",
        cval=outside,
    )
    return moved
