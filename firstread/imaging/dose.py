"""RT Dose as gray in the patient (PS3.3 A.18.3, C.8.8.3), and on the grid of an image."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import RTDoseStorage

from firstread.dicom.silence import quiet
from firstread.errors import FirstReadError
from firstread.imaging.even import even
from firstread.imaging.lookup import numbers
from firstread.imaging.onto import onto
from firstread.imaging.pixels import decode, frame_count
from firstread.imaging.regrid import regrid
from firstread.imaging.slices import Matrix, Slice, slices_of
from firstread.imaging.verdict import MEND, Geometry, Verdict
from firstread.imaging.volume import SourceFrame, Volume

GRAY = "Gy"
_SAME_MM = 1e-2


class DoseReason(StrEnum):
    """Why an object gives no dose in gray; never carries a value of a dataset."""

    NOT_DOSE = "not_rt_dose"
    NOT_GRAY = "dose_not_in_gray"
    NO_SCALING = "dose_scaling_missing"
    BAD_OFFSETS = "dose_planes_contradict"
    OTHER_FRAME_OF_REFERENCE = "dose_elsewhere"


class DoseError(FirstReadError):
    """An object that gives no dose in gray.

    Parameters
    ----------
    reason
        The typed reason; the only text.
    """

    def __init__(self, reason: DoseReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True)
class Dose:
    """A dose.

    Parameters
    ----------
    volume
        float32 in gray; planes that are not even were interpolated, which its verdict says.
    kind
        Dose Type (3004,0004): PHYSICAL, EFFECTIVE or ERROR; "" where it is not said.
    summation
        Dose Summation Type (3004,000A): PLAN, BEAM, FRACTION...
    plans, structure_sets
        SOP Instance UIDs of the RT Plans and RT Structure Sets that it names.
    """

    volume: Volume
    kind: str = ""
    summation: str = ""
    plans: tuple[str, ...] = ()
    structure_sets: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return it as a sidecar has it."""
        return {
            "units": self.volume.units,
            "dose_type": self.kind,
            "dose_summation_type": self.summation,
            "referenced_rt_plans": list(self.plans),
            "referenced_structure_sets": list(self.structure_sets),
            "verdict": self.volume.verdict.to_json(),
        }


def read_dose(dataset: Dataset) -> Dose:
    """Read an RT Dose.

    Parameters
    ----------
    dataset
        With its file meta information and pixels.

    Raises
    ------
    DoseError
        If it is none, is not in gray, or does not say how its values or planes are scaled.
    VolumeError
        If its planes are no volume.
    PixelError
        If a frame cannot be decoded.
    """
    with quiet():
        if dataset.get("SOPClassUID") != RTDoseStorage:
            raise DoseError(DoseReason.NOT_DOSE)
        if dataset.get("DoseUnits") != "GY":
            raise DoseError(DoseReason.NOT_GRAY)
        scaling = numbers(dataset, "DoseGridScaling")
        if len(scaling) != 1 or scaling[0] <= 0.0:
            raise DoseError(DoseReason.NO_SCALING)
        return Dose(
            volume=_volume(dataset, scaling[0]),
            kind=str(dataset.get("DoseType") or ""),
            summation=str(dataset.get("DoseSummationType") or ""),
            plans=_named(dataset, "ReferencedRTPlanSequence"),
            structure_sets=_named(dataset, "ReferencedStructureSetSequence"),
        )


def dose_onto(dose: Dose, reference: Volume, outside: float = 0.0) -> Volume:
    """Return a dose at the voxels of another volume, by linear interpolation.

    Parameters
    ----------
    dose
        As `read_dose` gives it.
    reference
        Whose grid is taken.
    outside
        The value beyond the dose grid: 0, or NaN where what was not computed must not count as nothing.

    Raises
    ------
    DoseError
        If the two do not share a frame of reference.
    """
    mine = dose.volume
    if not mine.frame_of_reference or mine.frame_of_reference != reference.frame_of_reference:
        raise DoseError(DoseReason.OTHER_FRAME_OF_REFERENCE)
    values = onto(mine.values, mine.affine, reference.grid, reference.affine, outside)
    return replace(mine, values=values, affine=reference.affine, frames=(), verdict=reference.verdict)


def _volume(dataset: Dataset, scaling: float) -> Volume:
    count = frame_count(dataset)
    (first,) = slices_of(dataset, 0, 1)
    offsets = _offsets(dataset, first, count)
    order = np.argsort(offsets, kind="stable")
    planes = [
        replace(first, frame=int(each), position=first.position + offsets[each] * first.normal)
        for each in order
    ]
    grid, done = even(planes, first.normal, MEND)
    values = np.stack([_gray(dataset, each.frame, scaling) for each in planes])
    frames = tuple(SourceFrame(each.sop_uid, each.frame + 1) for each in planes)
    if not grid.is_exact:
        values, frames = regrid(values, grid, 0.0), ()
    return Volume(
        values=values,
        affine=grid.affine,
        frames=frames,
        verdict=Verdict(Geometry.MENDED if done else Geometry.REGULAR, done),
        modality="RTDOSE",
        units=GRAY,
        frame_of_reference=first.frame_of_reference,
    )


def _gray(dataset: Dataset, frame: int, scaling: float) -> npt.NDArray[np.float32]:
    gray: npt.NDArray[np.float32] = (decode(dataset, frame).stored * np.float64(scaling)).astype(np.float32)
    return gray


def _offsets(dataset: Dataset, first: Slice, count: int) -> Matrix:
    """Return how far each plane lies from the first one along the normal, in millimetres (PS3.3 C.8.8.3.2)."""
    found: Matrix = np.array(numbers(dataset, "GridFrameOffsetVector"))
    if count == 1 and len(found) <= 1:
        return np.zeros(1)
    if len(found) != count:
        raise DoseError(DoseReason.BAD_OFFSETS)
    if abs(found[0]) < _SAME_MM:
        relative: Matrix = found - found[0]
        return relative
    # Patient coordinates in place of distances; only where planes are axial, and the first must be the image's own.
    is_axial = abs(abs(first.normal[2]) - 1.0) < 1e-4
    if not is_axial or abs(found[0] - first.position[2]) > _SAME_MM:
        raise DoseError(DoseReason.BAD_OFFSETS)
    absolute: Matrix = (found - found[0]) * first.normal[2]
    return absolute


def _named(dataset: Dataset, sequence: str) -> tuple[str, ...]:
    items: Sequence[Any] = dataset.get(sequence) or []
    return tuple(str(item.get("ReferencedSOPInstanceUID") or "") for item in items)
