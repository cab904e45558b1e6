"""A volume in the patient's space: voxels, where they lie, and how far that can be trusted."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.slices import Matrix as Matrix
from firstread.imaging.verdict import Verdict, VolumeError, VolumeReason

if TYPE_CHECKING:
    import SimpleITK
    import torch

_REVERSED = [2, 1, 0]  # (slice, row, column) to (column, row, slice), and back


@dataclass(frozen=True)
class SourceFrame:
    """One frame of one source image: its SOP Instance UID, and its number, 1 first."""

    sop_uid: str
    number: int


@dataclass(frozen=True)
class Volume:
    """A volume.

    Parameters
    ----------
    values : numpy.ndarray
        Slices x rows x columns, in the units of the modality (Hounsfield units of CT); with the times first where
        there are several, and with the samples last (red, green, blue) where `is_colour`.
    affine : numpy.ndarray
        4 x 4; takes (slice, row, column, 1) to millimetres in the patient's coordinates, LPS as DICOM has it.
    frames : tuple of SourceFrame
        What each slice was, in the order of `values`; () where slices were resampled.
    verdict
        What was found out about its geometry, and mended.
    modality
        Modality (0008,0060); "" where it is not known.
    units
        Of the values, in UCUM; "" where they are not known.
    is_colour
        Whether the last axis of `values` is red, green and blue.
    frame_of_reference
        UID of the coordinates that `affine` leads to; "" where there is none.
    """

    values: npt.NDArray[Any]
    affine: Matrix
    frames: tuple[SourceFrame, ...]
    verdict: Verdict = Verdict()  # noqa: RUF009 - frozen
    modality: str = ""
    units: str = ""
    is_colour: bool = False
    frame_of_reference: str = ""

    @property
    def grid(self) -> tuple[int, int, int]:
        """Return how many slices, rows and columns there are."""
        rest = self.values.ndim - self.is_colour
        slices, rows, columns = self.values.shape[rest - 3 : rest]
        return slices, rows, columns

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Return the distances between slices, rows and columns."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def voxel_mm3(self) -> float:
        """Return the volume of one voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @cached_property
    def is_upright(self) -> bool:
        """Return whether slices lie straight above one another, which not all that reads volumes can leave open."""
        directions = self.affine[:3, :3] / np.array(self.spacing_mm)
        return bool(abs(directions.T @ directions - np.eye(3)).max() < 1e-3)

    @property
    def is_in_time(self) -> bool:
        """Return whether the first axis of the values is time, or what else tells several images of a place apart."""
        return self.values.ndim - self.is_colour == 4

    def to_numpy(self) -> npt.NDArray[Any]:
        """Return the values; not a copy."""
        return self.values

    def to_torch(self) -> "torch.Tensor":
        """Return the values as a tensor that shares their memory, where torch has their type."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.values))

    def to_sitk(self) -> "SimpleITK.Image":
        """Return the volume for SimpleITK, which has LPS too; of several times, a vector for each voxel.

        Raises
        ------
        VolumeError
            If slices do not lie straight above one another: SimpleITK would put them so without a word. If there are
            several times in colour.
        """
        if not self.is_upright:
            raise VolumeError(VolumeReason.TILTED)
        if self.is_in_time and self.is_colour:
            raise VolumeError(VolumeReason.SEVERAL_VOLUMES)
        values = np.moveaxis(self.values, 0, -1) if self.is_in_time and not self.is_colour else self.values
        return image_of(values, self.affine)


def image_of(values: npt.NDArray[Any], affine: Matrix) -> "SimpleITK.Image":
    """Return values on an upright grid for SimpleITK.

    Parameters
    ----------
    values : numpy.ndarray
        Slices x rows x columns, with the samples of a vector last where there are several.
    affine : numpy.ndarray
        As of a `Volume`.
    """
    import SimpleITK

    image = SimpleITK.GetImageFromArray(values, isVector=values.ndim > 3)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing[_REVERSED].tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing)[:, _REVERSED].ravel().tolist())
    return image
