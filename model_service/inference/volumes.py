"""From a volume to the grid of the network, and labels back to the grid of the source."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from firstread.imaging.volume import Matrix, Volume
from model_service.inference.intensity import Array, standardise
from model_service.manifest.inputs import VolumeInput
from model_service.prediction import LabelMap

# Towards which side of the patient each axis of DICOM's coordinates grows, and which it leaves (PS3.3 C.7.6.2.1.1).
_SIDES = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
_SAME_SPACING = 1e-3  # relative: what headers round to

Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class PreparedVolume:
    """A volume as the network sees it, and the way back.

    Parameters
    ----------
    values : numpy.ndarray
        1 x spatial, float32, in the manifest's orientation and spacing.
    axes : tuple of int
        The axis of the source that each axis of `values` runs along.
    flips : tuple of int
        1 or -1 for each axis of `values`.
    nearest : tuple of numpy.ndarray
        For each axis of `values`, the index into it that is nearest to each index of the source, in the direction of
        `values`; out of range where the source was cut off.
    """

    values: Array
    axes: tuple[int, ...]
    flips: tuple[int, ...]
    nearest: tuple[Index, ...]

    def labels_back(self, labels: LabelMap) -> LabelMap:
        """Bring a label map on the grid of `values` to the source; 0 where the source was cut off."""
        inside = []
        for axis, nearest in enumerate(self.nearest):
            kept = np.flatnonzero((nearest >= 0) & (nearest < labels.shape[axis]))
            inside.append(slice(kept[0], kept[-1] + 1) if len(kept) else slice(0, 0))
        part = labels
        # The axis that grows least first: the intermediate arrays stay small.
        for axis in sorted(range(3), key=lambda each: len(self.nearest[each]) / labels.shape[each]):
            index = self.nearest[axis][inside[axis]]
            if not np.array_equal(index, np.arange(labels.shape[axis])):
                part = part.take(index, axis)
        if part.shape != tuple(len(each) for each in self.nearest):
            full = np.zeros([len(each) for each in self.nearest], np.uint8)
            full[tuple(inside)] = part
            part = full
        turned = part[tuple(slice(None, None, flip) for flip in self.flips)]
        return np.ascontiguousarray(turned.transpose(np.argsort(self.axes)))


def prepare_volume(volume: Volume, wanted: VolumeInput) -> PreparedVolume:
    """Make what the network sees of a volume.

    Parameters
    ----------
    volume : Volume
        In the patient's space.
    wanted : VolumeInput
        What the manifest says.

    Returns
    -------
    PreparedVolume
        Reoriented to the nearest axes, resampled linearly between the centres of the outermost voxels, cut to the
        foreground and standardised, as the manifest asks. Not padded.

    Raises
    ------
    ValueError
        If the values are not finite.
    """
    axes, flips = orientation(volume.affine, wanted.orientation)
    values = volume.values.transpose(axes)[tuple(slice(None, None, flip) for flip in flips)]
    nearest: list[Index] = []
    for axis in range(3):
        ratio = _ratio(volume, wanted, axis, axes[axis])
        length = values.shape[axis]
        count = round((length - 1) / ratio + 1)  # as MONAI rounds
        nearest.append(np.clip(np.rint(np.arange(length) / ratio), 0, count - 1).astype(np.intp))
        if ratio != 1.0:
            values = _resample(values, axis, np.arange(count) * ratio)
    if wanted.crop_foreground:
        values, nearest = _crop(values, nearest)
    values = standardise(np.ascontiguousarray(values, np.float32)[None], wanted.intensity)
    if not np.isfinite([values.min(), values.max()]).all():
        raise ValueError("volume values must be finite")
    return PreparedVolume(values, axes, flips, tuple(nearest))


def orientation(affine: Matrix, wanted: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return which axes of an array run along the wanted ones, and 1 or -1: whether they grow to the same side.

    Parameters
    ----------
    affine : numpy.ndarray
        4 x 4, from indices to millimetres in the patient's coordinates (LPS).
    wanted : str
        Such as ``RAS``: the sides towards which the first, second and third axis grow.

    Raises
    ------
    ValueError
        If the wanted axes are not three different ones.
    """
    sides = [_SIDES[letter] for letter in wanted]
    if len({axis for axis, _ in sides}) != 3:
        raise ValueError(f"orientation {wanted} does not name three axes")
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    # cosines[i, j]: how far axis j of the array runs along wanted axis i.
    cosines = np.array([directions[axis] * sign for axis, sign in sides])
    axes = max(permutations(range(3)), key=lambda order: sum(abs(cosines[i, j]) for i, j in enumerate(order)))
    return axes, tuple(1 if cosines[i, j] >= 0 else -1 for i, j in enumerate(axes))


def _ratio(volume: Volume, wanted: VolumeInput, axis: int, source_axis: int) -> float:
    if wanted.spacing_mm is None:
        return 1.0
    ratio = wanted.spacing_mm[axis] / volume.spacing_mm[source_axis]
    return 1.0 if abs(ratio - 1) < _SAME_SPACING else ratio


def _resample(values: Array, axis: int, positions: npt.NDArray[np.float64]) -> Array:
    """Interpolate linearly along one axis."""
    last = values.shape[axis] - 1
    positions = np.clip(positions, 0, last)
    below = np.minimum(positions.astype(np.intp), max(last - 1, 0))
    shape = [1, 1, 1]
    shape[axis] = -1
    part = (positions - below).astype(np.float32).reshape(shape)
    low = values.take(below, axis)
    high = values.take(np.minimum(below + 1, last), axis)
    high -= low
    high *= part
    high += low
    return np.asarray(high)


def _crop(values: Array, nearest: list[Index]) -> tuple[Array, list[Index]]:
    inside = values > values.min()
    if not inside.any():
        return values, nearest
    box = []
    for axis in range(3):
        lines = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(int(lines[0]), int(lines[-1]) + 1))
    moved = [each - part.start for each, part in zip(nearest, box, strict=True)]
    return values[tuple(box)], moved
