"""A region as the voxels of a volume, and by which names regions are asked for."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from firstread.errors import FirstReadError
from firstread.imaging.volume import Volume

Values = npt.NDArray[Any]


class MaskReason(StrEnum):
    """Why there is no mask; never carries a value of a dataset."""

    NOT_STRUCTURES = "not_rt_structure_set"
    NOT_SEGMENTATION = "not_a_segmentation"
    ELSEWHERE = "region_elsewhere"
    NO_CONTOURS = "no_contours"
    NO_AREA = "contours_without_area"
    BAD_CONTOUR = "contour_malformed"
    NOT_PLANAR = "contour_not_planar"
    SEVERAL_ORIENTATIONS = "contours_in_several_orientations"
    NO_VOXELS = "region_without_voxels"
    BAD_SEGMENTS = "segments_malformed"
    UNEVEN_FRAMES = "segment_frames_uneven"
    TOO_LARGE = "region_too_large"
    BAD_NAMES = "names_not_understood"
    OTHER_GRID = "masks_of_another_grid"
    NO_UIDS = "images_without_uids"


class MaskError(FirstReadError):
    """An object, or a region of it, that makes no mask.

    Parameters
    ----------
    reason
        The typed reason; the only text.
    """

    def __init__(self, reason: MaskReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True)
class Mask:
    """A region on the grid of a volume.

    Parameters
    ----------
    name
        As it was asked for, or as the object has it.
    values : numpy.ndarray
        Slices x rows x columns: bool; float32 from 0 to 1 of a fractional segmentation.
    regions
        Names of the ROIs or segments that it was made of.
    how
        How it was made, for a sidecar: what was interpolated, left out, resampled.
    """

    name: str
    values: Values
    regions: tuple[str, ...] = ()
    how: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return all but the voxels as a sidecar has it."""
        return {"name": self.name, "regions": list(self.regions), "how": dict(self.how)}


@dataclass(frozen=True)
class Masks:
    """The masks of an object.

    Parameters
    ----------
    masks
        May overlap.
    absent
        Names that were asked for, and that no region has.
    refused
        Regions that make no mask, by name, with the reason.
    """

    masks: tuple[Mask, ...]
    absent: tuple[str, ...] = ()
    refused: Mapping[str, MaskReason] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Mask:
        """Return the mask of a name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for each in self.masks:
            if each.name == name:
                return each
        raise KeyError(name)

    def to_json(self) -> dict[str, object]:
        """Return all but the voxels as a sidecar has it."""
        return {
            "masks": [each.to_json() for each in self.masks],
            "absent": list(self.absent),
            "refused": {name: reason.value for name, reason in self.refused.items()},
        }


class Region(Protocol):
    """A ROI or a segment."""

    @property
    def name(self) -> str:
        """Return the name that people gave it."""

    @property
    def number(self) -> int:
        """Return its number in the object."""


AnyRegion = TypeVar("AnyRegion", bound=Region)


def chosen(
    regions: Iterable[AnyRegion], names: Mapping[str, str] | None
) -> tuple[dict[str, tuple[AnyRegion, ...]], tuple[str, ...]]:
    """Return which regions make which mask.

    Parameters
    ----------
    regions
        Those of an object.
    names
        Name of a mask -> regular expression that the whole name of a region must match, in capitals or not; several
        regions of one name are one mask, and a region may be part of several. None for each region by itself.

    Returns
    -------
    found : dict
        Name of a mask -> its regions.
    absent : tuple of str
        Names that no region has.

    Raises
    ------
    MaskError
        If an expression is none.
    """
    given = list(regions)
    if names is None:
        called = [each.name for each in given]
        return {
            each.name if called.count(each.name) == 1 else f"{each.name} #{each.number}": (each,)
            for each in given
        }, ()
    try:
        patterns = {name: re.compile(each, re.IGNORECASE) for name, each in names.items()}
    except (re.error, TypeError):
        raise MaskError(MaskReason.BAD_NAMES) from None
    found = {
        name: tuple(each for each in given if pattern.fullmatch(each.name.strip()))
        for name, pattern in patterns.items()
    }
    return {name: each for name, each in found.items() if each}, tuple(
        name for name in found if not found[name]
    )


def check_place(frame_of_reference: str, reference: Volume) -> None:
    """Refuse what does not lie in the coordinates of a volume.

    Raises
    ------
    MaskError
        If the frames of reference differ, or one is not known.
    """
    if not frame_of_reference or frame_of_reference != reference.frame_of_reference:
        raise MaskError(MaskReason.ELSEWHERE)


def merged(parts: list[Values]) -> Values:
    """Return what lies in any of several masks of one kind."""
    made = parts[0]
    for each in parts[1:]:
        made = np.maximum(made, each)
    return made
