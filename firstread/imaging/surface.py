"""The surface of a mask as triangles: marching cubes at one half, the table made by rule instead of by hand."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_CORNERS = np.array([(i >> 2 & 1, i >> 1 & 1, i & 1) for i in range(8)])
# Each face as corners in a ring that turns the same way seen from outside: neighbouring faces pass their common edge in
# opposite ways, so that what leaves one face enters the next.
_FACES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


def surface(mask: Bools, spacing_mm: tuple[float, float, float]) -> Points:
    """Return the triangles around a mask, closed, their corners ordered so that normals point outwards.

    The surface passes half-way between voxel centres inside and outside (IBSI reference manual, morphological
    features: a mesh at the isovalue 0.5). Voxels that touch at an edge or corner alone stay apart.

    Parameters
    ----------
    mask : numpy.ndarray
        Slices x rows x columns.
    spacing_mm
        Distances between slices, rows and columns.

    Returns
    -------
    numpy.ndarray
        Triangles x 3 corners x 3 coordinates: millimetres along slices, rows and columns from the first voxel's centre.
    """
    padded = np.pad(mask, 1).astype(np.uint8)
    shape = tuple(side - 1 for side in padded.shape)
    kind = np.zeros(shape, dtype=np.uint8)
    for number, (z, y, x) in enumerate(_CORNERS):
        kind |= padded[z : z + shape[0], y : y + shape[1], x : x + shape[2]] << np.uint8(number)
    cells = np.argwhere((kind > 0) & (kind < 255))
    kinds = kind[tuple(cells.T)]
    found = [np.empty((0, 3, 3))]
    for each in np.unique(kinds):
        triangles = _triangles(int(each))
        found.append((cells[kinds == each][:, None, None] + triangles).reshape(-1, 3, 3))
    made: Points = (np.concatenate(found) - 1.0) * np.array(spacing_mm)
    return made


def inside(mask: npt.NDArray[Any]) -> Bools:
    """Return which voxels belong to a mask: all that are true, and of a fractional one those of one half and more."""
    found: Bools = mask if mask.dtype == np.bool_ else mask >= 0.5
    return found


def area(triangles: Points) -> float:
    """Return the area of triangles, in mm2."""
    first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return float(np.linalg.norm(np.cross(first, second), axis=1).sum() / 2)


def enclosed(triangles: Points) -> float:
    """Return the volume within a closed surface, in mm3 (the divergence theorem)."""
    return float(np.linalg.det(triangles - triangles.mean(axis=(0, 1))).sum() / 6) if len(triangles) else 0.0


@cache
def _triangles(kind: int) -> Points:
    """Return the triangles of a cube whose corners are inside by the bits of a number."""
    following: dict[tuple[int, int], tuple[int, int]] = {}
    for ring in _FACES:
        following |= _cuts(kind, ring)
    found = []
    while following:
        start, at = following.popitem()
        loop = [start]
        while at != start:
            loop.append(at)
            at = following.pop(at)
        found.append(_fan(np.array([_CORNERS[list(edge)].mean(axis=0) for edge in loop])))
    return np.concatenate(found)


def _fan(loop: Points) -> Points:
    """Return a loop as triangles about one of its points: the one that encloses most, as in IBSI's meshes."""
    fans = []
    for start in range(len(loop)):
        turned = np.roll(loop, -start, axis=0)
        fans.append(
            np.stack([np.broadcast_to(turned[0], turned[2:].shape), turned[1:-1], turned[2:]], axis=1)
        )
    return max(fans, key=lambda fan: round(float(np.linalg.det(fan - 0.5).sum()), 9))


def _cuts(kind: int, ring: tuple[int, ...]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return what cuts a face: from the edge where a run of corners inside begins to the one where it ends."""
    inside = [bool(kind >> corner & 1) for corner in ring]
    found = {}
    for end in range(4):
        if inside[end] and not inside[(end + 1) % 4]:
            begin = end
            while inside[begin - 1]:
                begin -= 1
            found[_edge(ring, begin - 1)] = _edge(ring, end)
    return found


def _edge(ring: tuple[int, ...], number: int) -> tuple[int, int]:
    one, other = ring[number % 4], ring[(number + 1) % 4]
    return min(one, other), max(one, other)
