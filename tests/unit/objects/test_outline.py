import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from firstread.objects import outline
from firstread.objects.outline import is_hole, outlines, thinned


def mask_of(text: str) -> npt.NDArray[np.bool_]:
    return np.array([[letter == "#" for letter in line] for line in text.split()])


def test_a_rectangle_has_its_corners_only() -> None:
    (points,) = outlines(mask_of("..... .###. .###. ....."))
    assert points.tolist() == [[1, 1], [4, 1], [4, 3], [1, 3], [1, 1]]
    assert not is_hole(points)


def test_a_hole_goes_the_other_way_round() -> None:
    outside, hole = outlines(mask_of("#### #..# ####"))
    assert (is_hole(outside), is_hole(hole)) == (False, True)
    assert sorted(map(tuple, hole[:-1].tolist())) == [(1, 1), (1, 2), (3, 1), (3, 2)]


def test_parts_that_touch_at_a_corner_are_apart() -> None:
    assert len(outlines(mask_of("#. .#"))) == 2


def test_the_longest_way_round_comes_first() -> None:
    first, second = outlines(mask_of("#.... ..... .####"))
    assert (first[:, 0].max(), second[:, 0].max()) == (5, 1)


def test_nothing_has_no_outline() -> None:
    assert outlines(np.zeros((3, 4), dtype=bool)) == []


def area(points: outline.Polyline) -> float:
    return float(np.sum(points[:-1, 0] * points[1:, 1] - points[1:, 0] * points[:-1, 1])) / 2


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_outlines_are_closed_and_enclose_the_mask(mask: npt.NDArray[np.bool_]) -> None:
    found = outlines(mask)
    assert all(np.array_equal(points[0], points[-1]) for points in found)
    assert sum(area(points) for points in found) == np.count_nonzero(mask)
    for points in found:
        steps = np.abs(np.diff(points, axis=0))
        assert ((steps == 0).sum(axis=1) == 1).all()  # along the edges of pixels


def test_a_long_outline_is_thinned_and_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "MAX_POINTS", 7)
    columns = np.arange(50)
    points = np.stack([np.r_[columns, 0], np.r_[columns % 2, 0]], axis=1).astype(np.float64)
    found = thinned(points)
    assert len(found) == 7
    assert np.array_equal(found[0], found[-1])
