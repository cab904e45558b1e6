"""A case as a model takes it, from PNG, JPEG, TIFF, NIfTI or DICOM, and masks on its grid."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageOps
import pydicom
from pydicom.dataset import Dataset
from scipy import ndimage

from firstread.dicom.reader import read
from firstread.dicom.silence import quiet
from firstread.errors import QuarantineError, Reason
from firstread.imaging.lookup import numbers
from firstread.imaging.pixels import MAX_FRAME_PIXELS, frame_count
from firstread.imaging.series import load_volume
from firstread.imaging.volume import Volume
from model_service.evaluation import nifti
from model_service.evaluation.cases import Case, Kind
from model_service.evaluation.reasons import CaseError, CaseReason
from model_service.inputs import MOST_IMAGES, decoder
from model_service.manifest import ImageInput, VolumeInput
from model_service.prediction import Image, LabelMap

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")
_DEEP = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_FULL_RANGE = (0.1, 99.9)  # percentiles; as a DICOM frame of more than eight bits is rendered
_SAME_GRID = 0.05  # of a voxel


@dataclass(frozen=True)
class Source:
    """What a case is made of.

    Parameters
    ----------
    inputs : tuple of Image or Volume
        Frames of one image, or one volume.
    spacing_mm : tuple of float, optional
        Between rows and columns of an image, or slices, rows and columns of a volume; None where it is not known.
    patient : str, optional
        Patient ID of the DICOM file, for counting patients; it is written nowhere.
    """

    inputs: tuple[Image | Volume, ...]
    spacing_mm: tuple[float, ...] | None = None
    patient: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Return rows x columns, or slices x rows x columns."""
        first = self.inputs[0]
        return first.values.shape if isinstance(first, Volume) else first.shape[:2]

    def image(self, frame: int = 0) -> Image:
        """Return a frame; TypeError where the case is a volume."""
        found = self.inputs[frame]
        if isinstance(found, Volume):
            raise TypeError("a volume has no frames")
        return found


def load(case: Case, wanted: ImageInput | VolumeInput) -> Source:
    """Read a case.

    Raises
    ------
    CaseError, PixelError, VolumeError, QuarantineError
        With the typed reason why it cannot be read.
    """
    if case.kind is Kind.NIFTI:
        volume = nifti.load(case.files[0])
        return Source((volume,), volume.spacing_mm)
    if isinstance(wanted, VolumeInput):
        return _series([_dicom(path) for path in case.files])
    if case.kind is Kind.RASTER:
        return Source((raster(case.files[0], wanted),))
    dataset = _dicom(case.files[0])
    spacing = numbers(dataset, "PixelSpacing")
    known = len(spacing) == 2 and min(spacing) > 0
    with quiet():
        images = tuple(decoder(wanted)(dataset, frame) for frame in _frames(dataset, wanted))
    return Source(images, spacing if known else None, _patient(dataset))


def raster(path: Path, wanted: ImageInput) -> Image:
    """Read a PNG, JPEG, TIFF, BMP or GIF as brightness in [0, 1].

    More than eight bits become the full range of the image: such files seldom use all of their bits.
    """
    if wanted.values == "modality":
        raise CaseError(CaseReason.NO_UNITS)
    image = _opened(path, CaseReason.NOT_DECODED)
    if image.mode in _DEEP:
        deep = np.asarray(image, dtype=np.float32)
        low, high = (float(limit) for limit in np.percentile(deep, _FULL_RANGE))
        scaled = np.clip((deep - low) / (high - low), 0, 1) if high > low else np.zeros_like(deep)
        return _channels(np.asarray(scaled, dtype=np.float32), wanted)
    grey = wanted.channels == 1 or image.mode in {"1", "L", "LA"}
    values = np.asarray(image.convert("L" if grey else "RGB"), dtype=np.float32) / np.float32(255)
    return _channels(values, wanted)


def _opened(path: Path, otherwise: CaseReason) -> PIL.Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are checked here, and of odd metadata
            with PIL.Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > MAX_FRAME_PIXELS:
                    raise CaseError(CaseReason.TOO_LARGE)
                return PIL.ImageOps.exif_transpose(image)
    except CaseError:
        raise
    except Exception:  # decoders raise anything on hostile bytes
        raise CaseError(otherwise) from None


