"""Label maps sorted into what one segmentation object can show."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from firstread.imaging.volume import SourceFrame
from firstread.objects.sources import Placing, Source, Sources
from model_service.objects.said import Said
from model_service.prediction import LabelMap, Segmented


@dataclass(frozen=True)
class Stack:
    """Frames that are segmented together.

    Parameters
    ----------
    placing
        What can be written of it.
    sources
        One multi-frame image, or single-frame images of one series, size and orientation.
    frames, labels
        What each plane of the label map (planes x rows x columns) is of, in the order of the sources' frames.
    """

    placing: Placing
    sources: tuple[Source, ...]
    frames: tuple[SourceFrame, ...]
    labels: LabelMap

    def areas(self, number: int) -> list[int]:
        """Return how many pixels of each plane belong to a segment."""
        return [int(np.count_nonzero(plane == number)) for plane in self.labels]

    @property
    def has_segmentation(self) -> bool:
        """Return whether a SEG is written of it: there is something in it, and it can be placed."""
        return self.placing in {Placing.REGISTERED, Placing.SINGLE} and bool(self.labels.any())


def stacks(said: Said, sources: Sources) -> list[Stack]:
    """Sort the label maps of a segmentation into stacks, in the order of the sources."""
    found: dict[tuple[object, ...], list[tuple[SourceFrame, LabelMap]]] = {}
    for frame, plane in _planes(said):
        found.setdefault(sources.of(frame).together, []).append((frame, plane))
    return [_stack(sources, planes) for planes in found.values()]


def _planes(said: Said) -> Iterable[tuple[SourceFrame, LabelMap]]:
    maps = [each.labels for each in said.predictions if isinstance(each, Segmented)]
    if said.volume is not None:
        return zip(said.volume.frames, maps[0], strict=True)
    return zip(said.frames, maps, strict=True)


def _stack(sources: Sources, planes: list[tuple[SourceFrame, LabelMap]]) -> Stack:
    first = sources.of(planes[0][0])
    placing = first.placing
    if first.frames > 1 and placing is Placing.REGISTERED:
        # A SEG of a multi-frame image has a plane for each of its frames, looked at or not.
        labels = np.zeros((first.frames, *first.size), dtype=np.uint8)
        for frame, plane in planes:
            labels[frame.number - 1] = plane
        frames = tuple(SourceFrame(first.sop_uid, number + 1) for number in range(first.frames))
        return Stack(placing, (first,), frames, labels)
    members = (first,) if first.frames > 1 else tuple(sources.of(frame) for frame, _ in planes)
    labels = np.stack([plane for _, plane in planes]).astype(np.uint8, copy=False)
    return Stack(placing, members, tuple(frame for frame, _ in planes), labels)
