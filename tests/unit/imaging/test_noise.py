"""Noise of which the standard deviation is known."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstread.imaging.noise import FEWEST, noise

RNG = np.random.default_rng(5)
DISC = np.hypot(*(np.mgrid[0:256, 0:256] - 128)) < 90


def white(sigma: float) -> npt.NDArray[np.float64]:
    return RNG.normal(0.0, sigma, (256, 256))


@pytest.mark.parametrize("sigma", [1.0, 2.3, 7.0, 40.0, 900.0])
@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32])
def test_noise_on_a_disc_and_a_slope_is_found(sigma: float, kind: type) -> None:
    picture = 1000.0 * DISC + np.arange(256) * 0.5 + white(sigma)
    values = (picture if kind is np.float32 else np.rint(picture)).astype(kind)
    rounding = 0 if kind is np.float32 else 1 / 12
    assert noise(values) == pytest.approx(np.sqrt(sigma**2 + rounding), rel=0.05)


def test_large_values_do_not_wrap() -> None:
    for kind in (np.uint8, np.int16, np.uint16, np.int32, np.uint32):
        ends = np.iinfo(kind)
        values = np.where(white(1.0) > 0, ends.max, ends.min).astype(kind)
        assert noise(values) == pytest.approx(noise(values.astype(np.float64)), rel=2 / ends.max)


def test_what_is_left_out_does_not_count() -> None:
    picture = np.rint(np.where(DISC, 1000 + white(12.0), 0)).astype(np.int16)
    assert DISC.mean() < 0.5
    assert noise(picture) == 0.0
    assert noise(picture, ~DISC) == pytest.approx(12.0, rel=0.05)


def test_samples_of_colours_are_taken_together() -> None:
    picture = np.rint(np.stack([white(5.0) + 100] * 3, axis=-1)).astype(np.uint8)
    assert noise(picture) == pytest.approx(5.0, rel=0.05)


def test_where_there_is_nothing_to_tell() -> None:
    assert noise(np.full((64, 64), 7, np.int16)) == 0.0
    assert noise(np.zeros((15, 16), np.int16)) is None
    assert noise(np.zeros((16, 16), np.int16)) == 0.0
    assert FEWEST == 64
    assert noise(np.zeros((64, 64), np.int16), np.ones((64, 64), bool)) is None
    assert noise(np.zeros((1, 5000), np.int16)) is None


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.integers(-500, 500))
def test_it_scales_and_does_not_see_a_shift(factor: int, seed: int, shift: int) -> None:
    values = np.rint(np.random.default_rng(seed).normal(0, 20, (64, 64)))
    plain = noise(values)
    assert plain is not None
    assert noise(values * factor + shift) == pytest.approx(plain * factor)
