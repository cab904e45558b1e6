import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from model_service.overlay import render_overlay


def _open(png: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert image.mode == "RGBA"
        return np.asarray(image)


def _ramp(height: int, width: int) -> npt.NDArray[np.float32]:
    return np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))


def test_small_map_keeps_its_size() -> None:
    assert _open(render_overlay(_ramp(30, 200))).shape == (30, 200, 4)


@pytest.mark.parametrize(("shape", "expected"), [((3000, 1500), (1024, 512)), ((100, 4096), (25, 1024))])
def test_large_map_is_capped(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert _open(render_overlay(_ramp(*shape))).shape[:2] == expected


def test_low_is_transparent_and_high_never_opaque() -> None:
    alpha = _open(render_overlay(_ramp(2, 256)))[0, :, 3].astype(int)
    assert (alpha[:50] == 0).all()
    assert (np.diff(alpha) >= 0).all()
    assert 100 < alpha[-1] < 200


def test_more_evidence_is_lighter() -> None:
    pixels = _open(render_overlay(_ramp(2, 256)))[0].astype(float)
    shown = pixels[pixels[:, 3] > 0]
    lightness = shown[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > -1.0).all()
    assert lightness[-1] - lightness[0] > 150


def test_values_outside_the_range_are_clipped() -> None:
    wild = np.array([[-3.0, 5.0]], np.float32)
    pixels = _open(render_overlay(wild))
    assert pixels[0, 0, 3] == 0
    assert tuple(pixels[0, 1, :3]) == (252, 255, 164)


def test_only_a_plane_can_be_drawn() -> None:
    with pytest.raises(ValueError, match="2-D"):
        render_overlay(np.zeros((2, 2, 3), np.float32))
