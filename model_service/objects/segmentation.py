"""DICOM Segmentation (PS3.3 A.51) of a stack of label maps."""

from dataclasses import dataclass

from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from highdicom.seg import Segmentation as SegmentationObject
from pydicom.dataset import Dataset

from firstread.objects.segments import segment_frames
from firstread.objects.sources import Placing
from firstread.objects.written import RESEARCH_USE, Written, coded
from firstread.result import ObjectKind
from model_service.findings import Told
from model_service.manifest import Segment, Segmentation
from model_service.objects.identity import uid
from model_service.objects.said import Said
from model_service.objects.series import Place, algorithm
from model_service.objects.stacks import Stack


@dataclass(frozen=True)
class SegmentationFile:
    """A segmentation object, and where its segments are in it.

    Parameters
    ----------
    stack, written
        What it shows; the file.
    sop_uid
        Its SOP Instance UID.
    frame_numbers
        (segment number, plane of the stack) -> frame number, 1 first; planes without the segment have none.
    """

    stack: Stack
    written: Written
    sop_uid: str
    frame_numbers: dict[tuple[int, int], int]


def segmentation(said: Said, stack: Stack, told: list[Told], number: int) -> SegmentationFile:
    """Make the segmentation object of a stack.

    Parameters
    ----------
    said
        The result.
    stack
        One that `Stack.has_segmentation`.
    told
        The findings of all stacks; a segment has the tracking UID of its finding.
    number
        Instance Number within the series of segmentations.
    """
    place = Place(said, ObjectKind.SEGMENTATION, number)
    output = said.manifest.output
    assert isinstance(output, Segmentation)  # noqa: S101 - narrows the type
    made = SegmentationObject(
        source_images=[source.header for source in stack.sources],
        pixel_array=stack.labels,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(said, segment, stack, told) for segment in output.segments],
        content_label="AI_SEGMENTATION",
        content_description=f"{RESEARCH_USE}: {said.manifest.title}"[:64],
        content_creator_name=None,
        **place.arguments,
    )
    if stack.placing is Placing.SINGLE:
        # Required of an image without a position (PS3.3 C.7.6.1.1.1); highdicom leaves it out.
        made.PatientOrientation = stack.sources[0].header.get("PatientOrientation")
    # Frames without a segment are left out, so that a frame's number says nothing by itself.
    return SegmentationFile(stack, place.written(made), place.sop_uid, _frame_numbers(made, stack))


def _description(said: Said, segment: Segment, stack: Stack, told: list[Told]) -> SegmentDescription:
    mine = (each.finding for each in told if each.stack is stack and each.segment == segment)
    finding = next(mine, None)
    return SegmentDescription(
        segment_number=segment.number,
        segment_label=segment.label,
        segmented_property_category=coded(segment.category),
        segmented_property_type=coded(segment.concept),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm(said),
        tracking_uid=finding.tracking_uid
        if finding
        else uid(said, "segment", segment.number, stack.frames[0].sop_uid),
        tracking_id=tracking_id(said, segment.label),
        anatomic_regions=[coded(segment.site)] if segment.site else None,
        display_color=CIELabColor.from_rgb(*segment.colour),
    )


def tracking_id(said: Said, label: str) -> str:
    """Return the readable half of a tracking identifier."""
    return f"{said.manifest.model_id} {label}"[:64]


def _frame_numbers(made: Dataset, stack: Stack) -> dict[tuple[int, int], int]:
    planes = {(frame.sop_uid, frame.number): plane for plane, frame in enumerate(stack.frames)}
    return {
        (each.segment, planes[each.source.sop_uid, each.source.number]): each.number
        for each in segment_frames(made)
    }
