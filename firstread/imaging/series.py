"""A series as volumes: read, arranged, put on an even grid, and judged."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from firstread.dicom.silence import quiet
from firstread.imaging.lookup import value_units
from firstread.imaging.mosaics import is_mosaic, tiles
from firstread.imaging.pixels import PixelError, PixelReason, frame_count
from firstread.imaging.plain import NotPlainError
from firstread.imaging.planar import planar
from firstread.imaging.reading import Images, InMemory, OnDisk, PlainFiles
from firstread.imaging.regrid import regrid
from firstread.imaging.slices import Keys, Slice, keys_of, slices_of
from firstread.imaging.stacks import Stack, arrange
from firstread.imaging.verdict import (
    MEND,
    STRICT,
    Act,
    Done,
    Geometry,
    Repairs,
    Verdict,
    VolumeError,
    VolumeReason,
)
from firstread.imaging.volume import SourceFrame, Volume
from firstread.imaging.voxels import Rescale, gather

if TYPE_CHECKING:  # plain files are read without it
    from pydicom.dataset import Dataset

Array = npt.NDArray[Any]
Source = str | PathLike[str] | Iterable[str | PathLike[str]] | Sequence["Dataset"]
"""A folder, a file, files, or data sets with their pixels: of one series."""


def load(source: Source, repairs: Repairs = MEND) -> Volume:
    """Load a series as one volume.

    Parameters
    ----------
    source
        Its folder, its files, or its data sets.
    repairs
        What may be mended; what was, `Volume.verdict` says.

    Raises
    ------
    VolumeError
        If its geometry is not that of one volume and may not be mended; `load_all` loads several.
    PixelError
        If a frame cannot be decoded.
    pydicom.errors.InvalidDicomError
        If a file is no DICOM file.
    """
    found = load_all(source, repairs)
    if len(found) > 1:
        raise VolumeError(VolumeReason.SEVERAL_VOLUMES)
    return found[0]


def load_all(source: Source, repairs: Repairs = MEND) -> tuple[Volume, ...]:
    """Load all volumes of a series, the one of most slices first.

    Parameters
    ----------
    source, repairs
        As for `load`.

    Raises
    ------
    VolumeError, PixelError, pydicom.errors.InvalidDicomError
        As `load`.
    """
    given = _given(source)
    if (paths := _paths(given)) is not None:
        try:
            return _volumes(PlainFiles(paths), repairs)
        except NotPlainError:
            pass  # pydicom reads what is written in another way
    with quiet():
        return _volumes(
            OnDisk(paths) if paths is not None else InMemory(cast("list[Dataset]", given)), repairs
        )


def load_volume(images: Sequence["Dataset"], min_slices: int = 2) -> Volume:
    """Load a series as one volume of float32 in which every voxel is one that was sent.

    Parameters
    ----------
    images
        With their file meta information and pixels, in any order.
    min_slices
        Fewer do not make a volume.

    Raises
    ------
    VolumeError
        If the geometry is not that of one evenly spaced stack in a frame of reference.
    PixelError
        If a frame cannot be decoded, or is in colour.
    """
    opened = InMemory(images)
    planes = [
        each for number, image in enumerate(images) for each in slices_of(image, number, frame_count(image))
    ]
    if len(planes) < min_slices:
        raise VolumeError(VolumeReason.TOO_FEW)
    if any(map(is_mosaic, images)):
        raise VolumeError(VolumeReason.NO_GEOMETRY)  # results name frames, and a tile is none
    if not all(each.frame_of_reference for each in planes):
        raise VolumeError(VolumeReason.NO_FRAME_OF_REFERENCE)
    if any(each.is_colour for each in planes):
        raise PixelError(PixelReason.UNSUPPORTED_PHOTOMETRIC)
    (stack,) = arrange(planes, STRICT, Looks(opened))
    found = _volume(opened, stack)
    return replace(found, values=found.values.astype(np.float32, copy=False))


class Looks:
    """Looks into the images of a series where positions do not tell.

    Parameters
    ----------
    images
        The series.
    """

    def __init__(self, images: Images) -> None:
        self._images = images

    def keys(self, plane: Slice) -> Keys:
        """Return what may tell a plane from another at the same position."""
        return keys_of(self._images.headers[plane.source], plane.frame)

    def same(self, one: Slice, other: Slice) -> bool:
        """Return whether two planes have the same pixels."""
        (first, how), (second, how_other) = (_plane(self._images, each) for each in (one, other))
        factors = (how.slope, how.intercept) == (how_other.slope, how_other.intercept)
        return factors and np.array_equal(first, second)


def _given(source: Source) -> list[Any]:
    if isinstance(source, str | PathLike):
        path = Path(source)
        return sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    return list(source)


def _paths(given: list[Any]) -> list[Path] | None:
    """Return the paths where it is these that were given; None where it is data sets."""
    if given and not any(isinstance(each, str | PathLike) for each in given):
        return None
    return [Path(each) for each in given if isinstance(each, str | PathLike)]


def _volumes(images: Images, repairs: Repairs) -> tuple[Volume, ...]:
    planes: list[Slice] = []
    flat: list[int] = []
    for number, header in enumerate(images.headers):
        try:
            found = list(slices_of(header, number, frame_count(header)))
        except VolumeError:
            flat.append(number)
            continue
        planes += chain.from_iterable(tiles(header, each) for each in found) if is_mosaic(header) else found
    if not planes:
        return planar(images)
    if flat and not repairs.set_aside:
        raise VolumeError(VolumeReason.NO_GEOMETRY)
    volumes = tuple(_volume(images, stack) for stack in arrange(planes, repairs, Looks(images)))
    before = []
    if flat:
        before.append(Done(Act.SET_ASIDE, len(flat), by="ImagePositionPatient"))
    if mosaics := len({each.source for each in planes if each.tile is not None}):
        before.append(Done(Act.MOSAIC_UNPACKED, mosaics, by="ImageType"))
    if not before:
        return volumes
    return tuple(
        replace(each, verdict=Verdict(Geometry.MENDED, (*before, *each.verdict.done))) for each in volumes
    )


def _volume(images: Images, stack: Stack) -> Volume:
    planes = [each for time in stack.times for each in time]
    first = images.headers[planes[0].source]
    if planes[0].is_colour:
        values = np.stack([_plane(images, each)[0] for each in planes])
    else:
        values = gather(planes[0].size, [partial(_plane, images, each) for each in planes])
    values = values.reshape(len(stack.times), len(stack.times[0]), *values.shape[1:])
    frames = tuple(SourceFrame(each.sop_uid, each.frame + 1) for each in planes)
    if not stack.grid.is_exact:
        outside = float(values.min())
        values, frames = np.stack([regrid(time, stack.grid, outside) for time in values]), ()
    modality = str(first.get("Modality") or "")
    return Volume(
        values=values if len(stack.times) > 1 else values[0],
        affine=stack.grid.affine,
        frames=frames,
        verdict=Verdict(Geometry.MENDED if stack.done else Geometry.REGULAR, stack.done),
        modality=modality,
        units="" if planes[0].is_colour else value_units(first, planes[0].frame),
        is_colour=planes[0].is_colour,
        frame_of_reference=planes[0].frame_of_reference,
    )


def _plane(images: Images, plane: Slice) -> tuple[Array, Rescale]:
    stored = images.stored(plane.source, plane.frame)
    if (stored.ndim == 3) != plane.is_colour:
        raise PixelError(PixelReason.UNSUPPORTED_PHOTOMETRIC)  # the header says something else
    if plane.tile is not None:
        top, left = plane.tile
        stored = stored[top : top + plane.size[0], left : left + plane.size[1]]
    return stored, Rescale(images.headers[plane.source], plane.frame)
