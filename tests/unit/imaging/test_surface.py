"""Surfaces are closed, face outwards and enclose what they should."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from firstread.imaging.surface import Bools, area, enclosed, inside, surface


@given(arrays(np.bool_, st.tuples(*[st.integers(1, 4)] * 3)))
def test_any_mask_has_a_closed_surface_that_faces_outwards(mask: Bools) -> None:
    triangles = surface(mask, (1.0, 1.0, 1.0))
    edges = Counter(
        (tuple(triangle[i]), tuple(triangle[(i + 1) % 3]))
        for triangle in triangles.round(6)
        for i in range(3)
    )
    assert all(edges[(end, start)] == number for (start, end), number in edges.items())
    # Each voxel inside has at least the octahedron between its neighbours, and no more than its neighbourhood.
    assert enclosed(triangles) >= mask.sum() / 6 - 1e-9
    assert enclosed(triangles) <= mask.sum() + 1e-9


def test_a_box_loses_only_its_edges() -> None:
    triangles = surface(np.ones((6, 8, 10), dtype=bool), (3.0, 2.0, 1.0))
    assert (triangles.min(axis=(0, 1)).tolist(), triangles.max(axis=(0, 1)).tolist()) == (
        [-1.5, -1.0, -0.5],
        [16.5, 15.0, 9.5],
    )
    assert enclosed(triangles) == pytest.approx(6 * 8 * 10 * 6, rel=0.06)


def test_the_area_of_a_ball_is_too_large_by_its_steps_and_no_more() -> None:
    at = np.indices((41, 41, 41)) - 20
    triangles = surface((at**2).sum(axis=0) <= 18**2, (1.0, 1.0, 1.0))
    assert enclosed(triangles) == pytest.approx(4 / 3 * math.pi * 18**3, rel=0.01)
    assert 1.0 < area(triangles) / (4 * math.pi * 18**2) < 1.1


def test_nothing_has_no_surface() -> None:
    triangles = surface(np.zeros((2, 2, 2), dtype=bool), (1.0, 1.0, 1.0))
    assert (triangles.shape, area(triangles), enclosed(triangles)) == ((0, 3, 3), 0.0, 0.0)


def test_a_fractional_mask_begins_at_one_half() -> None:
    assert inside(np.array([0.0, 0.4, 0.5, 1.0], dtype=np.float32)).tolist() == [False, False, True, True]
