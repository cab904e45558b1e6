"""Looking through a volume along an axis: proportions, which way is up, and which side of the patient is where."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.verdict import Geometry, VolumeError, VolumeReason
from firstread.imaging.volume import Volume

Array = npt.NDArray[Any]

_ENDS = (("R", "L"), ("A", "P"), ("F", "H"))  # of the axes of the patient (PS3.3 C.7.6.1.1.1)
_SEEN = 0.35  # a direction is named by a second letter from 20 degrees on


class Across(IntEnum):
    """Which axis of the values is looked along."""

    SLICES = 0
    ROWS = 1
    COLUMNS = 2


@dataclass(frozen=True)
class View:
    """One way to look through a volume: which axes go down and to the right, and whether they are turned round."""

    volume: Volume
    across: Across
    is_flipped: bool

    @classmethod
    def of(cls, volume: Volume, across: Across) -> "View":
        """Return the view of a volume along an axis.

        Raises
        ------
        VolumeError
            If the volume is several.
        """
        if volume.is_in_time:
            raise VolumeError(VolumeReason.SEVERAL_VOLUMES)
        down = volume.affine[:3, others(across)[0]]
        # Heads are up: slices usually begin at the feet.
        is_up = across is not Across.SLICES and abs(down).argmax() == 2 and down[2] > 0
        return cls(volume, across, bool(is_up))

    @property
    def aspect(self) -> float:
        """Return height / width of a pixel."""
        down, right = others(self.across)
        return self.volume.spacing_mm[down] / self.volume.spacing_mm[right]

    @property
    def tallness(self) -> float:
        """Return height / width of a picture, within what a figure can take."""
        down, right = others(self.across)
        shape = self.volume.values.shape
        return float(np.clip(shape[down] * self.aspect / shape[right], 0.2, 4.0))

    def cut(self, values: Array, index: int) -> Array:
        """Return one picture of values on the grid."""
        found: Array = np.take(values, index, axis=self.across)
        return found[::-1] if self.is_flipped else found

    def letters(self) -> tuple[str, str, str, str]:
        """Return where the left, right, upper and lower edge lie in the patient; nothing of what has no place in it."""
        if self.volume.verdict.geometry is Geometry.PLANAR:
            return "", "", "", ""
        down, right = (self.volume.affine[:3, axis] for axis in others(self.across))
        if self.is_flipped:
            down = -down
        return _towards(-right), _towards(right), _towards(-down), _towards(down)


def others(across: int) -> tuple[int, int]:
    """Return the axes that go down and to the right in a picture across an axis."""
    return {0: (1, 2), 1: (0, 2), 2: (0, 1)}[across]


def _towards(direction: npt.NDArray[np.float64]) -> str:
    """Return the letters of a direction in the patient, the strongest first (PS3.3 C.7.6.1.1.1)."""
    unit = direction / np.linalg.norm(direction)
    order = np.argsort(-abs(unit))
    return "".join(_ENDS[axis][int(unit[axis] > 0)] for axis in order if abs(unit[axis]) > _SEEN)
