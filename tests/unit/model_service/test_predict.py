import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model_service.manifest import Classification
from model_service.predict import Classifier
from model_service.preprocess import Intensity, Preprocess, content_boxes, to_batch

Image = npt.NDArray[np.float32]


def test_prediction_is_deterministic(classifier: Classifier, image: Image) -> None:
    first, second = classifier.predict(image), classifier.predict(image)
    assert (first.logit, first.probability) == (second.logit, second.probability)
    assert np.array_equal(first.activation_map, second.activation_map)


def test_activation_map_has_the_images_size_and_range(classifier: Classifier, image: Image) -> None:
    shown = classifier.predict(image).activation_map
    assert shown.shape == image.shape
    assert shown.dtype == np.float32
    assert shown.min() >= 0.0
    assert shown.max() <= 1.0


def test_raw_map_adds_up_to_the_logit(classifier: Classifier, image: Image) -> None:
    logits, maps = classifier.raw(torch.cat([to_batch(image), 1 - to_batch(image)]))
    bias = classifier.network.get_submodule("fc").bias
    assert isinstance(bias, torch.Tensor)
    assert torch.allclose(maps.mean(dim=(1, 2, 3)) + bias, logits, atol=1e-4)
    assert min(maps.shape[-2:]) >= 7


def test_probability_is_the_calibrated_logit(classifier: Classifier, image: Image) -> None:
    prediction = classifier.predict(image)
    output = classifier.manifest.output
    assert isinstance(output, Classification)
    calibration = output.calibration
    calibrated = prediction.logit / calibration.temperature + calibration.bias
    assert prediction.probability == pytest.approx(1 / (1 + np.exp(-calibrated)))


def test_flag_follows_the_operating_point(classifier: Classifier, image: Image) -> None:
    prediction = classifier.predict(image)
    output = classifier.manifest.output
    assert isinstance(output, Classification)
    threshold = output.classes[0].operating_point.threshold
    assert classifier.flagged(dataclasses.replace(prediction, probability=threshold))
    assert not classifier.flagged(dataclasses.replace(prediction, probability=threshold - 1e-6))


def test_polarity_matters(classifier: Classifier, image: Image) -> None:
    assert abs(classifier.predict(image).logit - classifier.predict(1 - image).logit) > 0.05


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_bit_depth_hardly_matters(classifier: Classifier, image: Image, bits: int) -> None:
    top = np.float32(2**bits - 1)
    stored = np.rint(image * top) / top
    assert classifier.predict(stored.astype(np.float32)).logit == pytest.approx(
        classifier.predict(image).logit, abs=0.15
    )


@pytest.mark.parametrize("exponent", [0.6, 1.6])
def test_gamma_hardly_matters(image: Image, exponent: float) -> None:
    preprocess = Preprocess(144)
    plain, changed = preprocess(to_batch(image)), preprocess(to_batch(np.power(image, np.float32(exponent))))
    assert float((plain - changed).abs().mean()) < 0.02


def test_window_matters_not_at_all_while_nothing_is_cut_off(image: Image) -> None:
    preprocess = Preprocess(144)
    narrow = (0.2 + 0.25 * image).astype(np.float32)
    assert torch.allclose(preprocess(to_batch(image)), preprocess(to_batch(narrow)), atol=2e-3)


@pytest.mark.parametrize("intensity", ["rank", "zscore"])
def test_size_hardly_matters(image: Image, intensity: str) -> None:
    preprocess = Preprocess(144, "rank" if intensity == "rank" else "zscore")
    large = np.kron(image, np.ones((3, 3), np.float32))
    difference = preprocess(to_batch(image)) - preprocess(to_batch(large))
    assert float(difference.abs().mean()) < 0.05


@pytest.mark.parametrize("intensity", ["rank", "zscore"])
def test_intensities_are_standardised(image: Image, intensity: str) -> None:
    ready = Preprocess(144, "rank" if intensity == "rank" else "zscore")(to_batch(image))
    assert float(ready.mean()) == pytest.approx(0.0, abs=1e-3)
    assert float(ready.std()) == pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_image_gives_finite_output(classifier: Classifier, value: float) -> None:
    prediction = classifier.predict(np.full((64, 48), value, np.float32))
    assert np.isfinite(prediction.logit)
    assert 0.0 <= prediction.probability <= 1.0


