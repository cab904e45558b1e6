"""Comprehensive 3D SR by template TID 1500, Measurement Report (PS3.16)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom import sr
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from firstread.objects.outline import Polyline, is_hole, outlines, thinned
from firstread.objects.references import region, segment_frame, whole_segment
from firstread.objects.sources import Placing, Source, Sources
from firstread.objects.written import MANUFACTURER, RESEARCH_USE, SCHEME, Written, coded, own_codes
from firstread.quantities import AREA
from firstread.result import Finding, Measurement, ObjectKind
from firstread.study import Risk
from model_service.findings import Scored, Told, area_of
from model_service.objects.said import Said
from model_service.objects.segmentation import SegmentationFile, tracking_id
from model_service.objects.series import AI, Place, device_uid, parameters

MAX_SCORES = 200
"""Scores of single images in one report, the highest first."""
MAX_REGIONS = 100
"""Frames of a cine that are outlined in one report, evenly spread."""

_UNIT = CodedConcept("1", "UCUM", "no units")
_IMAGES = CodedConcept("{images}", "UCUM", "images")
_PROBABILITY = CodedConcept("122157", "DCM", "Probability")
_THRESHOLD = CodedConcept("threshold", SCHEME, "Threshold of the operating point")
_LOOKED_AT = CodedConcept("images", SCHEME, "Images that were scored")
_COMPARED = CodedConcept("compared", SCHEME, "Score compared with the operating point")
_AT_OR_ABOVE = CodedConcept("at-or-above", SCHEME, "At or above: flagged")
_BELOW = CodedConcept("below", SCHEME, "Below: not flagged, which does not mean normal")
_AT_DETECTOR = CodedConcept("at-detector", SCHEME, "By the spacing of the detector, without magnification")

_Group = (
    sr.MeasurementsAndQualitativeEvaluations
    | sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)


@dataclass(frozen=True)
class Reported:
    """A report, and whether everything found its place in it.

    Parameters
    ----------
    written
        The file.
    left_out_scores, left_out_regions
        The limits `MAX_SCORES` and `MAX_REGIONS` were reached.
    """

    written: Written
    left_out_scores: bool
    left_out_regions: bool


def report(said: Said, told: Sequence[Told], sources: Sources, made: Sequence[SegmentationFile]) -> Reported:
    """Make the structured report of a result.

    One measurement group per finding, the one that was not flagged included: its score, the threshold and the image,
    and never a word such as "absent" or "normal". A cine has a further group for every other frame that shows the
    segment, with the same tracking UID.
    """
    place = Place(said, ObjectKind.STRUCTURED_REPORT)
    groups: list[_Group] = []
    left_out_regions = False
    for each in told:
        groups.append(_group(said, each, sources, made))
        others, cut = _other_regions(said, each, sources)
        groups.extend(others)
        left_out_regions = left_out_regions or cut
    left_out_scores = any(len(each.scores) > MAX_SCORES for each in told)
    content = sr.MeasurementReport(
        observation_context=_observer(said),
        procedure_reported=codes.SCT.ImagingProcedure,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    evidence = [source.header for source in sources]
    made_report = sr.Comprehensive3DSR(
        evidence=[*evidence, *(_reference(each, evidence[0]) for each in made)],
        content=content[0],
        # What a person has not read is neither final nor verified.
        is_complete=not left_out_scores and not left_out_regions,
        is_final=False,
        is_verified=False,
        coding_schemes=[own_codes()],
        **place.arguments,
    )
    return Reported(place.written(made_report), left_out_scores, left_out_regions)


def _observer(said: Said) -> sr.ObservationContext:
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid(said),
        name=f"{said.manifest.title}. {RESEARCH_USE}.",
        manufacturer_name=MANUFACTURER,
        model_name=said.manifest.name,
        serial_number=said.bundle_sha256,
    )
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        )
    )


def _reference(made: SegmentationFile, header: Dataset) -> Dataset:
    """Return what the evidence needs to know of a segmentation: where it is."""
    reference = Dataset()
    reference.StudyInstanceUID = header.StudyInstanceUID
    reference.SeriesInstanceUID = made.written.series_uid
    reference.SOPInstanceUID = made.written.sop_uid
    reference.SOPClassUID = made.written.sop_class_uid
    return reference


def _group(said: Said, told: Told, sources: Sources, made: Sequence[SegmentationFile]) -> _Group:
    source = sources.of(told.frame)
    common = _common(said, told)
    common["measurements"] = [*_scores(told, sources), *_measured(told, source)]
    common["qualitative_evaluations"] = _compared(told.finding)
    mine = next((each for each in made if each.stack is told.stack), None)
    if mine is not None and told.segment is not None and told.finding.region is not None:
        return _of_segment(common, told, source, mine)
    outline = _outline(told, told.plane)
    if outline is not None:
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_region=region(source, told.frame.number, outline), **common
        )
    image = sr.SourceImageForMeasurementGroup(
        source.header.SOPClassUID, source.sop_uid, source.frame_numbers(told.frame.number)
    )
    return sr.MeasurementsAndQualitativeEvaluations(source_images=[image], **common)


def _common(said: Said, told: Told) -> dict[str, Any]:
    finding = told.finding
    return {
        "tracking_identifier": sr.TrackingIdentifier(
            uid=finding.tracking_uid, identifier=tracking_id(said, finding.label)
        ),
        "finding_type": coded(finding.code),
        "finding_category": coded(told.segment.category) if told.segment else None,
        "finding_sites": [sr.FindingSite(coded(finding.site))] if finding.site else None,
        "algorithm_id": sr.AlgorithmIdentification(
            name=said.manifest.name,
            version=said.manifest.version,
            parameters=[f"{name}={value}" for name, value in parameters(said).items()],
            family=AI,
            manufacturer=MANUFACTURER,
        ),
    }


def _of_segment(common: dict[str, Any], told: Told, source: Source, made: SegmentationFile) -> _Group:
    assert told.segment is not None  # noqa: S101 - narrows the type
    number = told.segment.number
    if len(made.stack.frames) > 1:
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=whole_segment(made.sop_uid, number, source), **common
        )
    frame = segment_frame(
        made.sop_uid, number, made.frame_numbers[number, told.plane], source, told.frame.number
    )
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_segment=frame, **common)


def _scores(told: Told, sources: Sources) -> list[sr.Measurement]:
    finding = told.finding
    if finding.probability is None or finding.operating_point is None:
        return []
    shown = told.scores[:MAX_SCORES] or (Scored(told.frame, finding.probability),)
    found = [_probability(each, sources.of(each.frame)) for each in shown]
    found.append(sr.Measurement(_THRESHOLD, finding.operating_point.threshold, _UNIT))
    if len(told.scores) > 1:
        found.append(sr.Measurement(_LOOKED_AT, len(told.scores), _IMAGES))
    return found


def _probability(scored: Scored, source: Source) -> sr.Measurement:
    image = sr.SourceImageForMeasurement(
        source.header.SOPClassUID, source.sop_uid, source.frame_numbers(scored.frame.number)
    )
    return sr.Measurement(_PROBABILITY, scored.probability, _UNIT, referenced_images=[image])


def _compared(finding: Finding) -> list[sr.QualitativeEvaluation]:
    if finding.risk is None:
        return []
    return [sr.QualitativeEvaluation(_COMPARED, _AT_OR_ABOVE if finding.risk is Risk.HIGH else _BELOW)]


def _measured(told: Told, source: Source) -> list[sr.Measurement]:
    return [_number(each, told, source, told.frame.number) for each in told.finding.measurements]


def _number(measurement: Measurement, told: Told, source: Source, frame: int) -> sr.Measurement:
    image, method = None, None
    if measurement.name == AREA:
        method = _AT_DETECTOR if told.at_detector else None
        image = sr.SourceImageForMeasurement(
            source.header.SOPClassUID, source.sop_uid, source.frame_numbers(frame)
        )
    return sr.Measurement(
        coded(measurement.name),
        measurement.value,
        coded(measurement.unit),
        method=method,
        referenced_images=[image] if image is not None else None,
    )


def _other_regions(said: Said, told: Told, sources: Sources) -> tuple[list[_Group], bool]:
    """Return a group for each other frame of a cine that shows a segment, and whether some were left out."""
    if told.stack is None or told.segment is None or told.stack.placing is not Placing.CINE:
        return [], False
    areas = told.stack.areas(told.segment.number)
    planes = [plane for plane, area in enumerate(areas) if area and plane != told.plane]
    shown = planes if len(planes) <= MAX_REGIONS else _spread(planes)
    groups: list[_Group] = []
    for plane in shown:
        source, number = sources.of(told.stack.frames[plane]), told.stack.frames[plane].number
        outline = _outline(told, plane)
        assert outline is not None  # noqa: S101 - the plane has an area
        common = _common(said, told)
        measured = (
            [area_of(told.stack, told.segment, plane, sources)] if "area" in told.segment.measure else []
        )
        common["measurements"] = [_number(each.measurement, told, source, number) for each in measured]
        groups.append(
            sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                referenced_region=region(source, number, outline), **common
            )
        )
    return groups, len(shown) < len(planes)


def _spread(planes: list[int]) -> list[int]:
    return [planes[index] for index in np.linspace(0, len(planes) - 1, MAX_REGIONS).astype(int)]


def _outline(told: Told, plane: int) -> Polyline | None:
    """Return the outline of a box, or of the largest part of a segment on a plane."""
    if told.box is not None:
        box = told.box
        corners = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)]
        return np.array([*corners, corners[0]], dtype=np.float64)
    if told.stack is None or told.segment is None:
        return None
    found = [each for each in outlines(told.stack.labels[plane] == told.segment.number) if not is_hole(each)]
    return thinned(found[0]) if found else None
