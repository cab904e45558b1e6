"""How a measurement group of a report refers to what it is about (PS3.16 TID 1410, 1411)."""

from highdicom import sr

from firstread.objects.outline import Polyline
from firstread.objects.sources import Source

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"


def region(
    source: Source, frame: int, outline: Polyline, kind: sr.GraphicTypeValues = sr.GraphicTypeValues.POLYLINE
) -> sr.ImageRegion:
    """Return a closed outline, or an ellipse by the ends of its axes, on a frame (1 first) of an image."""
    return sr.ImageRegion(graphic_type=kind, graphic_data=outline, source_image=image_of(source, frame))


def image_of(source: Source, frame: int) -> sr.SourceImageForRegion:
    """Return a frame (1 first) of an image, as spatial coordinates refer to it."""
    return sr.SourceImageForRegion(source.header.SOPClassUID, source.sop_uid, source.frame_numbers(frame))


def whole_segment(sop_uid: str, segment: int, source: Source) -> sr.ReferencedSegment:
    """Return a segment of a segmentation, made of the series of an image.

    `ReferencedSegment.from_segmentation` does not find the number of an only segment in the shared groups.
    """
    return sr.ReferencedSegment(
        sop_class_uid=SEGMENTATION_STORAGE,
        sop_instance_uid=sop_uid,
        segment_number=segment,
        source_series=sr.SourceSeriesForSegmentation(str(source.header.SeriesInstanceUID)),
    )


def segment_frame(
    sop_uid: str, segment: int, frame: int, source: Source, source_frame: int
) -> sr.ReferencedSegmentationFrame:
    """Return a frame of a segmentation, made of a frame of an image; numbers begin with 1."""
    found = sr.ReferencedSegmentationFrame(
        sop_class_uid=SEGMENTATION_STORAGE,
        sop_instance_uid=sop_uid,
        frame_number=frame,
        segment_number=segment,
        source_image=sr.SourceImageForSegmentation(
            source.header.SOPClassUID, source.sop_uid, source.frame_numbers(source_frame)
        ),
    )
    # A reference names either a frame or a segment (PS3.3 10.3); of a BINARY segmentation a frame says both.
    del found[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
    return found
