"""The outline of a mask as closed polylines along the edges of its pixels."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Polyline = npt.NDArray[np.float64]
"""Points x (column, row), first and last the same; the top left corner of the image is 0, 0 (PS3.3 C.18.6.1.2)."""

MAX_POINTS = 5000
"""Points of an outline that is written; SCOORD has no limit, but its value representation does (64 kB)."""

_Point = tuple[int, int]
_Step = tuple[int, int]


def outlines(mask: Mask) -> list[Polyline]:
    """Return the outlines of the parts of a mask, the one with the longest way round first.

    The mask lies to the right of the way. Holes have outlines of their own, the other way round. Parts that touch at
    a corner only are outlined apart.
    """
    edges = _edges(mask)
    found = []
    while edges:
        found.append(_walk(edges, next(iter(edges))))
    found.sort(key=_length, reverse=True)
    return [np.array(points, dtype=np.float64) for points in found]


def is_hole(points: Polyline) -> bool:
    """Return whether an outline goes round a hole."""
    columns, rows = points[:, 0], points[:, 1]
    return float(np.sum(columns[:-1] * rows[1:] - columns[1:] * rows[:-1])) < 0


def thinned(points: Polyline) -> Polyline:
    """Return at most `MAX_POINTS` points of an outline, evenly spread, still closed."""
    if len(points) <= MAX_POINTS:
        return points
    kept: Polyline = points[np.linspace(0, len(points) - 1, MAX_POINTS).astype(int)]
    return kept


def _edges(mask: Mask) -> dict[_Point, list[_Point]]:
    """Return the edges between mask and background as (column, row) -> next points, the mask to the right."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    found: dict[_Point, list[_Point]] = {}

    def add(where: Mask, begin: _Step, end: _Step) -> None:
        rows, columns = np.nonzero(where)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            found.setdefault((column + begin[0], row + begin[1]), []).append((column + end[0], row + end[1]))

    add(inside & ~padded[:-2, 1:-1], (0, 0), (1, 0))
    add(inside & ~padded[1:-1, 2:], (1, 0), (1, 1))
    add(inside & ~padded[2:, 1:-1], (1, 1), (0, 1))
    add(inside & ~padded[1:-1, :-2], (0, 1), (0, 0))
    return found


def _walk(edges: dict[_Point, list[_Point]], start: _Point) -> list[_Point]:
    points = [start]
    here, step = start, (0, 0)
    while True:
        there = _next(edges, here, step)
        new = there[0] - here[0], there[1] - here[1]
        if new == step:
            points.pop()  # straight on: only corners are kept
        points.append(there)
        here, step = there, new
        if here == start:
            return points


def _next(edges: dict[_Point, list[_Point]], here: _Point, step: _Step) -> _Point:
    choices = edges[here]
    # Two ways lead on where two parts touch at a corner: a turn to the right stays with the part one came along.
    right = here[0] - step[1], here[1] + step[0]
    there = right if right in choices else choices[0]
    choices.remove(there)
    if not choices:
        del edges[here]
    return there


def _length(points: list[_Point]) -> int:
    return sum(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairwise(points))
