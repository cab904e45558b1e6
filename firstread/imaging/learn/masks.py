"""Masks of a sample: drawn by the objects that refer to it, or made by a function."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import RTStructureSetStorage

from firstread.dicom.silence import quiet
from firstread.imaging.learn.errors import LearnError, LearnReason
from firstread.imaging.masks.mask import MaskError, MaskReason, Masks, merged
from firstread.imaging.masks.segments import read_segmentation, segment_masks
from firstread.imaging.masks.structures import read_structures, structure_masks
from firstread.imaging.prepare.subject import Mask
from firstread.imaging.volume import Volume

Maker = Callable[[Volume], Mapping[str, Mask]]
_NOTHING = frozenset({MaskReason.NO_CONTOURS, MaskReason.NO_VOXELS})


def drawn(
    volume: Volume, objects: Sequence[Path], names: Mapping[str, str], *, absent_is_empty: bool
) -> dict[str, Mask]:
    """Return masks of segmentations and structure sets; several that have a name are merged.

    Parameters
    ----------
    volume
        Whose grid is taken.
    objects
        Their files.
    names
        Mask -> regular expression of labels and ROI names, as of `firstread.imaging.masks.mask.chosen`.
    absent_is_empty
        Whether a mask that no object has is empty; else it is an error. A region without contours, or without a
        voxel of the volume, is one that the object does not have.

    Raises
    ------
    LearnError
        ``no_such_region``.
    MaskError
        If a region that was asked for makes no mask, or lies elsewhere.
    """
    parts: dict[str, list[Mask]] = {name: [] for name in names}
    for path in objects:
        found = _masks(path, volume, names)
        if refused := [each for each in found.refused.values() if each not in _NOTHING]:
            raise MaskError(refused[0])
        for mask in found.masks:
            parts[mask.name].append(mask.values >= 0.5)  # of a fractional segmentation, half and more
    if not absent_is_empty and not all(parts.values()):
        raise LearnError(LearnReason.NO_REGION)
    return {name: merged(each) if each else np.zeros(volume.grid, np.bool_) for name, each in parts.items()}


def _masks(path: Path, volume: Volume, names: Mapping[str, str]) -> Masks:
    with quiet():
        dataset = pydicom.dcmread(path)
    if dataset.get("SOPClassUID") == RTStructureSetStorage:
        return structure_masks(read_structures(dataset), volume, names)
    return segment_masks(read_segmentation(dataset), volume, names)
