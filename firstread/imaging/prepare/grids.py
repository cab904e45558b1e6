"""From grid to grid by one matrix: what SimpleITK resamples, and what is only taken from its place."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

import numpy as np

from firstread.imaging.prepare.subject import Array, Mask, PrepareError, PrepareReason, Shape, Subject
from firstread.imaging.slices import Matrix

Interpolation = Literal["nearest", "linear", "bspline"]

MAX_VOXELS = 2**32
"""A larger grid is refused: it is eight CTs of 2,000 slices; a slip in a spacing must not take all memory."""

_SAME = 1e-6  # of a voxel


def resample(
    subject: Subject,
    affine: Matrix,
    shape: Shape,
    interpolation: Interpolation = "linear",
    outside: float | None = None,
    transform: Matrix | None = None,
) -> Subject:
    """Bring a volume and its masks onto another grid.

    Parameters
    ----------
    subject
        Gray; of several times, each is resampled.
    affine : numpy.ndarray
        4 x 4; takes (slice, row, column, 1) of the new grid to mm, LPS.
    shape
        Of the new grid.
    interpolation
        Of the values. Of masks, a voxel takes the label that has more than half of it.
    outside
        The value where the old grid has none; the lowest value if None. Masks are 0 there.
    transform : numpy.ndarray, optional
        4 x 4; takes a point of the new grid, in mm, to the point of the old one that is shown there. None: the same.

    Returns
    -------
    Subject
        Values keep their type: whole numbers are rounded to the nearest, and end where their type ends.
    """
    if np.prod(shape, dtype=float) > MAX_VOXELS:
        raise PrepareError(PrepareReason.TOO_LARGE)
    volume = subject.volume
    way = np.eye(4) if transform is None else transform
    matrix = np.linalg.inv(volume.affine) @ way @ affine
    if shape == subject.shape and abs(matrix - np.eye(4)).max() < _SAME:
        return subject.moved(volume.values, affine, subject.masks, volume.frames)
    fill = subject.lowest() if outside is None else outside
    times = volume.values if volume.is_in_time else volume.values[None]
    made = np.stack([_resampled(each, matrix, shape, interpolation, fill) for each in times])
    masks = {name: _relabelled(mask, matrix, shape) for name, mask in subject.masks.items()}
    return subject.moved(made if volume.is_in_time else made[0], affine, masks)


def _resampled(
    values: Array, matrix: Matrix, shape: Shape, interpolation: Interpolation, fill: float
) -> Array:
    worked = values.astype(np.result_type(values.dtype, np.float32), copy=False)  # ITK cuts whole numbers off
    made = _by_itk(worked, matrix, shape, interpolation, fill)
    if values.dtype.kind not in "iu":
        return made.astype(values.dtype, copy=False)
    ends = np.iinfo(values.dtype)
    return np.clip(np.rint(made), ends.min, ends.max).astype(values.dtype)


def _relabelled(mask: Mask, matrix: Matrix, shape: Shape) -> Mask:
    """Give each voxel the label that has more than half of it by linear interpolation; else that of the nearest voxel.

    The nearest voxel alone makes a mask larger or smaller by a row or a slice, depending on where the grids beat.
    """
    made = _by_itk(mask.astype(np.uint8, copy=False), matrix, shape, "nearest", 0)
    rest = np.ones(shape, np.float32)
    for label in np.unique(mask[mask != 0]):
        share = _by_itk((mask == label).astype(np.float32), matrix, shape, "linear", 0)
        made[share > 0.5 + _SAME] = label
        rest -= share
    made[rest > 0.5 + _SAME] = 0
    return made.astype(mask.dtype)


def _by_itk(values: Array, matrix: Matrix, shape: Shape, interpolation: Interpolation, fill: float) -> Array:
    """Resample between voxel indices, so that no spacing, direction or origin can be understood in two ways."""
    import SimpleITK

    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(matrix[2::-1, 2::-1].ravel().tolist())  # (slice, row, column) is (z, y, x)
    transform.SetTranslation(matrix[2::-1, 3].tolist())
    way = SimpleITK.ResampleImageFilter()
    way.SetSize([int(each) for each in reversed(shape)])
    way.SetTransform(transform)
    way.SetInterpolator(
        {
            "nearest": SimpleITK.sitkNearestNeighbor,
            "linear": SimpleITK.sitkLinear,
            "bspline": SimpleITK.sitkBSpline,
        }[interpolation]
    )
    way.SetDefaultPixelValue(float(fill))
    made: Array = SimpleITK.GetArrayFromImage(
        way.Execute(SimpleITK.GetImageFromArray(np.ascontiguousarray(values)))
    )
    return made


def with_spacing(affine: Matrix, shape: Shape, spacing_mm: Sequence[float | None]) -> tuple[Matrix, Shape]:
    """Return the grid of other spacing over the same extent.

    Parameters
    ----------
    affine : numpy.ndarray
        4 x 4, of (slice, row, column, 1).
    shape
        Slices, rows and columns.
    spacing_mm
        Between slices, rows and columns; None keeps it.

    Returns
    -------
    numpy.ndarray, tuple
        Affine and shape. It covers every voxel, and has the same middle; but is moved by half a voxel of the old grid
        at most, where samples would fall half-way between voxels: there, the nearest one is always on the same side,
        and masks would be moved.
    """
    old = np.linalg.norm(affine[:3, :3], axis=0)
    made, first, sizes = affine.astype(np.float64), np.zeros(4), []
    first[3] = 1.0
    for axis, wanted in enumerate(spacing_mm):
        ratio = 1.0 if wanted is None else float(wanted / old[axis])
        size = max(1, int(np.ceil(shape[axis] / ratio - _SAME)))
        first[axis] = _start(shape[axis], size, ratio)
        made[:3, axis] = affine[:3, axis] * ratio
        sizes.append(size)
        if size > MAX_VOXELS:
            raise PrepareError(PrepareReason.TOO_LARGE)
    made[:, 3] = affine @ first
    return made, (sizes[0], sizes[1], sizes[2])


def _start(old: int, new: int, ratio: float) -> float:
    """Return where the first sample lies, in voxels of the old grid."""
    start = ((old - 1) - (new - 1) * ratio) / 2
    samples = start + np.arange(min(new, 1000)) * ratio
    if (abs(samples - np.floor(samples) - 0.5) < _SAME).any():
        start -= 0.5 / Fraction(ratio).limit_denominator(100).denominator
    return start


def boxed(
    subject: Subject, first: Sequence[int], shape: Sequence[int], outside: float | None = None
) -> Subject:
    """Take a box of whole voxels; what it has beyond the volume is filled.

    Parameters
    ----------
    subject
        Of any kind: no voxel is changed.
    first
        Slice, row and column of its first voxel; negative ones lie before the volume.
    shape
        Of the box.
    outside
        The value beyond the volume; the lowest one if None. Masks are 0 there.
    """
    if np.prod(shape, dtype=float) > MAX_VOXELS:
        raise PrepareError(PrepareReason.TOO_LARGE)
    volume = subject.volume
    low = np.clip(first, 0, subject.shape)
    high = np.clip(np.add(first, shape), low, subject.shape)
    inner = tuple(slice(int(one), int(end)) for one, end in zip(low, high, strict=True))
    wider = [
        (int(one - start), int(start + size - end))
        for one, end, start, size in zip(low, high, first, shape, strict=True)
    ]
    padded = any(any(each) for each in wider)
    before, after = [slice(None)] * volume.is_in_time, [slice(None)] * volume.is_colour
    values = volume.values[(*before, *inner, *after)]
    masks: Mapping[str, Mask] = {name: mask[inner] for name, mask in subject.masks.items()}
    if padded:
        fill = subject.lowest() if outside is None else outside
        width = [(0, 0)] * volume.is_in_time + wider + [(0, 0)] * volume.is_colour
        values = np.pad(_able(values, fill), width, constant_values=fill)
        masks = {name: np.pad(mask, wider) for name, mask in masks.items()}
    affine = volume.affine.astype(np.float64)
    affine[:, 3] = volume.affine @ np.array([*first, 1.0])
    frames = () if any(wider[0]) else subject.frames[inner[0]]
    return subject.moved(values, affine, masks, frames)


def _able(values: Array, fill: float) -> Array:
    """Return the values in a type that holds another one too."""
    kind = values.dtype
    if kind.kind == "f" or (float(fill).is_integer() and np.iinfo(kind).min <= fill <= np.iinfo(kind).max):
        return values
    return values.astype(np.result_type(kind, np.float32))
