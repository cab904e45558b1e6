"""NIfTI volumes in DICOM's coordinates, and label maps back into NIfTI's."""

from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt

from firstread.imaging.volume import Matrix, SourceFrame, Volume
from model_service.evaluation.reasons import CaseError, CaseReason

_MOST_VOXELS = 10**9
# NIfTI's world is right, anterior, superior; DICOM's patient is left, posterior, superior (PS3.3 C.7.6.2.1.1).
_OTHER_SIDE = np.diag([-1.0, -1.0, 1.0, 1.0])
# A file's first index runs along rows; slices x rows x columns is its indices the other way round.
_REVERSED = [2, 1, 0, 3]


def load(path: Path) -> Volume:
    """Read a NIfTI file as a volume of slices x rows x columns.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii`` or ``.nii.gz``.

    Raises
    ------
    CaseError
        If it is not one three-dimensional, finite scalar volume with a geometry.
    """
    try:
        image = nibabel.load(path)
        shape = image.shape  # type: ignore[attr-defined]
        affine = np.asarray(image.affine, dtype=np.float64)  # type: ignore[attr-defined]
    except Exception:  # what a malformed header raises depends on the format, and may quote it
        raise CaseError(CaseReason.NOT_DECODED) from None
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1:
        raise CaseError(CaseReason.NOT_THREE_DIMENSIONAL)
    if np.prod(shape, dtype=np.int64) > _MOST_VOXELS:
        raise CaseError(CaseReason.TOO_LARGE)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise CaseError(CaseReason.NO_GEOMETRY)
    try:
        values = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)  # type: ignore[attr-defined]
    except Exception:
        raise CaseError(CaseReason.NOT_DECODED) from None
    if not np.isfinite(values).all():
        raise CaseError(CaseReason.NOT_FINITE)
    frames = tuple(SourceFrame("", number) for number in range(1, shape[2] + 1))
    return Volume(np.ascontiguousarray(values.T), (_OTHER_SIDE @ affine)[:, _REVERSED], frames)


def save(path: Path, labels: npt.NDArray[np.uint8], affine: Matrix) -> None:
    """Write a label map as NIfTI.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii.gz``; its folder is made.
    labels : numpy.ndarray
        Slices x rows x columns.
    affine : numpy.ndarray
        As a `Volume` has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(labels.T, _OTHER_SIDE @ affine[:, _REVERSED]), path)
