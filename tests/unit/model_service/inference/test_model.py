from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.inferers.utils import sliding_window_inference

from firstread.environment import InferenceSettings
from firstread.imaging.volume import Volume
from model_service.errors import BundleError, ModelMemoryError
from model_service.inference import load_model
from model_service.inference.model import LoadedModel
from model_service.inference.volumes import prepare_volume
from model_service.manifest import BundleManifest, VolumeInput, load_manifest
from model_service.network import load_network
from model_service.prediction import Classified, Detected, Model, Segmented
from tests.support.bundles import (
    CALIBRATION,
    UNET_2D,
    UNET_3D,
    VOLUME,
    classification,
    detection,
    make_bundle,
    segmentation,
)
from tests.support.engines import FakeEngine

Array = npt.NDArray[np.float32]
ORT = InferenceSettings(inference_engine="onnxruntime", inference_threads=1)
PLAIN: dict[str, Any] = {"kind": "image", "intensity": {"kind": "unchanged"}}


def model_of(
    engine: FakeEngine, wanted: dict[str, Any], output: dict[str, Any], batch: int = 4
) -> LoadedModel:
    """Make a model of a fake engine."""
    raw = {
        "name": "fake",
        "version": "1.0.0",
        "title": "fake",
        "research_use_only": True,
        "intended_use": "tests",
        "routing": {"modalities": ["MR"]} | ({"series": {}} if wanted["kind"] == "volume" else {}),
        "input": wanted,
        "output": output,
        "weights": {"file": "models/model.safetensors", "sha256": "0" * 64, "bytes": 1},
        "data": {"source": "none", "licence": "none"},
    }
    return LoadedModel(BundleManifest.model_validate(raw), "0" * 64, engine, 1, batch)


def identity(batch: Array) -> Array:
    return batch


def two_channels(batch: Array) -> Array:
    """Answer background and one segment: what is brighter than a half."""
    return np.concatenate([np.full_like(batch, 0.5), batch], 1)


def blobs(*boxes: tuple[int, int, int, int, float], shape: tuple[int, int] = (40, 60)) -> Array:
    image = np.zeros(shape, np.float32)
    for top, bottom, left, right, value in boxes:
        image[top:bottom, left:right] = value
    return image


def labels(model: LoadedModel | Model, value: Array | Volume) -> npt.NDArray[np.uint8]:
    (found,) = model.predict([value])
    assert isinstance(found, Segmented)
    assert found.labels.dtype == np.uint8
    return found.labels


def test_images_of_one_shape_share_batches_and_come_back_in_order() -> None:
    engine = FakeEngine(two_channels)
    model = model_of(engine, PLAIN, segmentation(1))
    inputs = [blobs((0, 10 + index, 0, 5, 1.0), shape=(40, 40 + 20 * (index % 2))) for index in range(10)]
    found = model.predict(inputs)
    assert sorted(engine.batches) == [1, 1, 4, 4]
    for each, image in zip(found, inputs, strict=True):
        assert isinstance(each, Segmented)
        np.testing.assert_array_equal(each.labels, image > 0.5)
    assert model.predict([]) == []


@pytest.mark.parametrize("holds", [1, 3])
def test_full_memory_halves_the_batch(holds: int) -> None:
    engine = FakeEngine(two_channels, holds)
    found = model_of(engine, PLAIN, segmentation(1), 8).predict([blobs((0, 9, 0, 9, 1.0))] * 8)
    assert len(found) == 8
    assert max(engine.batches) <= holds
    with pytest.raises(ModelMemoryError):
        model_of(FakeEngine(two_channels, 0), PLAIN, segmentation(1)).predict([blobs()])


@pytest.mark.parametrize("window", [None, [16, 24]])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_segmentation_of_an_image(window: list[int] | None, activation: str) -> None:
    image = blobs((4, 30, 7, 40, 0.9), (12, 20, 20, 30, 0.2))
    function = two_channels if activation == "softmax" else lambda batch: 4 * batch - 2
    model = model_of(FakeEngine(function), PLAIN | {"window": window}, segmentation(1, activation))
    np.testing.assert_array_equal(labels(model, image), image > 0.5)


