"""Cines whose frames all have speckle: text on few of them is found."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from firstread.deid.burned_in import TextBox
from tests.unit.deid.burned_in.making import Array, cleaned, native

ULTRASOUND = "1.2.840.10008.5.1.4.1.1.3.1"
FRAMES = 31
BOX = np.s_[40:60, 70:120]


def _speckle(colour: bool = False) -> Array:
    shape = (FRAMES, 100, 160, 3) if colour else (FRAMES, 100, 160)
    return np.random.default_rng(4).integers(10, 200, shape).astype(np.uint8)


class Shy:
    """Finds solid bright boxes, but not in its first looks: at all frames, where speckle lies over the text."""

    def __init__(self, blind: int = 2) -> None:
        self.blind, self.looks = blind, 0

    def find(self, image: npt.NDArray[np.uint8]) -> Sequence[TextBox]:
        self.looks += 1
        white = (image if image.ndim == 2 else image.max(axis=2)) > 250
        solid = sliding_window_view(white, (4, 4)).all(axis=(2, 3))
        if self.looks <= self.blind or not solid.any():
            return []
        rows, columns = np.where(solid)
        return [TextBox(int(columns.min()), int(rows.min()), int(columns.max()) + 4, int(rows.max()) + 4)]


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("written", [(12, 13, 14), (30,), (0, 17)])
def test_text_on_few_frames(written: tuple[int, ...], colour: bool) -> None:
    frames = _speckle(colour)
    for index in written:
        frames[index][BOX] = 255
    detector = Shy()
    result, counts = cleaned(native(frames, FRAMES, SOPClassUID=ULTRASOUND), detector)
    assert counts.touched == len(written)
    assert counts.looked_at == FRAMES
    for index in range(FRAMES):
        assert not (result.pixel_array[index] == 255).any()
        if index not in written:
            assert np.array_equal(result.pixel_array[index], frames[index])
