from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_service.inference.images import Area, prepare_image
from model_service.manifest import ImageInput
from model_service.preprocess import Intensity, Preprocess, to_batch

Image = npt.NDArray[np.float32]


def wanted(**more: object) -> ImageInput:
    return ImageInput.model_validate({"kind": "image", "intensity": {"kind": "unchanged"}} | more)


def scene(rows: int, columns: int, seed: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    coarse = rng.random((9, 9), np.float32)
    fine = np.kron(coarse, np.ones((rows // 9 + 1, columns // 9 + 1), np.float32))[:rows, :columns]
    return np.asarray(0.7 * fine + 0.3 * rng.random((rows, columns), np.float32), np.float32)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(8, 300),
    columns=st.integers(8, 300),
    margin=st.integers(0, 60),
    intensity=st.sampled_from(["rank", "zscore", "minmax"]),
    cut=st.booleans(),
)
def test_twin_of_training(rows: int, columns: int, margin: int, intensity: Intensity, cut: bool) -> None:
    image = np.pad(0.2 + 0.8 * scene(rows, columns), margin)
    twin = Preprocess(48, intensity, cut)
    percentiles = {"lower_percentile": 1, "upper_percentile": 99, "to_low": -1, "to_high": 1}
    settings = {"kind": intensity} | (percentiles if intensity == "minmax" else {})
    found = prepare_image(image, wanted(size=[48, 48], cut_frame=cut, intensity=settings))
    (box,) = twin.boxes(to_batch(image))
    assert tuple(found.used) == tuple(box)
    off = abs(found.values - twin(to_batch(image))[0].numpy())
    # A value at the border of two of the 16384 bins of a rank may fall into the other.
    assert (off > 1e-4).mean() < (0.05 if intensity == "rank" else 0.0001)
    assert off.mean() < 1e-4


@pytest.mark.parametrize("shape", [(40, 80), (80, 40), (33, 33), (200, 31)])
def test_letterbox_keeps_the_aspect_and_centres(shape: tuple[int, int]) -> None:
    found = prepare_image(1 - 0.5 * scene(*shape), wanted(size=[64, 64], fit="letterbox"))
    assert found.values.shape == (1, 64, 64)
    rows, columns = found.content.size
    assert max(rows, columns) == 64
    assert rows / columns == pytest.approx(shape[0] / shape[1], rel=0.1)
    assert abs(found.content.top - (64 - found.content.bottom)) <= 1
    outside = np.ones((64, 64), bool)
    outside[found.content.top : found.content.bottom, found.content.left : found.content.right] = False
    assert not found.values[0][outside].any()
    assert found.values[0][~outside].all()


def test_multiple_is_padded_at_the_end() -> None:
    found = prepare_image(scene(30, 41), wanted(multiple_of=16))
    assert found.values.shape == (1, 32, 48)
    assert found.content == Area(0, 30, 0, 41)


def test_colour_has_three_planes() -> None:
    image = np.stack([scene(50, 40, seed) for seed in range(3)], -1)
    found = prepare_image(image, wanted(channels=3, size=[50, 40]))
    np.testing.assert_array_equal(found.values, np.moveaxis(image, -1, 0))


@pytest.mark.parametrize("intensity", ["rank", "zscore"])
def test_twin_of_training_in_colour(intensity: Intensity) -> None:
    image = np.stack([scene(50, 70, seed) * np.float32(0.5 + seed / 4) for seed in range(3)], -1).clip(0, 1)
    twin = Preprocess(48, intensity, cut_frame=False)
    found = prepare_image(image, wanted(channels=3, size=[48, 48], intensity={"kind": intensity}))
    expected = twin(torch.from_numpy(np.moveaxis(image, -1, 0).copy())[None])[0].numpy()
    off = abs(found.values - expected)
    assert (off > 1e-4).mean() < (0.05 if intensity == "rank" else 0.0001)
    assert off.mean() < 1e-4


def test_colour_channels_by_themselves() -> None:
    image = np.stack([scene(50, 40, seed) * np.float32((seed + 1) / 3) for seed in range(3)], -1)
    by_itself = {"kind": "zscore", "channel_wise": True}
    found = prepare_image(image, wanted(channels=3, intensity=by_itself)).values
    np.testing.assert_allclose(found.mean((1, 2)), 0, atol=1e-5)
    together = prepare_image(image, wanted(channels=3, intensity={"kind": "zscore"})).values
    assert together.mean() == pytest.approx(0, abs=1e-5)
    assert abs(together.mean((1, 2))).max() > 0.5


@pytest.mark.parametrize("content", ["squash", "letterbox"])
@pytest.mark.parametrize("frame", [0, 40])
def test_labels_come_back_to_where_they_were(content: str, frame: int) -> None:
    image = np.zeros((180, 120), np.float32)
    image[60:120, 30:60] = 0.6
    image = np.pad(image + 0.3, frame)
    found = prepare_image(image, wanted(size=[96, 96], fit=content, cut_frame=frame > 0))
    labels = (found.values[0] > 0.7).astype(np.uint8)
    back = found.labels_back(labels)
    assert back.shape == image.shape
    truth = image > 0.7
    assert (back & truth).sum() / (back | truth).sum() > 0.93


def test_areas_come_back_to_where_they_were() -> None:
    image = np.pad(np.full((100, 200), 0.5, np.float32), 50)
    image[90:110, 130:170] = 1.0
    found = prepare_image(image, wanted(size=[64, 64], fit="letterbox", cut_frame=True))
    rows, columns = np.nonzero(found.values[0] > 0.75)
    area = Area(int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1)
    back = found.area_back(area, (64, 64))
    assert np.allclose(back, (90, 110, 130, 170), atol=4)
    whole = found.area_back(Area(0, 64, 0, 64), (64, 64))
    assert whole == found.used


def test_percentiles_are_cut_before_the_statistics() -> None:
    image = scene(40, 40)
    image[0, 0] = 1.0
    image[1:, 1:] *= 0.5
    found = prepare_image(image, wanted(intensity={"kind": "zscore", "upper_percentile": 95})).values
    assert (found == found.max()).sum() >= 0.04 * found.size


@pytest.mark.parametrize(
    ("intensity", "expected"),
    [
        ({"kind": "range", "low": 0.25, "high": 0.75}, [0.0, 0.0, 0.5, 1.0, 1.0]),
        ({"kind": "range", "low": 0.25, "high": 0.75, "clip": False}, [-0.5, 0.0, 0.5, 1.0, 1.5]),
        ({"kind": "range", "low": 0, "high": 1, "to_low": -1}, [-1.0, -0.5, 0.0, 0.5, 1.0]),
        ({"kind": "minmax", "to_high": 2}, [0.0, 0.5, 1.0, 1.5, 2.0]),
        ({"kind": "minmax", "lower_percentile": 25, "upper_percentile": 75}, [0.0, 0.0, 0.5, 1.0, 1.0]),
        ({"kind": "unchanged"}, [0.0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_ranges(intensity: dict[str, object], expected: list[float]) -> None:
    image = np.tile(np.linspace(0, 1, 5, dtype=np.float32), (10, 2))
    found = prepare_image(image, wanted(intensity=intensity)).values
    np.testing.assert_allclose(found[0, 0, :5], expected, atol=1e-6)


def test_zero_stays_zero() -> None:
    image = np.pad(0.5 + 0.5 * scene(20, 20), 10)
    found = prepare_image(image, wanted(intensity={"kind": "zscore", "nonzero": True})).values[0]
    assert not found[:10].any()
    assert found[10:30, 10:30].mean() == pytest.approx(0, abs=1e-5)
    assert found[10:30, 10:30].std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["rank", "zscore", "minmax", "unchanged"])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_images_stay_finite(kind: str, value: float) -> None:
    image = np.full((20, 30), value, np.float32)
    found = prepare_image(image, wanted(size=[16, 16], cut_frame=True, intensity={"kind": kind}))
    assert np.isfinite(found.values).all()
    assert found.used == Area(0, 20, 0, 30)


@pytest.mark.parametrize(
    ("image", "more"),
    [
        (np.zeros((3, 64, 64), np.float32), {}),
        (np.zeros((64, 64), np.float64), {}),
        (np.zeros((4, 64), np.float32), {}),
        (np.full((64, 64), 2.0, np.float32), {}),
        (np.full((64, 64), -0.1, np.float32), {}),
        (np.full((64, 64), np.nan, np.float32), {}),
        (np.full((64, 64), np.inf, np.float32), {"values": "modality"}),
        (np.zeros((64, 64), np.float32), {"channels": 3}),
        (np.zeros((64, 64, 4), np.float32), {"channels": 3}),
    ],
)
def test_other_arrays_are_refused(image: Image, more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="image"):
        prepare_image(image, wanted(**more))


def test_units_of_the_modality_are_taken() -> None:
    image = np.full((20, 20), -1000, np.float32)
    assert prepare_image(image, wanted(values="modality")).values.min() == -1000


def test_read_only_and_reversed_arrays_are_taken() -> None:
    image = scene(40, 30)
    locked = image.copy()
    locked.flags.writeable = False
    one = prepare_image(locked, wanted(size=[32, 32]))
    other = prepare_image(image[::-1][::-1], wanted(size=[32, 32]))
    np.testing.assert_array_equal(one.values, other.values)
