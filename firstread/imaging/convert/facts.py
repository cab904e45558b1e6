"""What a sidecar says of a volume: an allow-list of technical attributes, and what was computed."""

import re
from collections.abc import Iterable, MutableSequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firstread import __version__
from firstread.imaging.convert.names import Pseudonyms
from firstread.imaging.convert.options import Options
from firstread.imaging.lookup import numbers
from firstread.imaging.planar import spacing_mm
from firstread.imaging.verdict import Geometry
from firstread.imaging.volume import Volume

if TYPE_CHECKING:  # plain headers are read without it
    from pydicom.dataset import Dataset

FORMAT = 1
# No patient, person, place, date, time, free text or UID of an instance. Technique and device alone; each value is
# written only where it has the form of its VR, as somebody may have typed a name into any element.
_CODES = (
    "AcquisitionContrast",
    "BodyPartExamined",
    "ComplexImageComponent",
    "CorrectedImage",
    "DecayCorrection",
    "FrameLaterality",
    "ImageLaterality",
    "ImageType",
    "InPlanePhaseEncodingDirection",
    "Laterality",
    "LossyImageCompression",
    "Modality",
    "MRAcquisitionType",
    "PatientPosition",
    "PhotometricInterpretation",
    "PresentationIntentType",
    "ScanningSequence",
    "SequenceVariant",
    "Units",
    "ViewPosition",
)
_FIGURES = (
    "BitsStored",
    "CineRate",
    "DataCollectionDiameter",
    "DiffusionBValue",
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
    "EchoNumbers",
    "EchoTime",
    "EchoTrainLength",
    "Exposure",
    "ExposureTime",
    "FlipAngle",
    "FrameTime",
    "GantryDetectorTilt",
    "ImagingFrequency",
    "InversionTime",
    "KVP",
    "MagneticFieldStrength",
    "NumberOfAverages",
    "PixelBandwidth",
    "ReconstructionDiameter",
    "RepetitionTime",
    "RevolutionTime",
    "SingleCollimationWidth",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SpiralPitchFactor",
    "TotalCollimationWidth",
    "XRayTubeCurrent",
)
_CLASSES = ("SOPClassUID",)
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_COMMON = frozenset({"1.2.840.10008.1.2.1", f"{_STORAGE}2", f"{_STORAGE}4", f"{_STORAGE}128"})
"""Explicit VR Little Endian, CT, MR and PET Image Storage: known without pydicom's dictionary."""
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
_AXES = ("time", "slice", "row", "column", "sample")


def dicom_facts(header: "Dataset") -> dict[str, object]:
    """Return what the allow-list has of a header."""
    found: dict[str, object] = {}
    for keyword in _CODES:
        value = header.get(keyword)
        parts = [str(each) for each in value] if isinstance(value, MutableSequence) else [str(value or "")]
        if all(_CODE.fullmatch(each) for each in parts):
            found[keyword] = parts if len(parts) > 1 else parts[0]
    for keyword in _FIGURES:
        if figures := numbers(header, keyword):
            found[keyword] = list(figures) if len(figures) > 1 else figures[0]
    for keyword in _CLASSES:
        uid = str(header.get(keyword, ""))
        if _is_of_the_standard(uid):
            found[keyword] = uid
    syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
    if _is_of_the_standard(syntax):
        found["TransferSyntaxUID"] = syntax
    return dict(sorted(found.items()))


def _is_of_the_standard(uid: str) -> bool:
    if uid in _COMMON:
        return True
    from pydicom.uid import UID

    found = UID(uid)
    return not found.is_private and found.name != uid


def identifying_facts(header: "Dataset", volume: Volume) -> dict[str, object]:
    """Return identifiers, for those who may have them."""
    keywords = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "StudyDate", "SeriesDescription")
    said = {keyword: str(header.get(keyword) or "") for keyword in keywords}
    return {"identifiers": said, "frames": [[each.sop_uid, each.number] for each in volume.frames]}


def references(header: "Dataset", volume: Volume, names: Pseudonyms) -> dict[str, object]:
    """Return what a volume belongs and points to, as digests: the same in all sidecars of one output folder."""
    series = {_uid(item, "SeriesInstanceUID") for item in _items(header, "ReferencedSeriesSequence")}
    images = {
        _uid(item, "ReferencedSOPInstanceUID")
        for keyword in ("ReferencedImageSequence", "SourceImageSequence")
        for item in _items(header, keyword)
    }
    # A planar volume has no coordinates; another may have been registered into those of a reference.
    is_planar = volume.verdict.geometry is Geometry.PLANAR
    frame = _uid(header, "FrameOfReferenceUID") if is_planar else volume.frame_of_reference
    return {
        "frame_of_reference": names.of("frame of reference", frame) if frame else None,
        "series": sorted(names.of("series", each) for each in series if each),
        "instances": sorted(names.of("instance", each) for each in images if each),
    }


def _items(header: "Dataset", keyword: str) -> Iterable["Dataset"]:
    found = header.get(keyword)
    return found if isinstance(found, Iterable) and not isinstance(found, str | bytes) else ()


def _uid(item: "Dataset", keyword: str) -> str:
    return str(item.get(keyword) or "")


def axes(volume: Volume) -> list[str]:
    """Return the names of the axes of the values."""
    return list(_AXES[0 if volume.is_in_time else 1 : 5 if volume.is_colour else 4])


def geometry(volume: Volume, header: "Dataset | None") -> dict[str, object]:
    """Return spacing and size as the affine has them; None for what a planar image or a single slice does not say."""
    spacing: list[float | None] = list(volume.spacing_mm)
    if volume.verdict.geometry is Geometry.PLANAR:
        told = header is not None and spacing_mm(header) is not None
        spacing = [None, *(spacing[1:] if told else [None, None])]
    shape = volume.values.shape[volume.is_in_time :][:3]
    if shape[0] == 1:
        spacing[0] = None  # the affine has 1 mm, as it must have something; nobody measured it
    size = [each * count if each is not None else None for each, count in zip(spacing, shape, strict=True)]
    return {"spacing_mm": spacing, "size_mm": size, "affine_lps": volume.affine.tolist()}


def value_range(values: npt.NDArray[Any]) -> list[float | int] | None:
    """Return the lowest and the highest finite value; None where there is none."""
    ends = [values.min(), values.max()]
    if values.dtype.kind == "f" and not np.isfinite(ends).all():
        finite = values[np.isfinite(values)]
        if not finite.size:
            return None
        ends = [finite.min(), finite.max()]
    return [each.item() for each in ends]


def about(volume: Volume, header: "Dataset | None", options: Options) -> dict[str, object]:
    """Return what a store says of the volume in it, inside or beside."""
    return {
        "format": FORMAT,
        "tool": {"name": "firstread", "version": __version__},
        "shape": list(volume.values.shape),
        "axes": axes(volume),
        "dtype": volume.values.dtype.name,
        "value_range": value_range(volume.values),
        "modality": volume.modality if _CODE.fullmatch(volume.modality) else "",
        "units": volume.units,
        "is_colour": volume.is_colour,
        **geometry(volume, header),
        "verdict": volume.verdict.to_json(),
        "licence": options.licence or None,
    }
