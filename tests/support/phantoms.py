"""Series of a sphere with a known centre and volume, and everything that can be wrong with a series."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

CENTRE = np.array([12.0, -31.0, 250.0])
RADIUS_MM = 26.0
INSIDE, OUTSIDE = 1000, -1000
SPACING = (2.0, 1.5)  # between rows, between columns
SIZE = (48, 64)
GAP = 3.0
STEPS = tuple(GAP * (each - 13.5) for each in range(28))
AXIAL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """Where an image lies."""

    position: Matrix
    directions: Matrix = field(default_factory=lambda: AXIAL)
    size: tuple[int, int] = SIZE


def rotated(degrees: float) -> Matrix:
    """Return axial directions, turned about an oblique axis."""
    axis, angle = np.array([1.0, 2.0, -0.5]) / np.linalg.norm([1.0, 2.0, -0.5]), math.radians(degrees)
    cross = np.cross(np.eye(3), -axis)
    turn = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    found: Matrix = AXIAL @ turn.T
    return found


def planes(
    distances: Sequence[float] = STEPS,
    directions: Matrix = AXIAL,
    lean: Matrix | None = None,
) -> list[Plane]:
    """Return planes about the centre at distances along their normal; `lean` is the way they go per millimetre."""
    normal = np.cross(directions[0], directions[1])
    way = normal if lean is None else lean
    half = [side * gap / 2 for side, gap in zip(SIZE, SPACING, strict=True)]
    corner = CENTRE - directions[0] * half[1] - directions[1] * half[0] + np.array([0.4, 0.3, 0.2])
    return [Plane(corner + way * each, directions) for each in distances]


def image(plane: Plane, number: int, slope: float = 1.0, intercept: float = -1024.0) -> FileDataset:
    """Return the CT image of a plane: the sphere, its edge a millimetre wide."""
    rows, columns = plane.size
    down, right = np.mgrid[0:rows, 0:columns]
    points = (
        plane.position
        + right[..., None] * SPACING[1] * plane.directions[0]
        + down[..., None] * SPACING[0] * plane.directions[1]
    )
    depth = np.clip(RADIUS_MM - np.linalg.norm(points - CENTRE, axis=-1) + 0.5, 0.0, 1.0)
    values = OUTSIDE + (INSIDE - OUTSIDE) * depth
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(f"2.25.{7000 + number}")
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = "2.25.1", "2.25.2", "2.25.3"
    made.Modality, made.InstanceNumber, made.ImageType = "CT", number, ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.Rows, made.Columns, made.SamplesPerPixel = rows, columns, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.RescaleSlope, made.RescaleIntercept = slope, intercept
    made.PixelSpacing = list(SPACING)
    made.ImageOrientationPatient = [round(float(each), 9) for each in plane.directions.ravel()]
    made.ImagePositionPatient = [round(float(each), 6) for each in plane.position]
    made.PixelData = np.rint((values - intercept) / slope).astype("<u2").tobytes()
    return made


def series(
    which: Sequence[Plane] | None = None, slope: Callable[[int], float] = lambda _: 1.0
) -> list[Dataset]:
    """Return a series of planes."""
    return [image(each, number + 1, slope(number)) for number, each in enumerate(which or planes())]


def centre_and_volume(values: npt.NDArray[np.generic], affine: Matrix) -> tuple[Matrix, float]:
    """Return the centre of what is bright, in the patient's coordinates, and its volume in mm3."""
    share = np.clip((values.astype(np.float64) - OUTSIDE) / (INSIDE - OUTSIDE), 0.0, 1.0)
    index = np.stack(np.meshgrid(*map(np.arange, share.shape), indexing="ij"), axis=-1)
    middle = (index * share[..., None]).sum(axis=(0, 1, 2)) / share.sum()
    centre: Matrix = (affine @ np.array([*middle, 1.0]))[:3]
    return centre, float(share.sum() * abs(np.linalg.det(affine[:3, :3])))
