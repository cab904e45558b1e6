"""Whether slices lie on an even, upright grid, and onto which one they are brought where they do not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstread.imaging.slices import Matrix, Slice
from firstread.imaging.verdict import Act, Done, Repairs, VolumeError, VolumeReason

_UNEVEN = 0.01  # of the distance between slices, and at least
_UNEVEN_MM = 0.02
_TILT = (
    0.05  # how far each slice may lie beside the one before, in slice distances: three degrees of gantry tilt
)
_UPRIGHT_PIXELS = 0.25  # what a whole stack may lean, where the grid can be upright all the same
_MULTIPLE = 0.05  # how far a gap may be from a multiple of the distance between slices
_HOLE = 3  # distances; a longer one is not guessed over
_STRETCH = 4.0  # times the smallest gap; across a longer one nothing is interpolated


@dataclass(frozen=True)
class Grid:
    """An even grid, and how slices come onto it.

    Parameters
    ----------
    affine : numpy.ndarray
        4 x 4; takes (slice, row, column, 1) to millimetres in the patient's coordinates (LPS).
    shape
        Slices, rows and columns.
    distances : numpy.ndarray
        Where the slices that came lie, in slices of the grid.
    offsets : numpy.ndarray
        Slices x 2; where their first pixels lie in the planes of the grid, in rows and columns.
    is_exact
        Whether the slices are those of the grid.
    """

    affine: Matrix
    shape: tuple[int, int, int]
    distances: Matrix
    offsets: Matrix
    is_exact: bool


def even(slices: Sequence[Slice], normal: Matrix, repairs: Repairs) -> tuple[Grid, tuple[Done, ...]]:
    """Find the grid of slices.

    Parameters
    ----------
    slices
        One at each position, in the order of the normal.
    normal
        Perpendicular to all of them.
    repairs
        What may be mended.

    Raises
    ------
    VolumeError
        If they are not even or not upright, and that may not, or cannot, be mended.
    """
    first = slices[0]
    positions = np.array([each.position for each in slices])
    if len(slices) == 1:
        # A single slice has no thickness that its geometry would tell.
        return _grid(first, normal, first.position, (1, *first.size), np.zeros(1), np.zeros((1, 2))), ()
    depth = (positions - positions[0]) @ normal
    distance, distances, done = _spacing(depth, repairs)
    count = round(distances[-1]) + 1
    lean = (positions[-1] - positions[0]) / depth[
        -1
    ] - normal  # millimetres in the plane per millimetre of depth
    line = positions[0] + depth[:, None] * (normal + lean)
    if np.linalg.norm(positions - line, axis=1).max() > _TILT * distance:
        raise VolumeError(VolumeReason.TILTED)  # one lies beside the others
    offsets = _offsets(first, lean, depth)
    is_upright = np.linalg.norm(lean) <= _TILT
    exact = not done
    if not repairs.tilt and not is_upright:
        raise VolumeError(VolumeReason.TILTED)
    if not repairs.tilt or (exact and abs(offsets).max() <= _UPRIGHT_PIXELS):
        # What little it leans the affine says, and every voxel stays what it was.
        step = (positions[-1] - positions[0]) / (count - 1)
        return _grid(first, step, first.position, (count, *first.size), distances, 0 * offsets, exact), done
    if abs(offsets).max() <= _UPRIGHT_PIXELS:
        offsets = 0 * offsets
    else:
        degrees = float(np.degrees(np.arctan(np.linalg.norm(lean))))
        done = (*done, Done(Act.TILT_CORRECTED, len(slices), {"degrees": round(degrees, 3)}))
        exact = False
    low, high = np.floor(offsets.min(axis=0)), np.ceil(offsets.max(axis=0))
    rows, columns = (int(side + more) for side, more in zip(first.size, high - low, strict=True))
    origin = first.position + _in_plane(first, low)
    shape = (count, rows, columns)
    return _grid(first, normal * distance, origin, shape, distances, offsets - low, exact), done


def _spacing(depth: Matrix, repairs: Repairs) -> tuple[float, Matrix, tuple[Done, ...]]:
    """Return the distance between slices in millimetres, where each lies in such distances, and what is mended."""
    gaps = np.diff(depth)
    mean, smallest = float(gaps.mean()), float(gaps.min())
    if smallest < _UNEVEN_MM:
        raise VolumeError(VolumeReason.SAME_POSITION)
    if abs(gaps - mean).max() <= max(_UNEVEN * mean, _UNEVEN_MM):
        return mean, np.arange(len(depth), dtype=np.float64), ()
    usual = float(np.median(gaps[gaps < 1.5 * smallest]))
    multiples = np.rint(gaps / usual)
    fits = abs(gaps - multiples * usual) <= np.maximum(_MULTIPLE * usual, _UNEVEN_MM)
    if fits.all() and not _is_meant(multiples > 1):
        return _with_holes(depth, multiples.astype(int), repairs)
    if not repairs.uneven or gaps.max() > _STRETCH * smallest:
        raise VolumeError(VolumeReason.UNEVEN_SPACING)
    count = round(float(depth[-1]) / smallest)
    distance = float(depth[-1]) / count
    figures = {"smallest_mm": round(smallest, 6), "largest_mm": round(float(gaps.max()), 6)}
    return distance, depth / distance, (Done(Act.RESAMPLED, count + 1, figures | {"from": len(depth)}),)


def _is_meant(wide: npt.NDArray[np.bool_]) -> bool:
    """Return whether wide gaps are a part of the stack that was planned so, and not where slices never came."""
    return bool(wide.sum() > _HOLE and abs(np.diff(wide.astype(int))).sum() <= 2)


def _with_holes(
    depth: Matrix, multiples: npt.NDArray[np.int_], repairs: Repairs
) -> tuple[float, Matrix, tuple[Done, ...]]:
    places = np.concatenate([[0], np.cumsum(multiples)])
    absent = sorted(set(range(int(places[-1]) + 1)) - set(places.tolist()))
    allowed = max(1, int(repairs.missing * (int(places[-1]) + 1)))
    if not repairs.missing:
        raise VolumeError(VolumeReason.UNEVEN_SPACING)
    if len(absent) > allowed or multiples.max() > _HOLE:
        raise VolumeError(VolumeReason.MISSING_SLICES)
    distance = float(depth[-1] / places[-1])
    done = Done(Act.MISSING_INTERPOLATED, len(absent), slices=tuple(absent))
    return distance, places.astype(np.float64), (done,)


def _offsets(first: Slice, lean: Matrix, depth: Matrix) -> Matrix:
    """Return where first pixels lie beside that of the first slice, in rows and columns."""
    beside = depth[:, None] * lean
    along_row, along_column = first.directions
    return np.stack([beside @ along_column / first.spacing[0], beside @ along_row / first.spacing[1]], axis=1)


def _grid(
    first: Slice,
    step: Matrix,
    origin: Matrix,
    shape: tuple[int, int, int],
    distances: Matrix,
    offsets: Matrix,
    exact: bool = True,
) -> Grid:
    affine = np.eye(4)
    affine[:3, 0] = step
    # Pixel Spacing is rows then columns; a row index moves along the column direction (PS3.3 10.7.1.3).
    affine[:3, 1] = first.directions[1] * first.spacing[0]
    affine[:3, 2] = first.directions[0] * first.spacing[1]
    affine[:3, 3] = origin
    return Grid(affine, shape, distances, offsets, exact)


def _in_plane(first: Slice, pixels: Matrix) -> Matrix:
    along_row, along_column = first.directions
    found: Matrix = along_column * first.spacing[0] * pixels[0] + along_row * first.spacing[1] * pixels[1]
    return found
