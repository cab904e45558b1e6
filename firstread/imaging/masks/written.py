"""Masks as DICOM objects: Segmentation (PS3.3 A.51) and RT Structure Set (A.19)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from firstread.dicom.silence import quiet
from firstread.imaging.masks.mask import Mask, MaskError, MaskReason
from firstread.imaging.masks.segments import SegmentationType
from firstread.imaging.volume import Volume
from firstread.objects.outline import is_hole, outlines

TISSUE = Code("85756007", "SCT", "Tissue")
"""What a segment is where nobody says more."""
_MOST_FRACTIONAL = 255
_COLOURS = ((214, 39, 40), (31, 119, 180), (44, 160, 44), (255, 127, 14), (148, 103, 189), (23, 190, 207))
_PATIENT_AND_STUDY = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_NAMED_BY = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_Rings = list[npt.NDArray[np.float64]]


def to_segmentation(
    masks: Sequence[Mask],
    reference: Volume,
    images: Sequence[Dataset],
    kind: SegmentationType = SegmentationType.BINARY,
    codes: Mapping[str, tuple[Code, Code]] | None = None,
) -> Dataset:
    """Return masks as a segmentation.

    Parameters
    ----------
    masks
        On the grid of `reference`; they may overlap, except in a label map.
    reference
        Where they lie.
    images
        Those that the volume was made of; patient and study are taken over from them.
    kind
        Its type; masks of fractions are FRACTIONAL (probabilities).
    codes
        Name of a mask -> segmented property category and type (PS3.16 CID 7150, 7151...); else tissue.

    Raises
    ------
    MaskError
        If a mask is on another grid, none is given, or those of a label map overlap; or images
        have no UIDs to be named by.
    """
    _check(masks, reference, images)
    # Slow to import, and of an extra.
    from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
    from highdicom.seg import Segmentation, SegmentDescription

    import firstread.objects.written  # noqa: F401 - keeps highdicom from logging names

    rows, columns = (reference.affine[:3, each] / reference.spacing_mm[each] for each in (1, 2))
    starts = reference.affine[:3, 3] + np.arange(reference.grid[0])[:, None] * reference.affine[:3, 0]
    described = [
        SegmentDescription(
            segment_number=number,
            segment_label=mask.name[:64],
            segmented_property_category=(codes or {}).get(mask.name, (TISSUE, TISSUE))[0],
            segmented_property_type=(codes or {}).get(mask.name, (TISSUE, TISSUE))[1],
            algorithm_type="MANUAL",
        )
        for number, mask in enumerate(masks, 1)
    ]
    with quiet():
        made: Dataset = Segmentation(
            source_images=[_source(each, reference) for each in images],
            pixel_array=_pixels(masks, kind),
            segmentation_type=kind.value,
            segment_descriptions=described,
            series_instance_uid=generate_uid(prefix=None),
            series_number=1,
            sop_instance_uid=generate_uid(prefix=None),
            instance_number=1,
            manufacturer="FirstRead",
            manufacturer_model_name="firstread.imaging",
            software_versions="1",
            device_serial_number="0",
            fractional_type="PROBABILITY",
            max_fractional_value=_MOST_FRACTIONAL,
            plane_positions=[PlanePositionSequence("PATIENT", each.tolist()) for each in starts],
            plane_orientation=PlaneOrientationSequence("PATIENT", [*columns.tolist(), *rows.tolist()]),
            pixel_measures=PixelMeasuresSequence(
                pixel_spacing=reference.spacing_mm[1:],
                slice_thickness=reference.spacing_mm[0],
                spacing_between_slices=reference.spacing_mm[0],
            ),
        )
    return made


def to_structures(
    masks: Sequence[Mask], reference: Volume, images: Sequence[Dataset], moment: datetime
) -> FileDataset:
    """Return masks as an RT Structure Set.

    Outlines go along the edges of voxels, so that reading them back gives the masks; an outline of a hole is joined to
    the outline around it by a channel without width (keyhole, PS3.3 C.8.8.6.3), which all readers understand.

    Parameters
    ----------
    masks
        On the grid of `reference`, bool; they may overlap.
    reference
        Where they lie; each contour names the frame of its slice where the volume knows it.
    images
        Those that the volume was made of; patient and study are taken over from them.
    moment
        Structure Set Date and Time.

    Raises
    ------
    MaskError
        If a mask is on another grid or has fractions, none is given, or images have no UIDs to be named by.
    """
    _check(masks, reference, images)
    if any(each.values.dtype != np.bool_ for each in masks):
        raise MaskError(MaskReason.OTHER_GRID)
    with quiet():
        made = _file(images[0])
        made.FrameOfReferenceUID, made.PositionReferenceIndicator = reference.frame_of_reference, ""
        made.StructureSetLabel = "FirstRead"
        made.StructureSetDate, made.StructureSetTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
        made.ReferencedFrameOfReferenceSequence = [_drawn_on(reference, images)]
        classes = {str(each.SOPInstanceUID): str(each.SOPClassUID) for each in images}
        made.StructureSetROISequence, made.ROIContourSequence, made.RTROIObservationsSequence = [], [], []
        for number, mask in enumerate(masks, 1):
            made.StructureSetROISequence.append(
                _item(
                    ROINumber=number,
                    ReferencedFrameOfReferenceUID=reference.frame_of_reference,
                    ROIName=mask.name[:64],
                    ROIGenerationAlgorithm="",
                )
            )
            drawn = _item(
                ReferencedROINumber=number,
                ROIDisplayColor=list(_COLOURS[number % len(_COLOURS)]),
                ContourSequence=_contours(mask, reference, classes),
            )
            made.ROIContourSequence.append(drawn)
            observed = _item(
                ObservationNumber=number,
                ReferencedROINumber=number,
                RTROIInterpretedType="",
                ROIInterpreter="",
            )
            made.RTROIObservationsSequence.append(observed)
    return made


def _source(image: Dataset, reference: Volume) -> Dataset:
    """Return an image with the attributes that may be empty, which highdicom reads without a look."""
    made = Dataset()
    made.update(image)
    made.file_meta = image.file_meta
    for keyword in _PATIENT_AND_STUDY[1:]:
        if keyword not in made:
            setattr(made, keyword, "")
    if not made.get("SliceThickness"):
        made.SliceThickness = f"{reference.spacing_mm[0]:.6g}"
    return made


def _check(masks: Sequence[Mask], reference: Volume, images: Sequence[Dataset]) -> None:
    if not images or not all(each.get(keyword) for each in images for keyword in _NAMED_BY):
        raise MaskError(MaskReason.NO_UIDS)
    if not masks or any(each.values.shape != reference.grid for each in masks):
        raise MaskError(MaskReason.OTHER_GRID)
    if not reference.frame_of_reference:
        raise MaskError(MaskReason.ELSEWHERE)


def _pixels(masks: Sequence[Mask], kind: SegmentationType) -> npt.NDArray[Any]:
    if kind is SegmentationType.FRACTIONAL:
        return np.stack([each.values.astype(np.float32) for each in masks], axis=-1)
    if any(each.values.dtype != np.bool_ for each in masks):
        raise MaskError(MaskReason.OTHER_GRID)
    stacked = np.stack([each.values for each in masks], axis=-1)
    if kind is SegmentationType.BINARY:
        return stacked.astype(np.uint8)
    if (stacked.sum(axis=-1) > 1).any():
        raise MaskError(MaskReason.BAD_SEGMENTS)
    labels: npt.NDArray[Any] = (stacked * np.arange(1, len(masks) + 1)).sum(axis=-1).astype(np.uint16)
    return labels


def _file(image: Dataset) -> FileDataset:
    meta = FileMetaDataset()
    # Contour Data may be longer than 64 kB, which explicit value representation has no room for (PS3.5 7.1.2).
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword in _PATIENT_AND_STUDY:
        if keyword in image:
            made[keyword] = image[keyword]
        elif keyword != "SpecificCharacterSet":
            setattr(made, keyword, "")  # type 2
    made.SOPClassUID, made.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    made.Modality, made.Manufacturer, made.OperatorsName = "RTSTRUCT", "FirstRead", ""
    made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = generate_uid(prefix=None), 1, 1
    return made


def _drawn_on(reference: Volume, images: Sequence[Dataset]) -> Dataset:
    first = images[0]
    named = [
        _item(ReferencedSOPClassUID=str(each.SOPClassUID), ReferencedSOPInstanceUID=str(each.SOPInstanceUID))
        for each in images
    ]
    series = _item(SeriesInstanceUID=str(first.SeriesInstanceUID), ContourImageSequence=named)
    study = _item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",  # Detached Study Management, as C.8.8.5 asks for
        ReferencedSOPInstanceUID=str(first.StudyInstanceUID),
        RTReferencedSeriesSequence=[series],
    )
    return _item(FrameOfReferenceUID=reference.frame_of_reference, RTReferencedStudySequence=[study])


def _contours(mask: Mask, reference: Volume, classes: Mapping[str, str]) -> list[Dataset]:
    found: list[Dataset] = []
    for number in np.flatnonzero(mask.values.any(axis=(1, 2))).tolist():
        for ring in _joined(outlines(mask.values[number])):
            corners = ring[:-1] - 0.5  # voxel centres are whole numbers in an affine
            index = np.column_stack(
                [np.full(len(corners), number), corners[:, 1], corners[:, 0], np.ones(len(corners))]
            )
            points = (index @ reference.affine.T)[:, :3]
            item = _item(
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints=len(points),
                ContourData=[f"{each:.4f}" for each in points.ravel()],
            )
            if reference.frames and reference.frames[number].sop_uid in classes:
                frame = reference.frames[number]
                item.ContourImageSequence = [
                    _item(
                        ReferencedSOPClassUID=classes[frame.sop_uid], ReferencedSOPInstanceUID=frame.sop_uid
                    )
                ]
            found.append(item)
    return found


def _joined(rings: _Rings) -> _Rings:
    """Return outlines with those of holes joined to the nearest outline that is none, each closed."""
    outer = [each for each in rings if not is_hole(each)]
    for hole in (each for each in rings if is_hole(each)):
        best = min(
            (
                (float(gap.min()), at, gap)
                for at, gap in ((at, _gaps(ring, hole)) for at, ring in enumerate(outer))
            ),
            key=lambda each: each[0],
        )
        at, (leave, enter) = best[1], np.unravel_index(int(best[2].argmin()), best[2].shape)
        ring = outer[at]
        around = np.concatenate([hole[enter:-1], hole[: enter + 1]])
        outer[at] = np.concatenate([ring[: leave + 1], around, ring[leave:]])
    return outer


def _gaps(ring: npt.NDArray[np.float64], hole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.linalg.norm(ring[:, None] - hole[None], axis=-1)
    return found


def _item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made