def _channels(values: npt.NDArray[np.float32], wanted: ImageInput) -> Image:
    return np.repeat(values[..., None], 3, axis=2) if wanted.channels == 3 and values.ndim == 2 else values


def _dicom(path: Path) -> Dataset:
    with path.open("rb") as file:
        try:
            read(file).close()  # under limits, with typed reasons
        except QuarantineError as error:
            # Looked for last, when all limits are kept. The pipeline needs UIDs; here nothing goes on to anybody.
            if error.reason is not Reason.MISSING_UID:
                raise
        file.seek(0)
        with quiet():
            return pydicom.dcmread(file)


def _patient(dataset: Dataset) -> str | None:
    return str(dataset.get("PatientID") or "") or None


def _frames(dataset: Dataset, wanted: ImageInput) -> Sequence[int]:
    count = frame_count(dataset)
    if wanted.frames == "all":
        step = max(1.0, count / MOST_IMAGES)
        return [int(number * step) for number in range(min(count, MOST_IMAGES))]
    return [0 if wanted.frames == "first" else count // 2]


def _series(images: Sequence[Dataset]) -> Source:
    with quiet():
        for image in images:
            image.setdefault("SOPInstanceUID", "")
        volume = load_volume(images)
        return Source((volume,), volume.spacing_mm, _patient(images[0]))


def load_mask(path: Path, source: Source, segments: int) -> LabelMap:
    """Read a mask on the grid of its case.

    With one segment, a raster counts where it is brighter than half of its largest value, so that 1, 255 and the
    noise of JPEG all work, and a NIfTI file may have one value beside zero. With several, values are their numbers.

    Parameters
    ----------
    path : pathlib.Path
        Raster for an image, NIfTI for a volume.
    source : Source
        The case.
    segments : int
        How many segments the model has.

    Raises
    ------
    CaseError
        If the mask is missing, unreadable, of another grid, or has values that are no segment.
    """
    if not path.is_file():
        raise CaseError(CaseReason.MASK_MISSING)
    first = source.inputs[0]
    if isinstance(first, Volume):
        try:
            values = _on_grid(nifti.load(path), first)
        except CaseError as error:
            fits = error.reason is CaseReason.MASK_DOES_NOT_FIT
            raise CaseError(error.reason if fits else CaseReason.MASK_NOT_READ) from None
        if segments == 1 and len(np.unique(values[values != 0])) <= 1:
            return np.asarray(values != 0, dtype=np.uint8)
    else:
        values = _raster_mask(path, segments)
        if values.shape != source.shape:
            raise CaseError(CaseReason.MASK_DOES_NOT_FIT)
    if not np.isin(values, np.arange(segments + 1)).all():
        raise CaseError(CaseReason.MASK_VALUES)
    return values.astype(np.uint8)


def _raster_mask(path: Path, segments: int) -> npt.NDArray[Any]:
    image = _opened(path, CaseReason.MASK_NOT_READ)
    if segments == 1:
        values = np.asarray(image if image.mode in _DEEP else image.convert("L"), dtype=np.float32)
        return np.asarray(values > values.max() / 2, dtype=np.uint8)
    values = np.asarray(image)  # of a palette, the indices
    if values.ndim != 2:
        raise CaseError(CaseReason.MASK_VALUES)
    return values


def _on_grid(mask: Volume, volume: Volume) -> npt.NDArray[np.float32]:
    """Return the mask in the order and direction of the volume's axes; no voxel is interpolated."""
    between = np.linalg.inv(mask.affine) @ volume.affine
    whole = np.rint(between)
    ends = np.array(volume.values.shape) - 1
    corners = np.array([[0, 0, 0, 1], [*ends, 1]], dtype=np.float64).T
    if abs((between - whole) @ corners).max() > _SAME_GRID or sorted(mask.values.shape) != sorted(
        volume.values.shape
    ):
        raise CaseError(CaseReason.MASK_DOES_NOT_FIT)
    reached = (whole @ corners)[:3]
    if reached.min() < 0 or (reached.max(axis=1) > np.array(mask.values.shape) - 1).any():
        raise CaseError(CaseReason.MASK_DOES_NOT_FIT)
    if np.array_equal(whole, np.eye(4)):
        return mask.values
    turned: npt.NDArray[np.float32] = ndimage.affine_transform(
        mask.values, whole[:3, :3], whole[:3, 3], output_shape=volume.values.shape, order=0
    )
    return turned
