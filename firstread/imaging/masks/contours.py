"""Closed contours as voxels: in planes of the volume, beside them, and across them.

Contours in planes of the volume are filled pixel centre by pixel centre. Where planes of contours and slices do not
coincide, the signed distances to the outlines of the two nearest planes are interpolated (shape-based interpolation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.masks.mask import MaskError, MaskReason
from firstread.imaging.volume import Volume
from firstread.objects.raster import filled

Points = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_FLAT_MM = 0.2  # how far points of a contour may lie beside its plane
_SAME = 0.05  # of a slice; planes and slices that are nearer are one
_BRIDGE = 3.05  # usual distances between contours; across wider gaps nothing is drawn
_DIGITS = 5  # of a pixel; more are noise of the affine, which would decide about centres on an edge
_FINE = 3  # times finer than pixels; odd, so that one of the fine pixels has the same centre
_FAR_MM = 1e4
_MOST_POINTS = 200_000_000


class Between(StrEnum):
    """What lies between two planes of contours that are further apart than slices."""

    SHAPE = "shape"
    """The shape between both: signed distances are interpolated."""
    NEAREST = "nearest"
    """The shape of the nearer plane."""
    NOTHING = "nothing"
    """Nothing: each contour is as thick as a slice, or as contours are apart where that is less."""


@dataclass(frozen=True)
class _Layers:
    """Filled contours of parallel planes.

    Parameters
    ----------
    depths : numpy.ndarray
        Where the planes lie, ascending; in slices.
    shapes : numpy.ndarray
        Planes x rows x columns, bool.
    pixel_mm
        Of a row, of a column.
    thickness
        Of one contour, in the units of `depths`.
    bridge
        Widest gap across which something is drawn.
    """

    depths: Points
    shapes: Bools
    pixel_mm: tuple[float, float]
    thickness: float
    bridge: float

    def distances(self) -> npt.NDArray[np.float32]:
        """Return the signed distances to the outlines in millimetres, positive within."""
        return np.stack([_distance(each, self.pixel_mm) for each in self.shapes])

    def places(self, depths: Points, between: Between) -> Points:
        """Return at which layer depths lie, whole numbers being layers; NaN where nothing is drawn."""
        last = len(self.depths) - 1
        found = np.interp(depths, self.depths, np.arange(last + 1))
        nearest = np.rint(found)
        gaps = np.append(np.diff(self.depths), np.inf)
        gap = np.where(found < last, gaps[np.minimum(found.astype(int), last)], np.inf)
        beside = depths - self.depths[nearest.astype(int)]
        # Half open, so that layers side by side neither share a slice nor leave one out.
        is_near = (beside >= -self.thickness / 2 - 1e-6) & (beside < self.thickness / 2 - 1e-6)
        is_bridged = (depths >= self.depths[0]) & (depths <= self.depths[-1]) & (gap <= self.bridge)
        if between is Between.SHAPE:
            return np.where(is_bridged, found, np.where(is_near, nearest, np.nan))
        if between is Between.NEAREST:
            return np.where(is_bridged | is_near, nearest, np.nan)
        return np.where(is_near, nearest, np.nan)


def rasterised(
    contours: Sequence[Points], reference: Volume, between: Between = Between.SHAPE
) -> tuple[Bools, dict[str, object]]:
    """Return the voxels whose centres lie within contours.

    Parameters
    ----------
    contours
        Points x 3, millimetres (LPS). Those of one plane combine by exclusive or, so that inner ones are holes; a
        contour that comes twice counts once.
    reference
        Whose grid is taken.
    between
        What lies between planes of contours.

    Returns
    -------
    mask : numpy.ndarray
        Slices x rows x columns.
    how : dict
        ``contours``, ``duplicates``, ``planes``, ``across`` (whether planes are not those of slices), ``between``,
        ``interpolated`` slices, ``gaps`` left open.

    Raises
    ------
    MaskError
        If a contour is not planar, contours lie in several orientations, or no voxel is within.
    """
    kept = _once(contours)
    index = np.linalg.inv(reference.affine)
    places = [each @ index[:3, :3].T + index[:3, 3] for each in kept]
    flat = max(_SAME, _FLAT_MM / reference.spacing_mm[0])
    if all(np.ptp(each[:, 0]) <= flat for each in places):
        mask, how = _along(places, reference, between)
    else:
        mask, how = _across(kept, reference, between)
    if not mask.any():
        raise MaskError(MaskReason.NO_VOXELS)
    return mask, {
        "contours": len(kept),
        "duplicates": len(contours) - len(kept),
        "between": between.value,
    } | how


def _once(contours: Sequence[Points]) -> list[Points]:
    return list({np.round(each, 4).tobytes(): each for each in contours}.values())


def _along(places: list[Points], reference: Volume, between: Between) -> tuple[Bools, dict[str, object]]:
    """Return the mask of contours in planes that are parallel to slices; `places` in slices, rows, columns."""
    count, rows, columns = reference.grid
    planes = _planes([(float(each[:, 0].mean()), each[:, [2, 1]] + 0.5) for each in places], _SAME)
    depths = np.array(list(planes))
    shapes = np.stack(
        [filled([np.round(each, _DIGITS) for each in rings], (rows, columns)) for rings in planes.values()]
    )
    on_slices = bool((abs(depths - np.rint(depths)) <= _SAME).all())
    layers = _layers(depths, shapes, reference.spacing_mm[1:], 1.0 if on_slices else 0.0, 1.0)
    at = layers.places(np.arange(count, dtype=np.float64), between)
    mask = np.zeros(reference.grid, np.bool_)
    fine = _Fine(list(planes.values()), reference)
    interpolated: list[int] = []
    for number in np.flatnonzero(np.isfinite(at)).tolist():
        before = int(at[number])
        share = float(at[number] - before)
        gap = float(depths[before + 1] - depths[before]) if share else 0.0
        nearest = round(float(at[number]))
        if share * gap > _SAME and (1.0 - share) * gap > _SAME:
            one, other = (fine.distances(each) for each in (before, before + 1))
            mask[number][fine.box] = (1.0 - share) * one + share * other > 0.0
            interpolated.append(number)
        else:
            mask[number] = shapes[nearest]
            if abs(depths[nearest] - number) > 0.5 + _SAME:
                interpolated.append(number)
    return mask, _told(layers, interpolated, across=False)


def _across(contours: list[Points], reference: Volume, between: Between) -> tuple[Bools, dict[str, object]]:
    """Return the mask of contours in planes of their own: sampled from a grid of those planes."""
    from scipy.ndimage import map_coordinates

    axes = _axes(contours)
    local = [each @ axes.T for each in contours]  # depth, down, right; millimetres
    if max(np.ptp(each[:, 0]) for each in local) > 2 * _FLAT_MM:
        raise MaskError(MaskReason.SEVERAL_ORIENTATIONS)
    pixel = min(reference.spacing_mm) / 2
    low = np.min([each.min(axis=0) for each in local], axis=0)[1:] - 4 * pixel
    high = np.max([each.max(axis=0) for each in local], axis=0)[1:] + 4 * pixel
    planes = _planes(
        [(float(each[:, 0].mean()), (each[:, [2, 1]] - low[::-1]) / pixel) for each in local], _FLAT_MM
    )
    size = np.ceil((high - low) / pixel)
    if size.prod() * len(planes) > _MOST_POINTS:
        raise MaskError(MaskReason.TOO_LARGE)
    shape = int(size[0]), int(size[1])
    shapes = np.stack(
        [filled([np.round(each, _DIGITS) for each in rings], shape) for rings in planes.values()]
    )
    slab = float(
        abs(axes[0] @ reference.affine[:3, :3]).max()
    )  # how far one step in the volume goes through planes
    layers = _layers(np.array(list(planes)), shapes, (pixel, pixel), 0.0, slab)
    distances = layers.distances()
    mask = np.zeros(reference.grid, np.bool_)
    rows, columns = np.indices(reference.grid[1:], np.float64)
    steps = axes @ reference.affine[:3, :3]
    start = axes @ reference.affine[:3, 3]
    for number in range(reference.grid[0]):
        depth, down, right = (
            start[each] + steps[each, 0] * number + steps[each, 1] * rows + steps[each, 2] * columns
            for each in range(3)
        )
        at = layers.places(depth, between)
        v, u = (down - low[0]) / pixel - 0.5, (right - low[1]) / pixel - 0.5
        inside = np.isfinite(at) & (v >= 0) & (u >= 0) & (v <= shape[0] - 1) & (u <= shape[1] - 1)
        if inside.any():
            found = map_coordinates(distances, [at[inside], v[inside], u[inside]], order=1, mode="nearest")
            mask[number][inside] = found > 0.0
    return mask, _told(layers, [], across=True)


def _layers(
    depths: Points, shapes: Bools, pixel_mm: tuple[float, float], thickness: float, alone: float
) -> _Layers:
    """Return layers; `thickness` 0 for that which their distances tell, or `alone` where there is one only."""
    gaps = np.diff(depths)
    usual = float(np.median(gaps)) if len(gaps) else alone
    smallest = float(gaps.min()) if len(gaps) else alone
    return _Layers(depths, shapes, pixel_mm, thickness or smallest, _BRIDGE * usual)


def _planes(rings: list[tuple[float, Points]], same: float) -> dict[float, list[Points]]:
    """Return rings by the depth of their plane, ascending; planes nearer than `same` are one."""
    found: dict[float, list[Points]] = {}
    here = -np.inf
    for depth, ring in sorted(rings, key=lambda each: each[0]):
        if depth - here > same:
            here = depth
        found.setdefault(here, []).append(ring)
    return found


def _axes(contours: list[Points]) -> npt.NDArray[np.float64]:
    """Return unit vectors through and along the planes of contours: normal, down, right.

    Raises
    ------
    MaskError
        If the longest contour is not planar.
    """
    largest = max(contours, key=lambda each: float(np.ptp(each, axis=0).max()))
    centred = largest - largest.mean(axis=0)
    *_, directions = np.linalg.svd(centred, full_matrices=False)
    normal = directions[2]
    if np.ptp(centred @ normal) > 2 * _FLAT_MM:
        raise MaskError(MaskReason.NOT_PLANAR)
    return np.stack([normal, directions[1], directions[0]])


class _Fine:
    """Signed distances of pixel centres to outlines, of shapes that are drawn finer than pixels.

    Parameters
    ----------
    planes
        Rings of each plane; columns and rows, from the corner of the image.
    reference
        Whose pixels they are.
    """

    def __init__(self, planes: list[list[Points]], reference: Volume) -> None:
        ends = np.concatenate([each for rings in planes for each in rings])
        low = np.clip(np.floor(ends.min(axis=0)) - 2, 0, None).astype(int)
        high = np.clip(np.ceil(ends.max(axis=0)) + 2, None, reference.grid[:0:-1]).astype(int)
        high = np.maximum(high, low + 1)
        self.box = slice(low[1], high[1]), slice(low[0], high[0])
        self._low, self._size = low, (int(high[1] - low[1]) * _FINE, int(high[0] - low[0]) * _FINE)
        _, row, column = reference.spacing_mm
        self._planes, self._pixel_mm = planes, (row / _FINE, column / _FINE)
        self._kept: dict[int, npt.NDArray[np.float32]] = {}

    def distances(self, plane: int) -> npt.NDArray[np.float32]:
        """Return the distances of a plane within `box`; the last two are kept."""
        if plane not in self._kept:
            self._kept = {each: found for each, found in self._kept.items() if each == plane - 1}
            rings = [np.round((each - self._low) * _FINE, _DIGITS) for each in self._planes[plane]]
            drawn = _distance(filled(rings, self._size), self._pixel_mm)
            self._kept[plane] = drawn[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]
        return self._kept[plane]


def _distance(shape: Bools, pixel_mm: tuple[float, float]) -> npt.NDArray[np.float32]:
    from scipy.ndimage import distance_transform_edt

    if not shape.any():
        return np.full(shape.shape, -_FAR_MM, np.float32)
    half = min(pixel_mm) / 2
    padded = np.pad(shape, 1)
    inside: Any = distance_transform_edt(padded, sampling=pixel_mm)[1:-1, 1:-1]
    outside: Any = distance_transform_edt(~shape, sampling=pixel_mm)
    found: npt.NDArray[np.float32] = np.where(shape, inside - half, half - outside).astype(np.float32)
    return found


def _told(layers: _Layers, interpolated: list[int], *, across: bool) -> dict[str, object]:
    gaps = np.diff(layers.depths)
    return {
        "planes": len(layers.depths),
        "across": across,
        "interpolated": interpolated,
        "gaps": int((gaps > layers.bridge).sum()),
    }
