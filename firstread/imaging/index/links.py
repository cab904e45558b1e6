"""What an object refers to, and which regions it has: by its own words, nothing looked up."""

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from firstread.imaging.index.kinds import Kind, Level
from firstread.imaging.index.through_pydicom import items

Link = dict[str, str]
Roi = dict[str, Any]


def links_of(header: Dataset) -> list[Link]:
    """Return references, each once (PS3.3 C.8.8.5 and C.8.8.3 for radiotherapy, C.7.6.16.2.6 and C.12.6.1 for others).

    Parameters
    ----------
    header
        Of any object.
    """
    found: dict[tuple[str, str, str], Link] = {}
    for kind, level, uid in _links(header):
        if uid:
            found[kind, level, uid] = {"kind": str(kind), "level": str(level), "uid": uid}
    return list(found.values())


def _links(header: Dataset) -> Iterator[tuple[Kind, Level, str]]:
    named = False
    for series in _series(header):
        named = True
        yield Kind.SOURCE, Level.SERIES, _text(series, "SeriesInstanceUID")
    if not named:
        for image in _source_images(header):
            yield Kind.SOURCE, Level.INSTANCE, _text(image, "ReferencedSOPInstanceUID")
    for kind, keyword in (
        (Kind.STRUCTURE_SET, "ReferencedStructureSetSequence"),
        (Kind.PLAN, "ReferencedRTPlanSequence"),
    ):
        for item in items(header, keyword):
            yield kind, Level.INSTANCE, _text(item, "ReferencedSOPInstanceUID")
    for item in items(header, "ReferencedFrameOfReferenceSequence"):
        yield Kind.FRAME_OF_REFERENCE, Level.FRAME_OF_REFERENCE, _text(item, "FrameOfReferenceUID")


def _series(header: Dataset) -> Iterator[Dataset]:
    yield from items(header, "ReferencedSeriesSequence")
    for frame in items(header, "ReferencedFrameOfReferenceSequence"):
        for study in items(frame, "RTReferencedStudySequence"):
            yield from items(study, "RTReferencedSeriesSequence")


def _source_images(header: Dataset) -> Iterator[Dataset]:
    yield from items(header, "SourceImageSequence")
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in items(header, groups):
            for derivation in items(group, "DerivationImageSequence"):
                yield from items(derivation, "SourceImageSequence")


def rois_of(header: Dataset) -> list[Roi]:
    """Return the regions of a structure set and the segments of a segmentation (PS3.3 C.8.8.5, C.8.20.2).

    Parameters
    ----------
    header
        Of any object.
    """
    observed = {
        _text(each, "ReferencedROINumber"): each for each in items(header, "RTROIObservationsSequence")
    }
    contours = {
        _text(each, "ReferencedROINumber"): len(items(each, "ContourSequence"))
        for each in items(header, "ROIContourSequence")
    }
    regions = [
        {
            "number": _text(each, "ROINumber"),
            "name": _text(each, "ROIName"),
            "type": _text(observed.get(_text(each, "ROINumber"), Dataset()), "RTROIInterpretedType"),
            "algorithm": _text(each, "ROIGenerationAlgorithm"),
            "contours": contours.get(_text(each, "ROINumber"), 0),
        }
        for each in items(header, "StructureSetROISequence")
    ]
    segments = [
        {
            "number": _text(each, "SegmentNumber"),
            "name": _text(each, "SegmentLabel"),
            "type": next(
                (_text(code, "CodeMeaning") for code in items(each, "SegmentedPropertyTypeCodeSequence")), ""
            ),
            "algorithm": _text(each, "SegmentAlgorithmType"),
            "contours": None,
        }
        for each in items(header, "SegmentSequence")
    ]
    return [*regions, *segments]


def _text(item: Dataset, keyword: str) -> str:
    value = item.get(keyword)
    return "" if value is None else str(value).strip()
