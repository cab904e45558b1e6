"""Which slices of a series make which stacks, and what has to be mended; geometry alone, no pixels.

The rules are those of the Image Plane Module (PS3.3 C.7.6.2.1.1): a slice lies where Image Position (Patient) says,
never where Instance Number, Slice Location or Spacing Between Slices would have it.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from firstread.imaging.even import Grid, even
from firstread.imaging.slices import SAME_DIRECTION, Keys, Matrix, Slice
from firstread.imaging.verdict import Act, Done, Repairs, VolumeError, VolumeReason

_SAME_SPACING = 1e-3  # relative
_SAME_PLACE_MM = 0.02
_FEW = 3  # images in another orientation that are set aside from many
_FEW_OF = 0.1


class Peek(Protocol):
    """What is asked of images only where positions alone do not tell."""

    def keys(self, plane: Slice) -> Keys:
        """Return what may tell a plane from another at the same position."""

    def same(self, one: Slice, other: Slice) -> bool:
        """Return whether two planes have the same pixels."""


@dataclass(frozen=True)
class Stack:
    """Slices that make one volume.

    Parameters
    ----------
    times : tuple of tuple of Slice
        Times x positions, in the order of the normal; one time for a volume of three dimensions.
    grid
        The even grid that they are on, or are brought onto.
    done
        What was mended, or is to be by `grid`.
    """

    times: tuple[tuple[Slice, ...], ...]
    grid: Grid
    done: tuple[Done, ...] = ()


def arrange(slices: Sequence[Slice], repairs: Repairs, peek: Peek) -> tuple[Stack, ...]:
    """Return the stacks of a series, the one of most slices first.

    Parameters
    ----------
    slices
        Of one series, in any order.
    repairs
        What may be mended.
    peek
        Looks into images.

    Raises
    ------
    VolumeError
        If something is wrong that may not, or cannot, be mended.
    """
    groups, aside = _groups(slices, repairs)
    done = [Done(Act.SET_ASIDE, aside, by=_by(groups, slices))] if aside else []
    if len(groups) > 1:
        done.append(Done(Act.SPLIT, len(groups), by=_difference(groups[0][0], groups[1][0])[0]))
    return tuple(stack for group in groups for stack in _stacks(group, repairs, peek, done))


def _groups(slices: Sequence[Slice], repairs: Repairs) -> tuple[list[list[Slice]], int]:
    """Return slices that could make a stack together, and how many were set aside."""
    images = [each for each in slices if not each.is_localizer] if repairs.set_aside else list(slices)
    images = images or list(slices)
    groups: list[list[Slice]] = []
    for each in images:
        group = next((group for group in groups if not _difference(group[0], each)), None)
        if group is None:
            groups.append([each])
        else:
            group.append(each)
    groups.sort(key=len, reverse=True)
    if len(groups) > 1 and not repairs.split:
        raise VolumeError(_REASONS[_difference(groups[0][0], groups[1][0])[0]])
    kept = groups
    if repairs.set_aside:
        few = max(_FEW, int(_FEW_OF * len(groups[0])))
        kept = [group for group in groups if len(group) > few or len(groups[0]) <= 2 * few]
    return kept, len(slices) - sum(map(len, kept))


def _by(groups: list[list[Slice]], slices: Iterable[Slice]) -> str:
    """Return what told the images that were set aside from the others."""
    kept = {id(each) for group in groups for each in group}
    left = next(each for each in slices if id(each) not in kept)
    return "ImageType" if left.is_localizer else (*_difference(groups[0][0], left), "ImageType")[0]


_REASONS = {
    "FrameOfReferenceUID": VolumeReason.DIFFERENT_FRAMES_OF_REFERENCE,
    "Rows": VolumeReason.DIFFERENT_SIZES,
    "PixelSpacing": VolumeReason.DIFFERENT_SIZES,
    "ImageOrientationPatient": VolumeReason.DIFFERENT_ORIENTATIONS,
    "PhotometricInterpretation": VolumeReason.SEVERAL_VOLUMES,
}


def _difference(one: Slice, other: Slice) -> tuple[str, ...]:
    """Return why two slices are not of one stack, as keywords; () where nothing speaks against it."""
    found = {
        "FrameOfReferenceUID": one.frame_of_reference != other.frame_of_reference,
        "Rows": one.size != other.size,
        "PixelSpacing": any(
            abs(mine - its) > _SAME_SPACING * its
            for mine, its in zip(one.spacing, other.spacing, strict=True)
        ),
        "ImageOrientationPatient": one.directions is not other.directions
        and abs(one.directions - other.directions).max() > SAME_DIRECTION,
        "PhotometricInterpretation": one.is_colour != other.is_colour,
    }
    return tuple(keyword for keyword, differs in found.items() if differs)


def _stacks(group: list[Slice], repairs: Repairs, peek: Peek, done: Sequence[Done]) -> list[Stack]:
    normal = group[0].normal
    places = _places(group, normal)
    if all(len(place) == 1 for place in places):
        return [_stack([[place[0] for place in places]], normal, repairs, done)]
    if repairs.split and (found := _in_time(places, peek)):
        keyword, times = found
        done = [*done, Done(Act.SPLIT_IN_TIME, len(times), by=keyword)]
        return [_stack(times, normal, repairs, done)]
    if repairs.duplicates:
        places, dropped = _without_copies(places, peek)
        done = [*done, Done(Act.DUPLICATES_DROPPED, dropped)] if dropped else done
    if all(len(place) == 1 for place in places):
        return [_stack([[place[0] for place in places]], normal, repairs, done)]
    if repairs.split:
        return _several(places, normal, repairs, peek, done)
    raise VolumeError(VolumeReason.SAME_POSITION)


def _places(group: list[Slice], normal: Matrix) -> list[list[Slice]]:
    """Return the slices by position, in the order of the normal; those at one position by their number."""
    ordered = sorted(group, key=lambda each: float(each.position @ normal))
    places: list[list[Slice]] = []
    for each in ordered:
        if places and (each.position - places[-1][0].position) @ normal < _SAME_PLACE_MM:
            if np.linalg.norm(each.position - places[-1][0].position) > _SAME_PLACE_MM:
                raise VolumeError(VolumeReason.SAME_POSITION)  # side by side in one plane
            places[-1].append(each)
        else:
            places.append([each])
    for place in places:
        place.sort(key=lambda each: (each.number, each.source, each.frame))
    return places


def _in_time(places: list[list[Slice]], peek: Peek) -> tuple[str, list[list[Slice]]] | None:
    """Return what makes a stack of four dimensions of slices, and its times; None where nothing does."""
    count = len(places[0])
    if count < 2 or any(len(place) != count for place in places):
        return None
    keys = [[peek.keys(each) for each in place] for place in places]
    for keyword in keys[0][0]:
        values = [[each.get(keyword) for each in place] for place in keys]
        order = _order(values[0])
        if order is not None and all(_order(each) == order for each in values):
            by_value = [dict(zip(row, place, strict=True)) for row, place in zip(values, places, strict=True)]
            return keyword, [[place[value] for place in by_value] for value in order]
    if any(peek.same(place[0], each) for place in places for each in place[1:]):
        return None
    # Nothing but their numbers tells them apart, and each position has as many: they came one time after the other.
    return "InstanceNumber", [[place[time] for place in places] for time in range(count)]


def _order(values: Sequence[float | str | None]) -> list[float | str] | None:
    """Return values in their order, where all are there and no two are the same."""
    found = [each for each in values if each is not None]
    if len(set(found)) != len(values):
        return None
    figures = [each for each in found if isinstance(each, float)]
    return sorted(figures) if len(figures) == len(found) else sorted(found, key=str)


def _without_copies(places: list[list[Slice]], peek: Peek) -> tuple[list[list[Slice]], int]:
    kept: list[list[Slice]] = []
    for place in places:
        own: list[Slice] = []
        for each in place:
            if not any(peek.same(one, each) for one in own):
                own.append(each)
        kept.append(own)
    return kept, sum(map(len, places)) - sum(map(len, kept))


def _several(
    places: list[list[Slice]], normal: Matrix, repairs: Repairs, peek: Peek, done: Sequence[Done]
) -> list[Stack]:
    """Return a stack for each value of the first key that leaves one image at each position.

    Raises
    ------
    VolumeError
        If there is no such key: nobody can say which of two images is meant.
    """
    planes = [each for place in places for each in place]
    keys = {id(each): peek.keys(each) for each in planes}
    for keyword in keys[id(planes[0])]:
        values = [keys[id(each)].get(keyword, "") for each in planes]
        parts = [
            [each for each, value in zip(planes, values, strict=True) if value == one]
            for one in sorted(set(values), key=str)
        ]
        if min(map(len, parts)) < 2 or not all(_apart(part, normal) for part in parts):
            continue
        told = [*done, Done(Act.SPLIT, len(parts), by=keyword)]
        return sorted(
            (_stack([part], normal, repairs, told) for part in parts),
            key=lambda each: len(each.times[0]),
            reverse=True,
        )
    raise VolumeError(VolumeReason.SAME_POSITION)


def _apart(part: list[Slice], normal: Matrix) -> bool:
    distances = sorted(float(each.position @ normal) for each in part)
    return all(after - before >= _SAME_PLACE_MM for before, after in itertools.pairwise(distances))


def _stack(times: list[list[Slice]], normal: Matrix, repairs: Repairs, done: Sequence[Done]) -> Stack:
    grid, mended = even(times[0], normal, repairs)
    return Stack(tuple(map(tuple, times)), grid, (*done, *mended))
