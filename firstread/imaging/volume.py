"""A series as one volume in the patient's space, or a typed reason why it is none (PS3.3 C.7.6.2.1.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from firstread.errors import FirstReadError
from firstread.imaging.lookup import functional_item, numbers
from firstread.imaging.pixels import frame_count
from firstread.imaging.render import modality_values

Matrix = npt.NDArray[np.float64]

_SAME_DIRECTION = 1e-3  # cosines; what headers round to
_SAME_SPACING = 1e-3  # relative
_UNEVEN = 0.01  # of the distance between slices, and at least
_UNEVEN_MM = 0.02
_TILT = (
    0.05  # how far each slice may lie beside the one before, in slice distances: three degrees of gantry tilt
)


class VolumeReason(StrEnum):
    """Why images do not make a volume; never carries a value of a dataset."""

    TOO_FEW = "too_few_slices"
    NO_GEOMETRY = "no_geometry"
    NO_FRAME_OF_REFERENCE = "no_frame_of_reference"
    DIFFERENT_FRAMES_OF_REFERENCE = "different_frames_of_reference"
    DIFFERENT_SIZES = "different_sizes"
    DIFFERENT_ORIENTATIONS = "different_orientations"
    SAME_POSITION = "two_slices_at_one_position"
    UNEVEN_SPACING = "uneven_slice_spacing"
    TILTED = "tilted_gantry"


class VolumeError(FirstReadError):
    """Images that do not make a volume.

    Parameters
    ----------
    reason
        The typed reason; the only text.
    """

    def __init__(self, reason: VolumeReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True)
class SourceFrame:
    """One frame of one source image: its SOP Instance UID, and its number, 1 first."""

    sop_uid: str
    number: int


@dataclass(frozen=True)
class Volume:
    """A scalar volume.

    Parameters
    ----------
    values : numpy.ndarray
        Slices x rows x columns, float32, in the units of the modality (Hounsfield units of CT).
    affine : numpy.ndarray
        4 x 4; takes (slice, row, column, 1) to millimetres in the patient's coordinates, LPS as DICOM has it.
    frames : tuple of SourceFrame
        What each slice was, in the order of `values`.
    """

    values: npt.NDArray[np.float32]
    affine: Matrix
    frames: tuple[SourceFrame, ...]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Return the distances between slices, rows and columns."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def voxel_mm3(self) -> float:
        """Return the volume of one voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))


@dataclass(frozen=True)
class _Slice:
    dataset: Dataset
    frame: int
    position: Matrix
    directions: Matrix  # 2 x 3: along a row, along a column
    spacing: tuple[float, float]  # between rows, between columns


def load_volume(images: Sequence[Dataset], min_slices: int = 2) -> Volume:
    """Make one volume of the images of a series, single-frame or multi-frame.

    Parameters
    ----------
    images
        With their file meta information and pixels, in any order.
    min_slices
        Fewer do not make a volume.

    Raises
    ------
    VolumeError
        If the geometry is not that of one evenly spaced stack.
    PixelError
        If a frame cannot be decoded.
    """
    stack = [_slice(image, frame) for image in images for frame in range(frame_count(image))]
    if len(stack) < min_slices:
        raise VolumeError(VolumeReason.TOO_FEW)
    _check_frame_of_reference(images)
    stack, affine = _arranged(stack)
    values = np.stack([modality_values(each.dataset, each.frame) for each in stack])
    frames = tuple(SourceFrame(str(each.dataset.SOPInstanceUID), each.frame + 1) for each in stack)
    return Volume(values, affine, frames)


def _slice(image: Dataset, frame: int) -> _Slice:
    def attribute(sequence: str, keyword: str, count: int) -> tuple[float, ...]:
        item = functional_item(image, frame, sequence)
        found = numbers(item, keyword) or numbers(image, keyword)
        if len(found) != count or not np.isfinite(found).all():
            raise VolumeError(VolumeReason.NO_GEOMETRY)
        return found

    position = attribute("PlanePositionSequence", "ImagePositionPatient", 3)
    directions = np.array(attribute("PlaneOrientationSequence", "ImageOrientationPatient", 6)).reshape(2, 3)
    rows, columns = attribute("PixelMeasuresSequence", "PixelSpacing", 2)
    straight = abs(directions @ directions.T - np.eye(2)).max() < 10 * _SAME_DIRECTION
    if not straight or rows <= 0 or columns <= 0:
        raise VolumeError(VolumeReason.NO_GEOMETRY)
    return _Slice(image, frame, np.array(position), directions, (rows, columns))


def _check_frame_of_reference(images: Sequence[Dataset]) -> None:
    found = {str(image.get("FrameOfReferenceUID") or "") for image in images}
    if "" in found:
        raise VolumeError(VolumeReason.NO_FRAME_OF_REFERENCE)
    if len(found) > 1:
        raise VolumeError(VolumeReason.DIFFERENT_FRAMES_OF_REFERENCE)


def _arranged(stack: list[_Slice]) -> tuple[list[_Slice], Matrix]:
    first = stack[0]
    for each in stack:
        if (each.dataset.Rows, each.dataset.Columns) != (first.dataset.Rows, first.dataset.Columns):
            raise VolumeError(VolumeReason.DIFFERENT_SIZES)
        if not np.allclose(each.spacing, first.spacing, rtol=_SAME_SPACING):
            raise VolumeError(VolumeReason.DIFFERENT_SIZES)
        if abs(each.directions - first.directions).max() > _SAME_DIRECTION:
            raise VolumeError(VolumeReason.DIFFERENT_ORIENTATIONS)
    normal = np.cross(first.directions[0], first.directions[1])
    stack = sorted(stack, key=lambda each: float(each.position @ normal))
    positions = np.array([each.position for each in stack])
    step = _step(positions, normal)
    affine = np.eye(4)
    affine[:3, 0] = step
    # Pixel Spacing is rows then columns; a row index moves along the column direction (PS3.3 10.7.1.3).
    affine[:3, 1] = stack[0].directions[1] * stack[0].spacing[0]
    affine[:3, 2] = stack[0].directions[0] * stack[0].spacing[1]
    affine[:3, 3] = positions[0]
    return stack, affine


def _step(positions: Matrix, normal: Matrix) -> Matrix:
    """Return the vector from one slice to the next, after checking that there is one such vector."""
    if len(positions) == 1:
        return normal  # a single slice has no thickness that its geometry would tell
    gaps = np.diff(positions @ normal)
    mean = float(gaps.mean())
    if gaps.min() < _UNEVEN_MM:
        raise VolumeError(VolumeReason.SAME_POSITION)
    if abs(gaps - mean).max() > max(_UNEVEN * mean, _UNEVEN_MM):
        raise VolumeError(VolumeReason.UNEVEN_SPACING)
    step: Matrix = (positions[-1] - positions[0]) / (len(positions) - 1)
    line = positions[0] + np.arange(len(positions))[:, None] * step
    if np.linalg.norm(step - normal * mean) > _TILT * mean or abs(positions - line).max() > _TILT * mean:
        raise VolumeError(VolumeReason.TILTED)
    return step
