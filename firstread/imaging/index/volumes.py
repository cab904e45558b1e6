"""Series as volumes, of what the index knows of their files: the same answer as `firstread.imaging.load_all` gives."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from firstread.imaging.index.record import PER_PLANE
from firstread.imaging.slices import Keys, Matrix, Slice, is_colour
from firstread.imaging.stacks import Stack, arrange
from firstread.imaging.verdict import MEND, Act, Done, Geometry, Verdict, VolumeError, VolumeReason

Row = dict[str, Any]
_LOCALIZERS = frozenset({"LOCALIZER", "SCOUT"})


def volumes_of(images: Sequence[Row], root: Path) -> list[Row]:
    """Return the volumes of a series, the one of most slices first; one row with the reason where it is refused.

    Parameters
    ----------
    images
        Rows of its instances that are images, by path.
    root
        Where they are: the pixels of two images at one place are compared.
    """
    planes: list[Slice] = []
    flat: list[Row] = []
    try:
        for source, image in enumerate(images):
            found = list(_slices(image, source))
            planes += found
            if not found:
                flat.append(image)
        if not planes:
            return [_planar(each) for each in _alike(flat)]
        stacks = arrange(planes, MEND, _Peek(images, root))
    except VolumeError as error:
        return [{"geometry": "refused", "reason": error.reason.value}]
    before = [Done(Act.SET_ASIDE, len(flat), by="ImagePositionPatient")] if flat else []
    if mosaics := len({each.source for each in planes if each.tile is not None}):
        before.append(Done(Act.MOSAIC_UNPACKED, mosaics, by="ImageType"))
    return [_volume(stack, tuple(before)) for stack in stacks]


def _slices(image: Row, source: int) -> Iterator[Slice]:
    figures = image["planes"] or ()
    if any(map(math.isnan, figures)):
        raise VolumeError(VolumeReason.NO_GEOMETRY)
    numbers = [figures[at : at + PER_PLANE] for at in range(0, len(figures), PER_PLANE)]
    is_mosaic = "MOSAIC" in (image["image_type"] or ())
    side = math.ceil(math.sqrt(len(numbers))) if is_mosaic else 1
    rows, columns = image["rows"] // side, image["columns"] // side
    for number, plane in enumerate(numbers):
        frame = 0 if is_mosaic else number
        yield Slice(
            source=source,
            frame=frame,
            sop_uid=image["sop_uid"],
            size=(rows, columns),
            position=np.array(plane[:3]),
            directions=_directions(tuple(plane[3:9])),
            spacing=(plane[9], plane[10]),
            frame_of_reference=image["frame_of_reference_uid"] or "",
            number=frame or image["instance_number"] or 0,
            is_localizer=bool(_LOCALIZERS.intersection(image["image_type"] or ())),
            tile=(number // side * rows, number % side * columns) if is_mosaic else None,
            is_colour=is_colour(image["samples_per_pixel"], image["photometric_interpretation"] or ""),
        )


@lru_cache(maxsize=64)
def _directions(cosines: tuple[float, ...]) -> Matrix:
    """Return an array that the slices of a stack share: that they are the same is seen at once."""
    return np.array(cosines).reshape(2, 3)


class _Peek:
    def __init__(self, images: Sequence[Row], root: Path) -> None:
        self._images, self._root = images, root

    def keys(self, plane: Slice) -> Keys:
        found: list[Keys] = json.loads(self._images[plane.source]["keys"])
        return found[plane.frame]

    def same(self, one: Slice, other: Slice) -> bool:
        from firstread.dicom.silence import quiet
        from firstread.imaging.reading import OnDisk
        from firstread.imaging.series import Looks

        paths = [self._root / self._images[each.source]["path"] for each in (one, other)]
        with quiet():
            try:
                return Looks(OnDisk(paths)).same(replace(one, source=0), replace(other, source=1))
            except Exception:  # what cannot be decoded is no copy; whoever loads it is told more
                return False


def _volume(stack: Stack, aside: tuple[Done, ...]) -> Row:
    done = (*aside, *stack.done)
    grid = stack.grid
    spacing = np.linalg.norm(grid.affine[:3, :3], axis=0).tolist()
    if grid.shape[0] == 1:
        spacing[0] = None  # the affine has 1 mm, as it must have something; nobody measured it
    missing = sum(each.count for each in done if each.act is Act.MISSING_INTERPOLATED)
    return {
        **_judged(Verdict(Geometry.MENDED if done else Geometry.REGULAR, done)),
        "missing_slices": missing,
        "times": len(stack.times),
        **dict(zip(("slices", "rows", "columns"), grid.shape, strict=True)),
        **dict(zip(("slice_spacing_mm", "row_spacing_mm", "column_spacing_mm"), spacing, strict=True)),
        "affine": grid.affine.ravel().tolist(),
        "sop_uids": list(dict.fromkeys(each.sop_uid for time in stack.times for each in time)),
    }


def _judged(verdict: Verdict) -> Row:
    return {"geometry": verdict.geometry.value, "verdict": json.dumps(verdict.to_json())}


def _alike(images: Sequence[Row]) -> list[list[Row]]:
    """Return images in a row of one kind, as `firstread.imaging.planar.planar` takes them together."""
    names = ("rows", "columns", "samples_per_pixel", "photometric_interpretation", "planar_spacing")
    order = sorted(images, key=lambda each: each["instance_number"] or 0)
    found = [list(group) for _, group in groupby(order, key=lambda each: [each[name] for name in names])]
    return sorted(found, key=_frames, reverse=True)


def _frames(images: Sequence[Row]) -> int:
    return sum(each["frames"] for each in images)


def _planar(images: Sequence[Row]) -> Row:
    rows, columns = images[0]["planar_spacing"] or (None, None)
    return {
        **_judged(Verdict(Geometry.PLANAR)),
        "slices": _frames(images),
        "times": 1,
        "rows": images[0]["rows"],
        "columns": images[0]["columns"],
        "row_spacing_mm": rows,
        "column_spacing_mm": columns,
        "sop_uids": [each["sop_uid"] for each in images],
    }
