import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from firstread.objects.outline import Mask, outlines
from firstread.objects.raster import filled

SHAPE = (40, 50)


def centres() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return rows + 0.5, columns + 0.5


def circle(x: float, y: float, radius: float, points: int = 4000) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return list(zip(x + radius * np.cos(angles), y + radius * np.sin(angles), strict=True))


def test_a_disc_is_its_centres() -> None:
    rows, columns = centres()
    # No centre lies so near to the circle that 4,000 corners would tell it apart from one.
    for x, y, radius in ((25.13, 20.27, 10.3), (24.9, 19.1, 3.77), (0.2, 0.3, 8.1), (49.0, 39.0, 12.4)):
        distance = np.hypot(columns - x, rows - y)
        assert np.abs(distance - radius).min() > 1e-4
        np.testing.assert_array_equal(filled([circle(x, y, radius)], SHAPE), distance < radius)


def test_a_ring_has_a_hole() -> None:
    rows, columns = centres()
    distance = np.hypot(columns - 25.13, rows - 20.27)
    found = filled([circle(25.13, 20.27, 14.2), circle(25.13, 20.27, 6.1)], SHAPE)
    np.testing.assert_array_equal(found, (distance < 14.2) & (distance >= 6.1))


def test_a_triangle_is_three_half_planes() -> None:
    rows, columns = centres()
    corners = [(3.3, 4.1), (44.7, 9.9), (12.2, 36.6)]
    inside = np.ones(SHAPE, dtype=bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        inside &= (bx - ax) * (rows - ay) - (by - ay) * (columns - ax) > 0
    np.testing.assert_array_equal(filled([corners], SHAPE), inside)
    np.testing.assert_array_equal(filled([corners[::-1]], SHAPE), inside)


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 0.75])
def test_neighbours_share_no_pixel(shift: float) -> None:
    left = [(2, 2), (10 + shift, 2), (10 + shift, 9), (2, 9)]
    right = [(10 + shift, 2), (20, 2), (20, 9), (10 + shift, 9)]
    one, other = filled([left], SHAPE), filled([right], SHAPE)
    assert not (one & other).any()
    assert (one | other)[2:9, 2:20].all()
    assert (one | other).sum() == 7 * 18


def test_beyond_the_image_is_cut_off() -> None:
    assert filled([[(-10, -10), (100, -10), (100, 100), (-10, 100)]], SHAPE).all()
    assert not filled([[(60, 50), (70, 50), (70, 60)]], SHAPE).any()
    assert not filled([], SHAPE).any()
    assert not filled([[(1, 1), (9, 1), (5, 1)]], SHAPE).any()


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_there_and_back(mask: Mask) -> None:
    np.testing.assert_array_equal(filled(outlines(mask), mask.shape), mask)
