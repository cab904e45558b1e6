"""Values brought onto the grid of another volume by linear interpolation, each where it lies in the patient."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.slices import Matrix

Array = npt.NDArray[Any]

_EDGE = 1e-4  # of a voxel; what affines of headers round to


def onto(values: Array, affine: Matrix, grid: tuple[int, int, int], target: Matrix, outside: float) -> Array:
    """Interpolate values linearly at the voxel centres of a grid.

    Parameters
    ----------
    values : numpy.ndarray
        Slices x rows x columns.
    affine, target : numpy.ndarray
        4 x 4; where `values` and the grid lie, (slice, row, column, 1) to millimetres (LPS).
    grid
        Slices, rows and columns of the result.
    outside
        The value beyond the centres of the outermost voxels.

    Returns
    -------
    numpy.ndarray
        float32, in the shape of `grid`.
    """
    from scipy.ndimage import map_coordinates  # as long to import as a small volume takes to load

    back = np.linalg.inv(affine) @ target
    rows, columns = np.indices(grid[1:], np.float64)
    flat = back[:3, 1, None, None] * rows + back[:3, 2, None, None] * columns + back[:3, 3, None, None]
    last = np.array(values.shape, np.float64)[:, None, None] - 1
    source = np.ascontiguousarray(values, np.float32)
    made = np.empty(grid, np.float32)
    for number in range(grid[0]):  # the coordinates of one slice at a time
        places = flat + back[:3, 0, None, None] * number
        is_inside = ((places >= -_EDGE) & (places <= last + _EDGE)).all(axis=0)
        made[number] = outside
        if is_inside.any():
            at = np.clip(places[:, is_inside], 0, last[:, 0])
            made[number][is_inside] = map_coordinates(source, at, np.float32, order=1, mode="nearest")
    return made
