"""Segmentations of all types (PS3.3 A.51, C.8.20) as masks on a volume, by where their frames lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID, SegmentationStorage

from firstread.dicom.silence import quiet
from firstread.imaging.lookup import functional_item, numbers
from firstread.imaging.masks.mask import (
    Mask,
    MaskError,
    MaskReason,
    Masks,
    Values,
    check_place,
    chosen,
    merged,
)
from firstread.imaging.onto import onto
from firstread.imaging.pixels import PixelError, PixelReason, frame_count
from firstread.imaging.slices import SAME_DIRECTION, Matrix, Slice, slices_of
from firstread.imaging.verdict import VolumeError
from firstread.imaging.volume import Volume

LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
_ON_IT = 0.05  # of a voxel; where frames lie on those of the volume
_MULTIPLE = 0.05  # of the distance between frames
_SAME_MM = 1e-2
_MOST_VOXELS = 2_000_000_000


class SegmentationType(StrEnum):
    """Segmentation Type (0062,0001)."""

    BINARY = "BINARY"
    FRACTIONAL = "FRACTIONAL"
    LABELMAP = "LABELMAP"


@dataclass(frozen=True)
class Segment:
    """A segment.

    Parameters
    ----------
    number, name
        Segment Number, Segment Label.
    category, concept
        What it is, as ``scheme value``: segmented property category and type; "" where it is not said.
    frames
        Which frames show it; 0 first.
    """

    number: int
    name: str
    category: str = ""
    concept: str = ""
    frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class Segmented:
    """A segmentation.

    Parameters
    ----------
    dataset
        The object.
    kind
        Its type.
    segments
        Its segments, in their order.
    planes
        Where each frame lies.
    """

    dataset: Dataset
    kind: SegmentationType
    segments: tuple[Segment, ...]
    planes: tuple[Slice, ...]


def read_segmentation(dataset: Dataset) -> Segmented:
    """Read a segmentation.

    Parameters
    ----------
    dataset
        With its file meta information and pixels.

    Raises
    ------
    MaskError
        If it is none, or segments and frames do not say which is where.
    VolumeError
        If a frame does not say where it lies in the patient, as those of slide microscopy.
    """
    with quiet():
        if dataset.get("SOPClassUID") not in (SegmentationStorage, LABEL_MAP_STORAGE):
            raise MaskError(MaskReason.NOT_SEGMENTATION)
        try:
            kind = SegmentationType(str(dataset.get("SegmentationType")))
            planes = tuple(slices_of(dataset, 0, frame_count(dataset)))
            return Segmented(dataset, kind, _segments(dataset, kind, len(planes)), planes)
        except VolumeError:
            raise
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            # Sequences that are none, numbers that are none: the text would quote them.
            raise MaskError(MaskReason.BAD_SEGMENTS) from None


def segment_masks(segmented: Segmented, reference: Volume, names: Mapping[str, str] | None = None) -> Masks:
    """Return the segments of a segmentation as masks on a volume.

    Frames are put where they say that they lie, in whatever order they come; where none came, a segment is not. Frames
    that lie on those of the volume are taken over as they are; others are interpolated linearly, and a voxel is in a
    binary segment from a half on.

    Parameters
    ----------
    segmented
        As `read_segmentation` gives it.
    reference
        Whose grid is taken.
    names
        Mask -> regular expression of labels, see `chosen`; None for every segment.

    Raises
    ------
    MaskError
        If the two do not share a frame of reference, frames are not even, or an expression is none.
    PixelError
        If a frame cannot be decoded.
    """
    check_place(segmented.planes[0].frame_of_reference if segmented.planes else "", reference)
    found, absent = chosen(segmented.segments, names)
    masks: list[Mask] = []
    refused: dict[str, MaskReason] = {}
    with quiet():
        made: dict[int, tuple[Values, dict[str, object]]] = {}
        for name, segments in found.items():
            for each in segments:
                if each.number not in made:
                    made[each.number] = _mask(segmented, each, reference)
            there = [each for each in segments if made[each.number][0].any()]
            refused |= {each.name: MaskReason.NO_VOXELS for each in segments if each not in there}
            if there:
                how = {f"{each.number} {each.name}": made[each.number][1] for each in there}
                values = merged([made[each.number][0] for each in there])
                masks.append(Mask(name, values, tuple(each.name for each in there), how))
    return Masks(tuple(masks), absent, refused)


def _segments(dataset: Dataset, kind: SegmentationType, count: int) -> tuple[Segment, ...]:
    frames: dict[int, list[int]] = {}
    if kind is not SegmentationType.LABELMAP:
        for frame in range(count):
            item = functional_item(dataset, frame, "SegmentIdentificationSequence")
            frames.setdefault(int(item.ReferencedSegmentNumber), []).append(frame)
    everywhere = tuple(range(count))
    found = tuple(
        Segment(
            number=int(item.SegmentNumber),
            name=str(item.get("SegmentLabel") or ""),
            category=_code(item, "SegmentedPropertyCategoryCodeSequence"),
            concept=_code(item, "SegmentedPropertyTypeCodeSequence"),
            frames=everywhere
            if kind is SegmentationType.LABELMAP
            else tuple(frames.get(int(item.SegmentNumber), ())),
        )
        for item in dataset.SegmentSequence
        # A label map may describe its background.
        if kind is not SegmentationType.LABELMAP or int(item.SegmentNumber) != 0
    )
    known = {each.number for each in found}
    if len(known) != len(found) or not set(frames) <= known:
        raise MaskError(MaskReason.BAD_SEGMENTS)
    return found


def _code(item: Dataset, sequence: str) -> str:
    codes = item.get(sequence) or []
    return f"{codes[0].get('CodingSchemeDesignator')} {codes[0].get('CodeValue')}" if codes else ""


def _mask(segmented: Segmented, segment: Segment, reference: Volume) -> tuple[Values, dict[str, object]]:
    is_fraction = segmented.kind is SegmentationType.FRACTIONAL
    how: dict[str, object] = {"type": segmented.kind.value, "code": segment.concept}
    if is_fraction:
        how["fractional_type"] = str(segmented.dataset.get("SegmentationFractionalType") or "")
    values: Values = np.zeros(reference.grid, np.float32 if is_fraction else np.bool_)
    back: npt.NDArray[np.floating[Any]] = np.linalg.inv(reference.affine)
    starts = [_start(plane, reference, back) for plane in (segmented.planes[each] for each in segment.frames)]
    if all(each is not None for each in starts):
        for frame, start in zip(segment.frames, starts, strict=True):
            assert start is not None  # noqa: S101 - narrows the type
            _paste(values, _frame(segmented, segment, frame), start)
        return values, how | {"resampled": False}
    stacked, affine = _stacked(segmented, segment)
    values = onto(stacked, affine, reference.grid, reference.affine, 0.0)
    return values if is_fraction else values >= 0.5 - 1e-6, how | {"resampled": True}


def _start(
    plane: Slice, reference: Volume, back: npt.NDArray[np.floating[Any]]
) -> tuple[int, int, int] | None:
    """Return the slice, row and column where a frame begins in a volume; None where its pixels are not voxels of it."""
    axes = np.stack([plane.directions[1] * plane.spacing[0], plane.directions[0] * plane.spacing[1]], axis=1)
    own = reference.affine[:3, 1:3]
    drift = np.array(plane.size) * np.linalg.norm(axes - own, axis=0) / np.linalg.norm(own, axis=0)
    if drift.max() > 2 * _ON_IT:
        return None
    found = back[:3, :3] @ plane.position + back[:3, 3]
    whole = np.rint(found)
    if abs(found - whole).max() > _ON_IT:
        return None
    return int(whole[0]), int(whole[1]), int(whole[2])


def _paste(values: Values, frame: Values, start: tuple[int, int, int]) -> None:
    """Add a frame to a volume; what lies beside the volume is left out."""
    if not 0 <= start[0] < len(values):
        return
    into: list[slice] = []
    of: list[slice] = []
    for first, side, own in zip(start[1:], values.shape[1:], frame.shape, strict=True):
        low, high = max(0, first), min(side, first + own)
        if low >= high:
            return
        into.append(slice(low, high))
        of.append(slice(low - first, high - first))
    plane = values[start[0]][tuple(into)]
    np.maximum(plane, frame[tuple(of)], out=plane)


def _frame(segmented: Segmented, segment: Segment, frame: int) -> npt.NDArray[Any]:
    stored = _stored(segmented.dataset, frame)
    if segmented.kind is not SegmentationType.FRACTIONAL:
        is_label = segmented.kind is SegmentationType.LABELMAP
        shown: npt.NDArray[np.bool_] = stored == segment.number if is_label else stored != 0
        return shown
    most = numbers(segmented.dataset, "MaximumFractionalValue")
    if len(most) != 1 or most[0] <= 0:
        raise MaskError(MaskReason.BAD_SEGMENTS)
    if stored.max(initial=0) > most[0]:
        raise MaskError(MaskReason.BAD_SEGMENTS)  # more than the whole (PS3.3 C.8.20.2.3)
    return (stored / most[0]).astype(np.float32)


def _stored(dataset: Dataset, frame: int) -> npt.NDArray[Any]:
    """Return the stored values of a frame, palettes and all; rows x columns."""
    try:
        decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
        stored, _ = decoder.as_array(dataset, index=frame, raw=True, **as_pixel_options(dataset))
    except Exception:
        # Codecs raise anything on hostile bytes, and their texts quote the dataset.
        raise PixelError(PixelReason.NOT_DECODED) from None
    if stored.ndim != 2:
        raise PixelError(PixelReason.UNSUPPORTED_PHOTOMETRIC)
    return stored


def _stacked(segmented: Segmented, segment: Segment) -> tuple[Values, Matrix]:
    """Return a segment on an even grid of its own, one empty voxel wider on each side, and the grid's affine."""
    first, distance = segmented.planes[0], _distance(segmented)
    depths = np.array([(each.position - first.position) @ first.normal for each in segmented.planes])
    lowest = float(depths.min())
    places = (depths - lowest) / distance
    beside = [
        np.linalg.norm(plane.position - first.position - depth * first.normal)
        for plane, depth in zip(segmented.planes, depths, strict=True)
    ]
    turned = max(abs(each.directions - first.directions).max() for each in segmented.planes)
    sizes = {(each.size, each.spacing) for each in segmented.planes}
    if abs(places - np.rint(places)).max() > _MULTIPLE or max(beside) > _MULTIPLE * distance:
        raise MaskError(MaskReason.UNEVEN_FRAMES)
    if turned > SAME_DIRECTION or len(sizes) > 1:
        raise MaskError(MaskReason.UNEVEN_FRAMES)
    shape = (int(np.rint(places.max())) + 3, first.size[0] + 2, first.size[1] + 2)
    if np.prod(np.array(shape, np.float64)) > _MOST_VOXELS:
        raise MaskError(MaskReason.TOO_LARGE)
    values = np.zeros(shape, np.float32)
    for frame in segment.frames:
        inner = values[round(places[frame]) + 1, 1:-1, 1:-1]
        np.maximum(inner, _frame(segmented, segment, frame), out=inner, casting="unsafe")
    affine = np.eye(4)
    affine[:3, 0] = first.normal * distance
    affine[:3, 1] = first.directions[1] * first.spacing[0]
    affine[:3, 2] = first.directions[0] * first.spacing[1]
    affine[:3, 3] = first.position + lowest * first.normal - affine[:3, :3].sum(axis=1)
    return values, affine


def _distance(segmented: Segmented) -> float:
    """Return the millimetres between frames: the smallest between two, or what is told of a single one."""
    first = segmented.planes[0]
    depths = np.unique([(each.position - first.position) @ first.normal for each in segmented.planes])
    gaps = np.diff(depths)
    gaps = gaps[gaps > _SAME_MM]
    told = [_measure(segmented.dataset, keyword) for keyword in ("SpacingBetweenSlices", "SliceThickness")]
    if len(gaps):
        smallest = float(gaps.min())
        # Frames without a segment may be left out between all that came; what is told fits then, several times.
        between = told[0]
        if 0.0 < between < smallest and abs(smallest / between - round(smallest / between)) < _MULTIPLE:
            return between
        return smallest
    found = next((each for each in told if each > 0.0), 0.0)
    if not found:
        raise MaskError(MaskReason.UNEVEN_FRAMES)
    return found


def _measure(dataset: Dataset, keyword: str) -> float:
    found: Sequence[float] = numbers(functional_item(dataset, 0, "PixelMeasuresSequence"), keyword)
    return found[0] if len(found) == 1 else 0.0
