"""From what a model predicts to what a reader is told: findings, and where each is shown best."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from firstread.imaging.volume import SourceFrame, Volume
from firstread.objects.sources import Placing, Sources
from firstread.quantities import AREA, CUBIC_MM, PIXELS, SQUARE_MM, VOLUME
from firstread.result import Code, Finding, Measurement, OperatingPoint, Region
from firstread.study import Risk
from model_service.manifest import (
    Classification,
    CodedConcept,
    Detection,
    Segment,
    Segmentation,
)
from model_service.manifest.base import OperatingPoint as MeasuredPoint
from model_service.objects.identity import uid
from model_service.objects.said import Remark, Said
from model_service.objects.stacks import Stack, stacks
from model_service.prediction import Box, Classified, Detected, Segmented

MAX_BOXES = 50
"""More boxes than a reader would look at are left out, the lowest scores first."""


@dataclass(frozen=True)
class Scored:
    """The score of one frame for a class."""

    frame: SourceFrame
    probability: float


@dataclass(frozen=True)
class Told:
    """A finding, and what it was made of.

    Parameters
    ----------
    finding
        Without the key of its overlay.
    frame
        The one that shows it best.
    scores
        Of a classification: every frame that was looked at, the highest score first.
    activation
        The map of that frame, where there is one: rows x columns, in [0, 1].
    segment, stack, plane
        Of a segmentation: which segment of which stack, and the plane of largest area.
    box
        Of a detection.
    at_detector
        An area is that at the detector.
    """

    finding: Finding
    frame: SourceFrame
    scores: tuple[Scored, ...] = ()
    activation: npt.NDArray[np.float32] | None = None
    segment: Segment | None = None
    stack: Stack | None = None
    plane: int = 0
    box: Box | None = None
    at_detector: bool = False


@dataclass
class Telling:
    """The findings of a result.

    Parameters
    ----------
    told
        In the order of the manifest, the highest score first.
    stacks
        Of a segmentation.
    remarks
        What was left out and why.
    """

    told: list[Told] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


def tell(said: Said, sources: Sources) -> Telling:
    """Make the findings of a model's predictions.

    A score at or above its operating point is `Risk.HIGH`, any other `Risk.NOT_FLAGGED`, which never means normal.
    What is only measured has no risk. A recognition finds nothing.
    """
    output = said.manifest.output
    if isinstance(output, Classification):
        return Telling(told=_classes(said, output))
    if isinstance(output, Detection):
        return _boxes(said, output)
    if isinstance(output, Segmentation):
        return _segments(said, output, sources)
    return Telling()


def as_code(concept: CodedConcept) -> Code:
    """Return a manifest's code as a finding has it."""
    return Code(value=concept.value, scheme=concept.scheme, meaning=concept.meaning)


def _point(point: MeasuredPoint) -> OperatingPoint:
    return OperatingPoint.model_validate(point.model_dump())


def _risk(probability: float, threshold: float) -> Risk:
    return Risk.HIGH if probability >= threshold else Risk.NOT_FLAGGED


def _classes(said: Said, output: Classification) -> list[Told]:
    predictions = [each for each in said.predictions if isinstance(each, Classified)]
    told = []
    for index, wanted in enumerate(output.classes):
        scores = [each.probabilities[index] for each in predictions]
        order = sorted(range(len(scores)), key=lambda number: -scores[number])
        best = order[0]
        frame, maps = said.frames[best], predictions[best].maps
        finding = Finding(
            label=wanted.finding.label,
            code=as_code(wanted.finding.concept),
            site=as_code(wanted.finding.site),
            probability=scores[best],
            operating_point=_point(wanted.operating_point),
            risk=_risk(scores[best], wanted.operating_point.threshold),
            sop_uid=frame.sop_uid,
            frame=frame.number,
            tracking_uid=uid(said, "class", index),
        )
        ranked = tuple(Scored(said.frames[number], scores[number]) for number in order)
        told.append(Told(finding, frame, ranked, activation=maps[index] if maps else None))
    return told


def _boxes(said: Said, output: Detection) -> Telling:
    predictions = [each for each in said.predictions if isinstance(each, Detected)]
    threshold = output.operating_point.threshold
    found = [
        (frame, box)
        for frame, each in zip(said.frames, predictions, strict=True)
        for box in each.boxes
        if box.probability >= threshold
    ]
    found.sort(key=lambda pair: -pair[1].probability)
    remarks = [Remark.FINDINGS_LEFT_OUT] if len(found) > MAX_BOXES else []
    if found:
        return Telling([_detected(said, output, *pair) for pair in found[:MAX_BOXES]], remarks=remarks)
    best = max(range(len(predictions)), key=lambda number: predictions[number].highest)
    return Telling([_detected(said, output, said.frames[best], None, predictions[best].highest)])


