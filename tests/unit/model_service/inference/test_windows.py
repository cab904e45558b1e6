import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers.utils import sliding_window_inference

from model_service.errors import BundleError
from model_service.inference.batches import Batches
from model_service.inference.windows import slide, starts
from tests.support.engines import FakeEngine

Array = npt.NDArray[np.float32]


def network(batch: Array) -> Array:
    """Answer differently at each place of a window, so that placing and weighing show."""
    place = np.indices(batch.shape[2:], np.float32).sum(0)
    first = batch[:, 0] * 2 + place
    return np.stack([first, np.square(batch[:, 0]) * place, -first], 1)


def mean(logits: Array, weight: Array) -> Array:
    return np.asarray(logits[1] / weight, np.float32)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(3, 30), min_size=2, max_size=3),
    side=st.integers(4, 12),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.8]),
    blend=st.sampled_from(["constant", "gaussian"]),
    batch=st.integers(1, 5),
)
def test_as_monai_slides(shape: list[int], side: int, overlap: float, blend: str, batch: int) -> None:
    values = np.random.default_rng(0).random((1, *shape), np.float32)
    values[:, : shape[0] // 2] = 0.5  # windows of one value, which are computed once
    window = tuple(side + axis for axis in range(len(shape)))
    found = slide(values, window, overlap, blend, Batches(FakeEngine(network), batch), mean)
    expected = sliding_window_inference(
        torch.from_numpy(values)[None],
        window,
        3,
        lambda each: torch.from_numpy(network(each.numpy())),
        overlap,
        blend,
    )
    assert found.dtype == np.float32
    assert isinstance(expected, torch.Tensor)
    np.testing.assert_allclose(found, expected[0, 1].numpy(), rtol=1e-4, atol=1e-4)


def test_windows_cover_and_end_with_the_axis() -> None:
    for length in range(10, 60):
        found = starts(length, 10, 0.25)
        covered = {place for start in found for place in range(start, start + 10)}
        assert covered == set(range(length))
        assert found[-1] == length - 10


def test_a_window_of_one_value_is_computed_once() -> None:
    engine = FakeEngine(network)
    values = np.zeros((1, 64, 64), np.float32)
    values[0, :16, :16] = np.random.default_rng(0).random((16, 16))
    values[0, 48:] = -1
    slide(values, (16, 16), 0.0, "constant", Batches(engine, 1), mean)
    assert sum(engine.batches) == 3  # the corner, one of 0, one of -1


def test_colour_of_one_value_is_told_apart() -> None:
    engine = FakeEngine(network)
    values = np.zeros((3, 32, 16), np.float32)
    values[2, 16:] = 1
    slide(values, (16, 16), 0.0, "constant", Batches(engine, 1), mean)
    assert sum(engine.batches) == 2


def test_sums_are_not_held_for_the_whole() -> None:
    held: list[int] = []

    def watched(logits: Array, weight: Array) -> Array:
        base = logits.base
        held.append((logits if base is None else base).shape[1])
        return mean(logits, weight)

    values = np.random.default_rng(0).random((1, 100, 20, 20), np.float32)
    slide(values, (10, 20, 20), 0.5, "gaussian", Batches(FakeEngine(network), 2), watched)
    assert set(held) == {10}


def test_full_memory_changes_nothing() -> None:
    values = np.random.default_rng(0).random((1, 40, 40), np.float32)
    plenty = slide(values, (16, 16), 0.25, "gaussian", Batches(FakeEngine(network), 8), mean)
    little = slide(values, (16, 16), 0.25, "gaussian", Batches(FakeEngine(network, 1), 8), mean)
    np.testing.assert_array_equal(plenty, little)


def test_map_of_another_size_is_refused() -> None:
    engine = FakeEngine(lambda batch: batch[..., ::2])
    with pytest.raises(BundleError, match="size"):
        slide(np.zeros((1, 20, 20), np.float32), (10, 10), 0.25, "constant", Batches(engine, 1), mean)
