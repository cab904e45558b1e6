"""The cheap look at one frame: what it finds, and that its first step hides nothing from its second."""

import numpy as np
import numpy.typing as npt
import pytest

from firstread.deid.burned_in import prefilter
from firstread.deid.burned_in.layout import extremes
from firstread.deid.burned_in.prefilter import may_have_text
from firstread.deid.burned_in.sheets import Sheet, sheets
from tests.unit.deid.burned_in.making import Array
from tests.unit.deid.burned_in.planting import draw

SHAPES = ((70, 9), (64, 64), (130, 203), (200, 512), (30, 40))
DTYPES = ("uint8", "int16", ">u2", "int32", "uint16")


def _noisy(seed: int, shape: tuple[int, int], dtype: str) -> Array:
    """Return noise on a slope with a faint line in it, of a kind that is now stopped, now not."""
    chance = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    frame = (
        20
        + 60 * np.sin(rows / 40) ** 2
        + columns * 0.1
        + chance.normal(0, chance.choice((1, 2, 3, 5)), shape)
    )
    draw(frame, "QUIMBY^T", (3, shape[0] // 3), 12, frame.mean() + chance.integers(4, 12))
    factor = {"uint8": 1, ">u2": 500, "uint16": 8, "int16": 300, "int32": 10**7}[dtype]
    return np.asarray((frame * factor - (30000 if dtype == "int16" else 0)).astype(dtype))


def _every_place(sheet: Sheet, scale: object) -> npt.NDArray[np.intp]:  # noqa: ARG001 - whatever the scale
    return np.arange(2 * sheet.tiles)


def test_the_first_step_hides_nothing_from_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [_noisy(seed, shape, dtype) for seed in range(8) for shape in SHAPES for dtype in DTYPES]
    found = [may_have_text(frame, turned=True) for frame in frames]
    assert len(set(found)) == 2
    monkeypatch.setattr(prefilter, "_with_strokes", _every_place)
    assert [may_have_text(frame, turned=True) for frame in frames] == found


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32", "uint16"])
def test_values_as_far_apart_as_words_allow(dtype: str) -> None:
    limits = np.iinfo(dtype)
    frame = np.full((90, 200), limits.min, dtype)
    frame[:10] = limits.max
    assert not may_have_text(frame, turned=True)
    draw(frame, "QUIMBY", (40, 30), 20, limits.max // 2)
    assert may_have_text(frame)
    assert may_have_text(frame, limits=extremes(frame))


def test_frames_larger_than_a_sheet_are_seen_to_their_last_row() -> None:
    rows, columns = np.mgrid[:1500, :1300]
    frame = (900 + 300 * np.sin(rows / 90) * np.cos(columns / 70)).astype(np.uint16)
    assert len(list(sheets(frame, 0))) > 2
    assert not may_have_text(frame, turned=True)
    for at in ((10, 1480), (1150, 700), (600, 4)):
        written = frame.copy()
        draw(written, "QUIMBY^THEODORA", at, 14, 1500)
        assert may_have_text(written)
        assert may_have_text(np.ascontiguousarray(written.T), turned=True)


@pytest.mark.parametrize("height", [100, 250])
def test_large_letters_need_the_reduced_rows(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = np.full((900, 1000), 100, np.uint8)
    draw(frame, "QUIMBY", (60, 300), height, 180)
    assert may_have_text(frame)
    monkeypatch.setattr("firstread.deid.burned_in.sheets._SCALES", ())
    assert not may_have_text(frame)


@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (1, 60), (60, 1), (3, 2)])
def test_frames_with_no_room_for_letters(shape: tuple[int, int]) -> None:
    frame = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)
    assert not may_have_text(frame, turned=True)


def _slope() -> Array:
    return np.asarray(np.mgrid[:120, :320][0] * 8 + 100, dtype=np.uint16)


@pytest.mark.parametrize("sign", [1, -1])
def test_strokes_of_either_sign_and_no_other(sign: int) -> None:
    frame = _slope()
    assert not may_have_text(frame)
    frame[40:60, 100:160:7] += np.uint16(0xFFFF & sign * 90)
    assert may_have_text(frame)


def test_a_line_fainter_than_one_row_can_tell() -> None:
    frame = _slope()
    line = draw(frame.copy(), "QUIMBY^THEODORA", (60, 40), 16, 900)
    frame[line.ink] += 50
    assert may_have_text(frame)