def test_sigmoid_takes_its_threshold_and_the_likelier_segment() -> None:
    image = blobs((0, 10, 0, 10, 1.0), (10, 20, 0, 10, 0.5))
    logits = {1.0: (1.0, 2.0), 0.5: (2.0, 1.0), 0.0: (-1.0, 0.3)}

    def network(batch: Array) -> Array:
        out = np.zeros((len(batch), 2, *batch.shape[2:]), np.float32)
        for value, pair in logits.items():
            for channel in (0, 1):
                out[:, channel][batch[:, 0] == value] = pair[channel]
        return out

    at = segmentation(2, "sigmoid", threshold=0.6)
    found = labels(model_of(FakeEngine(network), PLAIN, at), image)
    assert (found[:10, :10] == 2).all()
    assert (found[10:20, :10] == 1).all()
    assert not found[20:].any()  # 0.3 is 0.57, below 0.6
    lower = labels(model_of(FakeEngine(network), PLAIN, segmentation(2, "sigmoid")), image)
    assert (lower[20:] == 2).all()


def test_only_the_largest_part_is_kept() -> None:
    image = blobs((0, 10, 0, 10, 1.0), (20, 25, 20, 25, 1.0))
    found = labels(model_of(FakeEngine(two_channels), PLAIN, segmentation(1, keep_largest=True)), image)
    assert found[:10, :10].all()
    assert not found[20:].any()
    assert not labels(
        model_of(FakeEngine(two_channels), PLAIN, segmentation(1, keep_largest=True)), blobs()
    ).any()


def boxes(model: LoadedModel, image: Array) -> Detected:
    (found,) = model.predict([image])
    assert isinstance(found, Detected)
    return found


def logit_map(batch: Array) -> Array:
    return 12 * batch - 6


@pytest.mark.parametrize("window", [None, [32, 32]])
def test_detection_finds_connected_parts(window: list[int] | None) -> None:
    image = blobs((5, 10, 10, 20, 0.8), (20, 30, 40, 50, 0.9), (24, 26, 44, 46, 1.0), (35, 36, 0, 1, 0.9))
    model = model_of(
        FakeEngine(logit_map), PLAIN | {"window": window}, detection(min_pixels=2, candidate_threshold=0.6)
    )
    found = boxes(model, image)
    places = [(each.top, each.bottom, each.left, each.right) for each in found.boxes]
    assert places == [(20, 30, 40, 50), (5, 10, 10, 20)]
    expected = [1 / (1 + np.exp(-((12 * value - 6) / 1.5 + 0.25))) for value in (1.0, 0.8)]
    assert [each.probability for each in found.boxes] == pytest.approx(expected, abs=1e-6)
    assert found.highest == pytest.approx(expected[0], abs=1e-6)


def test_detection_on_a_coarse_map_of_a_letterbox() -> None:
    image = blobs((16, 24, 40, 48, 1.0), shape=(40, 80))

    def coarse(batch: Array) -> Array:
        cells = batch.reshape(len(batch), 1, 16, 4, 16, 4).mean((3, 5))
        return np.where(batch[:, :, ::4, ::4] == 0, 9, 12 * cells - 6).astype(np.float32)  # padding shouts

    wanted = PLAIN | {
        "size": [64, 64],
        "fit": "letterbox",
        "intensity": {"kind": "range", "low": -1, "high": 1},
    }
    found = boxes(model_of(FakeEngine(coarse), wanted, detection(candidate_threshold=0.7)), image)
    assert all(each.top >= 0 and each.bottom <= 40 for each in found.boxes)
    best = found.boxes[0]
    assert abs(best.top - 16) <= 5 and abs(best.bottom - 24) <= 5
    assert abs(best.left - 40) <= 5 and abs(best.right - 48) <= 5
    assert found.highest < 0.99


def test_detection_keeps_the_highest_and_may_find_nothing() -> None:
    image = blobs(*[(4 * n, 4 * n + 2, 0, 2, 0.6 + 0.04 * n) for n in range(9)])
    found = boxes(model_of(FakeEngine(logit_map), PLAIN, detection(max_boxes=3)), image)
    assert [each.top for each in found.boxes] == [32, 28, 24]
    nothing = boxes(model_of(FakeEngine(logit_map), PLAIN, detection()), blobs())
    assert nothing.boxes == ()
    assert nothing.highest == pytest.approx(1 / (1 + np.exp(4 - 0.25)), abs=1e-6)


def test_recognition_is_a_softmax() -> None:
    kinds = [
        {"channel": channel, "label": str(channel), "modalities": ["CT"], "body_parts": ["HEAD"]}
        for channel in (2, 0)
    ]
    output = {"task": "recognition", "calibration": CALIBRATION, "classes": kinds, "unknown_below": 0.5}
    engine = FakeEngine(lambda batch: np.tile(np.array([1, 2, 3], np.float32), (len(batch), 1)))
    (found,) = model_of(engine, PLAIN, output).predict([blobs()])
    assert isinstance(found, Classified)
    raised = np.exp(np.array([1, 2, 3]) / 1.5)
    assert found.probabilities == pytest.approx([raised[2] / raised.sum(), raised[0] / raised.sum()])
    assert found.maps == ()


