"""The allow-list, boxes, tiles, palettes and the prefilter."""

from itertools import pairwise

import numpy as np
import pytest

from firstread.deid.burned_in import TextBox
from firstread.deid.burned_in.allowed import is_allowed
from firstread.deid.burned_in.boxes import merged
from firstread.deid.burned_in.prefilter import may_have_text
from firstread.deid.burned_in.rapid import RapidTextDetector, _positions
from tests.unit.deid.burned_in.making import image
from tests.unit.deid.burned_in.planting import draw


def _box(text: str, width: int = 0, height: int = 20) -> TextBox:
    return TextBox(10, 10, 10 + (width or max(12, 12 * len(text))), 10 + height, text)


@pytest.mark.parametrize(
    "text",
    ["L", "R", "PORTABLE", "Erect", "SUPINE", "120 kV", "120kVp 200 mAs", "5.0 mm", "3,5 mm", "AP SUPINE"],
)
def test_allowed(text: str) -> None:
    assert is_allowed(_box(text)) is ("," not in text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Lee",
        "L QUIMBY",
        "RIGHT, MARY",
        "12345 mm",
        "19620503",
        "42",
        "M",
        "F",
        "64Y",
        "12:30",
        "mm",
        "Port",
        "Ⅼ",
    ],
)
def test_not_allowed(text: str) -> None:
    assert not is_allowed(_box(text))


def test_a_box_too_large_for_its_text_may_hold_more() -> None:
    assert not is_allowed(_box("L", width=90))
    assert not is_allowed(_box("L", width=12, height=60))


def test_no_repr_shows_a_text() -> None:
    assert "QUIMBY" not in repr(_box("QUIMBY"))


def test_boxes_at_one_place_are_joined_and_must_agree() -> None:
    same = [TextBox(0, 0, 20, 10, "L"), TextBox(1, 1, 21, 11, "L"), TextBox(50, 0, 60, 10, "R")]
    assert {(box.left, box.right, box.text) for box in merged(same)} == {(0, 21, "L"), (50, 60, "R")}
    assert [box.text for box in merged([TextBox(0, 0, 20, 10, "L"), TextBox(0, 0, 21, 10, "LI")])] == [""]


def test_a_margin_stays_inside_the_image() -> None:
    grown = TextBox(3, 1, 9, 9, "L").grown(4, 3, (10, 12), step=2)
    assert (grown.left, grown.top, grown.right, grown.bottom, grown.text) == (0, 0, 12, 10, "")


@pytest.mark.parametrize("length", [10, 1280, 1281, 2400, 2401, 5000])
def test_tiles_cover_a_side_and_share_their_borders(length: int) -> None:
    starts, size = _positions(length, 1280, 160)
    assert size <= 1280
    assert starts[0] == 0
    assert starts[-1] + size == length
    assert all(later - sooner <= size - 160 + 1 for sooner, later in pairwise(starts))


def test_tiles_must_be_larger_than_what_they_share() -> None:
    with pytest.raises(ValueError, match="less than a tile"):
        RapidTextDetector(tile=100, overlap=100)


@pytest.mark.parametrize("size", [9, 12, 16, 24, 40])
@pytest.mark.parametrize("step", [30, 60, 200])
def test_prefilter_lets_text_through(size: int, step: int) -> None:
    frame = image((300, 600), top=14)
    draw(frame, "QUIMBY^THEODORA", (20, 100), size, 12 + step)
    assert may_have_text(frame)
    assert may_have_text(np.ascontiguousarray(frame.T), turned=True)
    assert may_have_text(255 - frame)
    assert may_have_text(frame.astype(">i2") * 100 - 12000)


def test_prefilter_stops_what_is_smooth() -> None:
    rows, columns = np.mgrid[:200, :200]
    frame = (120 + 100 * np.sin(rows / 30) * np.cos(columns / 40)).astype(np.uint8)
    assert not may_have_text(frame)
    assert not may_have_text(np.zeros((4, 4), np.uint8))


def test_prefilter_sees_a_mask_of_two_values() -> None:
    mask = np.zeros((200, 300), np.uint8)
    assert not may_have_text(mask)
    draw(mask, "QUIMBY^THEODORA", (20, 100), 16, 1)
    assert may_have_text(mask)


@pytest.mark.parametrize("size", [36, 60, 90])
def test_prefilter_sees_large_letters_in_large_images(size: int) -> None:
    rows, columns = np.mgrid[:1500, :1600]
    frame = (900 + 400 * np.sin(rows / 90) * np.cos(columns / 120)).astype(np.uint16)
    assert not may_have_text(frame)
    draw(frame, "QUIMBY", (200, 600), size, 2000, "DejaVuSans.ttf")
    assert may_have_text(frame)
