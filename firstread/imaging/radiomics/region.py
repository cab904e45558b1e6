"""The voxels of a region: its box, its values, and its grey levels (IBSI reference manual, image processing)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.radiomics.settings import (
    MOST_LEVELS,
    BinNumber,
    RadiomicsError,
    RadiomicsReason,
    Settings,
)
from firstread.imaging.surface import inside as inside_of
from firstread.imaging.verdict import VolumeError, VolumeReason
from firstread.imaging.volume import Volume

Bools = npt.NDArray[np.bool_]
Mask = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Levels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Region:
    """A region, cut out of its volume.

    Parameters
    ----------
    shape : numpy.ndarray
        Slices x rows x columns of its box: the region as drawn, for its shape.
    inside : numpy.ndarray
        The same less what the intensity range leaves out.
    values : numpy.ndarray
        Of the box, float64.
    spacing_mm
        Distances between slices, rows and columns.
    """

    shape: Bools
    inside: Bools
    values: Floats
    spacing_mm: tuple[float, float, float]

    @property
    def intensities(self) -> Floats:
        """Return the values inside."""
        return self.values[self.inside]

    def levels(self, settings: Settings) -> Levels:
        """Return grey levels, 1 the lowest, of the box; 0 outside.

        Raises
        ------
        RadiomicsError
            If there are more than can be counted.
        """
        found = np.zeros(self.inside.shape, dtype=np.int64)
        found[self.inside] = _discretised(self.intensities, settings)
        return found


def region(volume: Volume, mask: Mask, settings: Settings) -> Region:
    """Return the region of a mask.

    Raises
    ------
    RadiomicsError
        If there is none.
    VolumeError
        If slices do not lie straight above one another, or the volume is several.
    """
    if volume.is_colour:
        raise RadiomicsError(RadiomicsReason.NOT_SCALAR)
    if volume.is_in_time:
        raise VolumeError(VolumeReason.SEVERAL_VOLUMES)
    if not volume.is_upright:
        raise VolumeError(VolumeReason.TILTED)
    if mask.shape != volume.values.shape:
        raise RadiomicsError(RadiomicsReason.OTHER_GRID)
    chosen = inside_of(mask)
    box = _box(chosen)
    shape, values = chosen[box], volume.values[box].astype(np.float64)
    if not np.isfinite(values[shape]).all():
        raise RadiomicsError(RadiomicsReason.NOT_FINITE)
    inside = shape
    if settings.intensity_range is not None:
        low, high = settings.intensity_range
        inside = shape & (values >= low) & (values <= high)
        if not inside.any():
            raise RadiomicsError(RadiomicsReason.EMPTY)
    return Region(shape, inside, values, volume.spacing_mm)


def _box(mask: Bools) -> tuple[slice, ...]:
    found = []
    for axis in range(mask.ndim):
        at = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if not at.size:
            raise RadiomicsError(RadiomicsReason.EMPTY)
        found.append(slice(int(at[0]), int(at[-1]) + 1))
    return tuple(found)


def _discretised(values: Floats, settings: Settings) -> Levels:
    how, low = settings.discretisation, float(values.min())
    if isinstance(how, BinNumber):
        width = float(values.max()) - low
        if width == 0:
            return np.ones(values.shape, dtype=np.int64)
        return _whole(np.minimum(np.floor(how.count * (values - low) / width) + 1, how.count))
    if settings.intensity_range is not None:
        low = settings.intensity_range[0]
    numbers = np.floor((values - low) / how.width) + 1
    if numbers.max() > MOST_LEVELS:
        raise RadiomicsError(RadiomicsReason.TOO_MANY_LEVELS)
    return _whole(numbers)


def _whole(numbers: Floats) -> Levels:
    return numbers.astype(np.int64)