def test_batch_mates_do_not_influence_each_other(classifier: Classifier, image: Image) -> None:
    alone, _ = classifier.raw(to_batch(image))
    together, _ = classifier.raw(torch.cat([to_batch(image), torch.zeros(1, 1, *image.shape)]))
    assert torch.allclose(alone[0], together[0], atol=1e-4)


def test_read_only_and_reversed_arrays_are_taken(classifier: Classifier, image: Image) -> None:
    locked = image.copy()
    locked.flags.writeable = False
    assert classifier.predict(locked).logit == classifier.predict(image).logit
    assert classifier.predict(image[::-1]).activation_map.shape == image.shape


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((3, 64, 64), np.float32),
        np.zeros((64, 64), np.float64),
        np.zeros((4, 64), np.float32),
        np.full((64, 64), 2.0, np.float32),
        np.full((64, 64), -0.1, np.float32),
        np.full((64, 64), np.nan, np.float32),
    ],
)
def test_other_arrays_are_refused(classifier: Classifier, wrong: Image) -> None:
    with pytest.raises(ValueError, match="image"):
        classifier.predict(wrong)


@pytest.mark.parametrize("intensity", ["rank", "zscore", "minmax"])
def test_colour_keeps_its_hue(image: Image, intensity: Intensity) -> None:
    red = torch.cat(
        [to_batch(image), to_batch(image * np.float32(0.5)), to_batch(image * np.float32(0.5))], dim=1
    )
    ready = Preprocess(48, intensity)(red)
    assert ready.shape == (1, 3, 48, 48)
    assert bool((ready[:, 0] >= ready[:, 1] - 1e-5).all())
    assert torch.equal(ready[:, 1], ready[:, 2])


def test_minmax_is_bounded_whatever_the_outliers(image: Image) -> None:
    spotted = (0.2 * image).astype(np.float32)
    spotted[10, 10] = 1.0
    ready = Preprocess(96, "minmax", cut_frame=False)(to_batch(spotted))
    assert float(ready.min()) == -1.0
    assert float(ready.max()) == 1.0
    assert float(ready.std()) > 0.3


def test_preprocessing_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="size"):
        Preprocess(8)
    with pytest.raises(ValueError, match="intensity"):
        Preprocess(144, "clahe")  # type: ignore[arg-type]


def _framed(image: Image, level: float = 0.0) -> Image:
    height, width = image.shape
    framed = np.full((2 * height, 2 * width), level, np.float32)
    framed[height // 2 : height // 2 + height, width // 2 : width // 2 + width] = image
    return framed


def test_dark_frame_is_found(image: Image) -> None:
    plain = 0.2 + 0.8 * image
    height, width = image.shape
    (box,) = content_boxes(to_batch(_framed(plain)))
    expected = (height // 2, height // 2 + height, width // 2, width // 2 + width)
    assert all(abs(a - b) <= 2 * height / 64 for a, b in zip(box, expected, strict=True))


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_flat_image_is_kept_whole(value: float) -> None:
    assert content_boxes(torch.full((1, 1, 70, 90), value)) == [(0, 70, 0, 90)]


def test_image_is_kept_whole_where_too_little_would_remain() -> None:
    spot = torch.zeros(1, 1, 128, 128)
    spot[..., 60:70, 60:70] = 1.0
    assert content_boxes(spot) == [(0, 128, 0, 128)]


def test_dark_frame_hardly_matters(classifier: Classifier, image: Image) -> None:
    plain = (0.2 + 0.8 * image).astype(np.float32)
    ready = classifier.preprocess
    difference = ready(to_batch(plain)) - ready(to_batch(_framed(plain)))
    assert float(difference.abs().mean()) < 0.15


def test_nothing_is_drawn_on_a_dark_frame(classifier: Classifier, image: Image) -> None:
    shown = classifier.predict(_framed((0.2 + 0.8 * image).astype(np.float32))).activation_map
    edge = image.shape[0] // 4
    assert shown[:edge].max() == shown[-edge:].max() == shown[:, :edge].max() == 0.0
