"""Which frame of a segmentation object shows what."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from firstread.imaging.volume import SourceFrame


@dataclass(frozen=True)
class SegmentFrame:
    """A frame of a segmentation.

    Parameters
    ----------
    number
        Its frame number, 1 first.
    segment
        The segment that it shows.
    source
        The frame of an image that it was made of.
    """

    number: int
    segment: int
    source: SourceFrame


def segment_frames(segmentation: Dataset) -> Iterator[SegmentFrame]:
    """Yield the frames of a BINARY segmentation that names the source of each frame."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    for number, group in enumerate(segmentation.PerFrameFunctionalGroupsSequence, start=1):
        # With one segment, highdicom names it in the shared groups.
        named = group if "SegmentIdentificationSequence" in group else shared
        segment = int(named.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        frame = int(source.get("ReferencedFrameNumber") or 1)
        yield SegmentFrame(number, segment, SourceFrame(str(source.ReferencedSOPInstanceUID), frame))
