import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import yaml

from firstread.environment import InferenceSettings
from model_service.errors import BundleError
from model_service.inference import load_model
from model_service.inference.images import prepare_image
from model_service.manifest import ImageInput
from model_service.predict import Classifier
from model_service.prediction import Classified, Model
from tests.support.bundles import IMAGE, RESNET, classification, make_bundle

Image = npt.NDArray[np.float32]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "torch-cpu"])
def test_engines_say_what_training_said(
    bundle: Path, classifier: Classifier, image: Image, engine: str
) -> None:
    framed = np.pad(0.2 + 0.8 * image, 40)
    inputs = [image, framed.astype(np.float32), image[::2, ::2], np.kron(image, np.ones((4, 4), np.float32))]
    settings = InferenceSettings(inference_engine=engine, inference_threads=1)
    model: Model = load_model(bundle, settings=settings)
    assert (model.engine.name, model.engine.precision) == (engine, "fp32")
    for found, each in zip(model.predict(inputs), inputs, strict=True):
        expected = classifier.predict(np.ascontiguousarray(each))
        assert isinstance(found, Classified)
        assert found.probabilities == pytest.approx([expected.probability], abs=1e-5)
        (shown,) = found.maps
        assert shown.dtype == np.float32
        np.testing.assert_allclose(shown, expected.activation_map, atol=1e-4)


def test_logits_agree_to_a_ten_thousandth(bundle: Path, classifier: Classifier, image: Image) -> None:
    model = load_model(bundle, settings=InferenceSettings(inference_engine="onnxruntime"))
    (found,) = model.predict([image])
    assert isinstance(found, Classified)
    (probability,) = found.probabilities
    calibration = classifier.manifest.output.calibration  # type: ignore[union-attr]
    logit = calibration.temperature * (np.log(probability / (1 - probability)) - calibration.bias)
    assert logit == pytest.approx(classifier.predict(image).logit, abs=1e-4)


_NO_TORCH = """
import json, sys
from pathlib import Path
import numpy as np
from model_service.inference import load_model
from model_service.inference.images import prepare_image
from model_service.manifest import ImageInput
model = load_model(Path(sys.argv[1]))
model.predict([np.linspace(0, 1, 40000, dtype=np.float32).reshape(200, 200)])
print(json.dumps({"engine": model.engine.name, "modules": sorted(sys.modules)}))
"""


def test_cpu_path_imports_neither_torch_nor_monai(bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _NO_TORCH, bundle], capture_output=True, check=True, text=True
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["engine"] in ("onnxruntime", "openvino")
    assert not {"torch", "monai", "onnx", "matplotlib"} & {each.partition(".")[0] for each in said["modules"]}


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / bundle.name))


def _edit(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    file = folder / "firstread.yaml"
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(raw)
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx"])
def test_changed_files_are_refused(copy: Path, name: str) -> None:
    file = copy / "models" / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match="digest"):
        load_model(copy)
    file.unlink()
    with pytest.raises(BundleError, match="no such file"):
        load_model(copy)


def test_bundle_without_a_graph_needs_torch(copy: Path, image: Image) -> None:
    _edit(copy, lambda raw: raw.pop("graph"))
    with pytest.raises(BundleError, match="no graph"):
        load_model(copy)
    model = load_model(copy, settings=InferenceSettings(inference_engine="torch-cpu", inference_threads=1))
    assert len(model.predict([image])) == 1


def test_precision_that_no_engine_has_is_refused(bundle: Path) -> None:
    settings = InferenceSettings(inference_engine="onnxruntime", inference_precision="bf16")
    with pytest.raises(BundleError, match="precision"):
        load_model(bundle, settings=settings)


def test_settings_come_from_the_environment(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FIRSTREAD_INFERENCE_ENGINE", "openvino")
    assert load_model(bundle).engine.name == "openvino"
    monkeypatch.setenv("FIRSTREAD_INFERENCE_ENGINE", "auto")
    monkeypatch.setenv("FIRSTREAD_ENGINE_CACHE_DIR", str(tmp_path / "engines"))
    chosen = load_model(bundle).engine.name
    (remembered,) = (tmp_path / "engines").iterdir()
    assert json.loads(remembered.read_text(encoding="utf-8"))["engine"] == chosen


def test_size_is_that_of_the_weights_at_least(bundle: Path) -> None:
    model = load_model(bundle, settings=InferenceSettings(inference_engine="onnxruntime"))
    assert model.size_bytes >= 2 * model.manifest.weights.bytes
    assert len(model.bundle_sha256) == 64


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_classes_are_in_the_order_of_the_manifest(tmp_path: Path, image: Image, activation: str) -> None:
    folder = make_bundle(tmp_path / "made", RESNET, IMAGE, classification(activation))
    model = load_model(folder, settings=InferenceSettings(inference_engine="onnxruntime"))
    (found,) = model.predict([image])
    assert isinstance(found, Classified)
    assert len(found.maps) == 2
    (logits, _) = model.engine.run(_prepared(model, image))
    scaled = torch.from_numpy(logits[0]).double() / 1.5
    expected = torch.sigmoid(scaled + 0.25) if activation == "sigmoid" else torch.softmax(scaled, 0)
    assert found.probabilities == pytest.approx(expected.flip(0).tolist())


def _prepared(model: Model, image: Image) -> Image:
    assert isinstance(model.manifest.input, ImageInput)
    return prepare_image(image, model.manifest.input).values[None]
