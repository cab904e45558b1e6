"""DICOM Segmentations (PS3.3 A.51) of what a reader has drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from pydicom.sr.codedict import codes

from firstread.imaging.volume import SourceFrame
from firstread.objects.raster import filled
from firstread.objects.segments import SegmentFrame, segment_frames
from firstread.objects.sources import Placing, Source
from firstread.objects.written import RESEARCH_USE, Written, coded
from firstread.result import ObjectKind
from firstread.review import DrawnRegion, ReviewedFinding
from portal.objects.signed import Signed, person_name, tracking_id

_Masks = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class DrawnSegmentation:
    """A segmentation object, and which finding each of its frames shows.

    Parameters
    ----------
    written
        The file.
    findings
        Finding of each segment, in the order of their numbers.
    frames
        What each frame shows.
    """

    written: Written
    findings: tuple[str, ...]
    frames: tuple[SegmentFrame, ...]

    def frames_of(self, finding_id: str) -> list[SegmentFrame]:
        """Return the frames that show a finding."""
        return [each for each in self.frames if self.findings[each.segment - 1] == finding_id]


def segmentations(signed: Signed) -> list[DrawnSegmentation]:
    """Return the segmentations of all regions that can be written as one.

    Images of one series, size and orientation go into one object, a multi-frame image and an image without a frame of
    reference into one each, with a segment per finding. Several frames without a frame of reference, and CT, MR and PET
    without one, cannot be written; their outlines are in the report.
    """
    drawn: dict[tuple[object, ...], dict[str, list[DrawnRegion]]] = {}
    for finding in signed.review.findings:
        for each in finding.regions:
            source = signed.sources.by_uid(each.sop_uid)
            if source.placing in (Placing.REGISTERED, Placing.SINGLE):
                drawn.setdefault(source.together, {}).setdefault(finding.finding_id, []).append(each)
    found: list[DrawnSegmentation] = []
    for regions in drawn.values():
        made = _segmentation(signed, regions, len(found) + 1)
        if made is not None:
            found.append(made)
    return found


def mask_of(
    regions: Sequence[DrawnRegion], frame: SourceFrame, size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return the pixels of a frame (rows x columns) that any of the regions covers."""
    mask = np.zeros(size, dtype=np.bool_)
    for each in regions:
        if (each.sop_uid, each.frame) == (frame.sop_uid, frame.number):
            rings = [[(point.x, point.y) for point in ring] for ring in (each.outline, *each.holes)]
            mask |= filled(rings, size)
    return mask


def _segmentation(
    signed: Signed, regions: dict[str, list[DrawnRegion]], number: int
) -> DrawnSegmentation | None:
    uids = {each.sop_uid for some in regions.values() for each in some}
    sources = [source for source in signed.sources if source.sop_uid in uids]
    frames = [
        SourceFrame(source.sop_uid, frame) for source in sources for frame in range(1, source.frames + 1)
    ]
    masks = _masks(regions, frames, sources[0].size)
    kept = [index for index in range(masks.shape[3]) if masks[..., index].any()]
    if not kept:
        return None  # between the centres of pixels
    findings = [each for each in signed.review.findings if each.finding_id in regions]
    by_id = {each.finding_id: each for each in findings}
    names = [name for index, name in enumerate(regions) if index in kept]
    made = Segmentation(
        source_images=[source.header for source in sources],
        pixel_array=masks[..., kept],
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _description(signed, by_id[name], segment) for segment, name in enumerate(names, start=1)
        ],
        content_label="REVIEWED_REGIONS",
        content_description=f"{RESEARCH_USE}: drawn by the reader",
        content_creator_name=person_name(signed.review.author),
        **signed.arguments(ObjectKind.SEGMENTATION, number),
    )
    _complete(made, sources[0])
    written = signed.written(ObjectKind.SEGMENTATION, made, number)
    return DrawnSegmentation(written, tuple(names), tuple(segment_frames(made)))


def _masks(
    regions: dict[str, list[DrawnRegion]], frames: Sequence[SourceFrame], size: tuple[int, int]
) -> _Masks:
    """Return frames x rows x columns x findings."""
    planes = [[mask_of(some, frame, size) for some in regions.values()] for frame in frames]
    return np.ascontiguousarray(np.moveaxis(np.array(planes, dtype=np.uint8), 1, 3))


def _complete(made: Segmentation, source: Source) -> None:
    if source.placing is Placing.SINGLE:
        # Required of an image without a position (PS3.3 C.7.6.1.1.1); highdicom leaves it out.
        made.PatientOrientation = source.header.get("PatientOrientation")


def _description(signed: Signed, finding: ReviewedFinding, number: int) -> SegmentDescription:
    return SegmentDescription(
        segment_number=number,
        segment_label=finding.code.meaning[:64],
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=coded(finding.code),
        algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
        tracking_uid=finding.finding_id,
        tracking_id=tracking_id(signed.review.number, finding.code.meaning),
        anatomic_regions=[coded(finding.site)] if finding.site else None,
    )