def _detected(
    said: Said, output: Detection, frame: SourceFrame, box: Box | None, highest: float = 0.0
) -> Told:
    region = None if box is None else Region(left=box.left, top=box.top, right=box.right, bottom=box.bottom)
    probability = highest if box is None else box.probability
    finding = Finding(
        label=output.finding.label,
        code=as_code(output.finding.concept),
        site=as_code(output.finding.site),
        probability=probability,
        operating_point=_point(output.operating_point),
        # Without a box too: a score at the operating point is never told as "not flagged".
        risk=_risk(probability, output.operating_point.threshold),
        sop_uid=frame.sop_uid,
        frame=frame.number,
        region=region,
        tracking_uid=uid(said, "box", frame.sop_uid, frame.number, region),
    )
    return Told(finding, frame, box=box)


def _segments(said: Said, output: Segmentation, sources: Sources) -> Telling:
    telling = Telling(stacks=stacks(said, sources))
    if any(stack.placing is Placing.REFUSED for stack in telling.stacks):
        telling.remarks.append(Remark.NO_FRAME_OF_REFERENCE)
    whole = telling.stacks if said.volume is None else [_largest(telling.stacks)]
    for stack in whole:
        telling.told.extend(_segment(said, stack, segment, sources) for segment in output.segments)
    if any(each.at_detector for each in telling.told):
        telling.remarks.append(Remark.DETECTOR_SPACING)
    return telling


def _largest(found: Sequence[Stack]) -> Stack:
    """Return the stack that shows most of a volume: a volume of several multi-frame images has several."""
    return max(found, key=lambda stack: int(np.count_nonzero(stack.labels)))


def _segment(said: Said, stack: Stack, segment: Segment, sources: Sources) -> Told:
    areas = stack.areas(segment.number)
    # Where nothing was found, the middle is as good as any plane.
    plane = int(np.argmax(areas)) if any(areas) else len(areas) // 2
    frame = stack.frames[plane]
    measured: list[Measurement] = []
    at_detector = False
    if "volume" in segment.measure and said.volume is not None:  # single images have none
        measured.append(_volume(said, said.volume, segment.number))
    if "area" in segment.measure:
        area = area_of(stack, segment, plane, sources)
        measured.append(area.measurement)
        at_detector = area.at_detector
    finding = Finding(
        label=segment.label,
        code=as_code(segment.concept),
        site=as_code(segment.site) if segment.site else None,
        sop_uid=frame.sop_uid,
        frame=frame.number,
        region=region_of(stack.labels[plane] == segment.number),
        measurements=tuple(measured),
        segment_number=segment.number if stack.has_segmentation else None,
        tracking_uid=uid(said, "segment", segment.number, stack.frames[0].sop_uid),
    )
    return Told(finding, frame, segment=segment, stack=stack, plane=plane, at_detector=at_detector)


def _volume(said: Said, volume: Volume, number: int) -> Measurement:
    maps = (each.labels for each in said.predictions if isinstance(each, Segmented))
    voxels = sum(int(np.count_nonzero(labels == number)) for labels in maps)
    return Measurement(name=VOLUME, value=voxels * volume.voxel_mm3, unit=CUBIC_MM)


@dataclass(frozen=True)
class Area:
    """The area of a segment on a plane, and whether it is that at the detector."""

    measurement: Measurement
    at_detector: bool


def area_of(stack: Stack, segment: Segment, plane: int, sources: Sources) -> Area:
    """Return the area of a segment on a plane: in mm2 where the image knows its spacing there, else in pixels."""
    mask, frame = stack.labels[plane] == segment.number, stack.frames[plane]
    region = region_of(mask)
    middle = (
        (0.0, 0.0) if region is None else ((region.top + region.bottom) / 2, (region.left + region.right) / 2)
    )
    spacing = sources.of(frame).spacing(frame.number, *middle)
    pixels = float(np.count_nonzero(mask))
    if spacing is None:
        return Area(Measurement(name=AREA, value=pixels, unit=PIXELS), at_detector=False)
    measured = Measurement(name=AREA, value=pixels * spacing.pixel_mm2, unit=SQUARE_MM)
    return Area(measured, spacing.at_detector)


def region_of(mask: npt.NDArray[np.bool_]) -> Region | None:
    """Return the box around a mask; None where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return Region(
        left=float(columns[0]), top=float(rows[0]), right=float(columns[-1] + 1), bottom=float(rows[-1] + 1)
    )
