"""RT Structure Sets: their regions as closed contours (PS3.3 C.8.8.5, C.8.8.6), and as masks on a volume."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from firstread.dicom.silence import quiet
from firstread.imaging.lookup import numbers
from firstread.imaging.masks.contours import Between, rasterised
from firstread.imaging.masks.mask import (
    Mask,
    MaskError,
    MaskReason,
    Masks,
    Values,
    check_place,
    chosen,
    merged,
)
from firstread.imaging.volume import Volume

Points = npt.NDArray[np.float64]

_AREAS = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})


@dataclass(frozen=True)
class Roi:
    """A region of interest.

    Parameters
    ----------
    number, name
        ROI Number, ROI Name.
    frame_of_reference
        UID of the coordinates that its contours are in.
    contours : tuple of numpy.ndarray
        Points x 3, millimetres (LPS); closed, the first point not repeated by rule. Nested ones cut holes.
    others
        How many contours are points or open lines, which have no area.
    kind
        RT ROI Interpreted Type: ORGAN, PTV...; "" where it is not said.
    bad
        Why its contours cannot be used; None where they can.
    """

    number: int
    name: str
    frame_of_reference: str
    contours: tuple[Points, ...]
    others: int = 0
    kind: str = ""
    bad: MaskReason | None = None


@dataclass(frozen=True)
class Structures:
    """A structure set.

    Parameters
    ----------
    rois
        Its regions, in their order.
    series
        Series Instance UIDs of the images that it was drawn on.
    """

    rois: tuple[Roi, ...]
    series: tuple[str, ...] = ()


def read_structures(dataset: Dataset) -> Structures:
    """Read an RT Structure Set.

    Parameters
    ----------
    dataset
        The object.

    Raises
    ------
    MaskError
        If it is none. A region with a malformed contour has `Roi.bad`, and the others stand.
    """
    with quiet():
        if dataset.get("SOPClassUID") != RTStructureSetStorage:
            raise MaskError(MaskReason.NOT_STRUCTURES)
        try:
            return _structures(dataset)
        except (AttributeError, KeyError, TypeError, ValueError):
            # Sequences that are none, numbers that are none: the text would quote them.
            raise MaskError(MaskReason.NOT_STRUCTURES) from None


def structure_masks(
    structures: Structures,
    reference: Volume,
    names: Mapping[str, str] | None = None,
    between: Between = Between.SHAPE,
) -> Masks:
    """Return the regions of a structure set as masks on a volume.

    A voxel belongs to a region if its centre does; contours of one plane combine by exclusive or.

    Parameters
    ----------
    structures
        As `read_structures` gives them.
    reference
        Whose grid is taken.
    names
        Mask -> regular expression of names, see `chosen`; None for every region.
    between
        What lies between contours that are further apart than slices.

    Raises
    ------
    MaskError
        If an expression is none.
    """
    found, absent = chosen(structures.rois, names)
    masks: list[Mask] = []
    refused: dict[str, MaskReason] = {}
    for name, rois in found.items():
        parts: list[Values] = []
        how: dict[str, object] = {}
        for roi in rois:
            try:
                values, told = _mask(roi, reference, between)
            except MaskError as error:
                refused[roi.name] = error.reason
                continue
            parts.append(values)
            how[roi.name] = told
        if parts:
            masks.append(Mask(name, merged(parts), tuple(how), how))
    return Masks(tuple(masks), absent, refused)


def _mask(roi: Roi, reference: Volume, between: Between) -> tuple[Values, dict[str, object]]:
    if roi.bad is not None:
        raise MaskError(roi.bad)
    check_place(roi.frame_of_reference, reference)
    values, told = rasterised(roi.contours, reference, between)
    return values, told | ({"without_area": roi.others} if roi.others else {})


def _structures(dataset: Dataset) -> Structures:
    places = dataset.get("ReferencedFrameOfReferenceSequence") or []
    only = str(places[0].get("FrameOfReferenceUID") or "") if len(places) == 1 else ""
    drawn = {_number(item, "ReferencedROINumber"): item for item in dataset.get("ROIContourSequence") or []}
    kinds = {
        _number(item, "ReferencedROINumber"): str(item.get("RTROIInterpretedType") or "")
        for item in dataset.get("RTROIObservationsSequence") or []
    }
    rois = tuple(
        _roi(item, drawn.get(_number(item, "ROINumber")), only, kinds)
        for item in dataset.get("StructureSetROISequence") or []
    )
    series = tuple(
        str(each.get("SeriesInstanceUID") or "")
        for place in places
        for study in place.get("RTReferencedStudySequence") or []
        for each in study.get("RTReferencedSeriesSequence") or []
    )
    return Structures(rois, series)


def _roi(item: Dataset, drawn: Dataset | None, place: str, kinds: Mapping[int, str]) -> Roi:
    number = _number(item, "ROINumber")
    contours: list[Points] = []
    others = 0
    bad: MaskReason | None = None
    for contour in (drawn.get("ContourSequence") if drawn is not None else None) or []:
        if str(contour.get("ContourGeometricType") or "") not in _AREAS:
            others += 1
            continue
        points = _points(contour)
        if points is None:
            bad = MaskReason.BAD_CONTOUR
        elif len(points) < 3:
            others += 1
        else:
            contours.append(points)
    if bad is None and not contours:
        bad = MaskReason.NO_AREA if others else MaskReason.NO_CONTOURS
    return Roi(
        number=number,
        name=str(item.get("ROIName") or ""),
        frame_of_reference=str(item.get("ReferencedFrameOfReferenceUID") or place),
        contours=tuple(contours),
        others=others,
        kind=kinds.get(number, ""),
        bad=bad,
    )


def _points(contour: Dataset) -> Points | None:
    """Return the points of a contour; None where they are not as many as it says, or no points."""
    found = numbers(contour, "ContourData")
    told = numbers(contour, "NumberOfContourPoints")
    if not found or len(found) % 3 or (told and int(told[0]) * 3 != len(found)):
        return None
    return np.array(found).reshape(-1, 3)


def _number(item: Dataset, keyword: str) -> int:
    return int(item[keyword].value)