@pytest.mark.parametrize(
    ("function", "output", "more"),
    [
        (identity, segmentation(1), {}),
        (identity, segmentation(2, "sigmoid"), {}),
        (identity, classification(overlay=False), {}),
        (lambda batch: batch[:, :, ::2], segmentation(1, "sigmoid"), {}),
        (lambda batch: batch[:, 0, 0, :1], classification(overlay=False), {}),
        (lambda batch: batch[:, 0, 0, :1], detection(), {}),
        (identity, detection(channel=1), {}),
        (identity, classification(overlay=False), {"window": [16, 16]}),
    ],
)
def test_networks_that_give_something_else_are_refused(
    function: Callable[[Array], Array], output: dict[str, Any], more: dict[str, Any]
) -> None:
    with pytest.raises(BundleError):
        model_of(FakeEngine(function), PLAIN | more, output).predict([blobs()])


def test_images_are_no_volumes() -> None:
    volume = Volume(np.zeros((4, 4, 4), np.float32), np.eye(4), ())
    with pytest.raises(ValueError, match="images"):
        model_of(FakeEngine(identity), PLAIN, segmentation(1)).predict([volume])
    with pytest.raises(ValueError, match="volumes"):
        model_of(FakeEngine(identity), VOLUME, segmentation(1)).predict([blobs()])


AFFINE = np.array([[0, 0, 1.0, 5], [0, 1.2, 0, 6], [2.0, 0, 0, 7], [0, 0, 0, 1]])


def head(shape: tuple[int, int, int] = (20, 30, 34)) -> Volume:
    values = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    values[:, :8] = 0.0
    return Volume(values, AFFINE, ())


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("more", [{}, {"spacing_mm": [1.5, 1.5, 1.5], "overlap": 0.5}, {"blend": "constant"}])
def test_volume_as_monai_segments_it(tmp_path: Path, more: dict[str, Any], activation: str) -> None:
    segments = 2 if activation == "softmax" else 3
    folder = make_bundle(tmp_path / "made", UNET_3D, VOLUME | more, segmentation(segments, activation))
    manifest = load_manifest(folder)
    wanted = manifest.input
    assert isinstance(wanted, VolumeInput)
    prepared = prepare_volume(head(), wanted)
    with torch.inference_mode():
        logits = sliding_window_inference(
            torch.from_numpy(prepared.values)[None],
            (16, 16, 16),
            4,
            lambda batch: load_network(folder, manifest)(batch)[0],
            wanted.overlap,
            wanted.blend,
        )[0]
    if activation == "softmax":
        expected = logits.argmax(0)
    else:
        largest = logits.max(0)
        expected = torch.where(largest.values >= 0, largest.indices + 1, 0)
    back = prepared.labels_back(expected.numpy().astype(np.uint8))
    found = labels(load_model(folder, settings=ORT), head())
    assert found.shape == head().values.shape
    assert (found != back).mean() < 1e-4
    assert len(np.unique(found)) > 1


def test_whole_volume_is_padded_to_the_multiple(tmp_path: Path) -> None:
    wanted = {"kind": "volume", "multiple_of": 8, "intensity": {"kind": "zscore"}}
    folder = make_bundle(tmp_path / "made", UNET_3D, wanted, segmentation())
    model = load_model(folder, settings=ORT)
    volume = Volume(head().values[:9, :10, :17], AFFINE, ())
    prepared = prepare_volume(volume, model.manifest.input)  # type: ignore[arg-type]
    padded = np.pad(prepared.values, [(0, 0), *((0, -side % 8) for side in prepared.values.shape[1:])])
    (logits,) = model.engine.run(padded[None])
    kept = logits[0].argmax(0)[tuple(slice(side) for side in prepared.values.shape[1:])].astype(np.uint8)
    np.testing.assert_array_equal(labels(model, volume), prepared.labels_back(kept))


def test_colour_image_by_windows(tmp_path: Path) -> None:
    wanted = {
        "kind": "image",
        "channels": 3,
        "size": [64, 64],
        "fit": "letterbox",
        "window": [32, 32],
        "intensity": {"kind": "zscore", "channel_wise": True},
    }
    network = UNET_2D | {"in_channels": 3, "out_channels": 1}
    folder = make_bundle(tmp_path / "made", network, wanted, segmentation(1, "sigmoid"))
    image = np.random.default_rng(2).random((50, 90, 3), np.float32)
    for engine in ("onnxruntime", "openvino"):
        settings = InferenceSettings(inference_engine=engine, inference_threads=1)
        found = labels(load_model(folder, settings=settings), image)
        assert found.shape == (50, 90)
        assert 0 < found.mean() < 1
