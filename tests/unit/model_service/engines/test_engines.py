from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException
from torch import nn

from model_service.engines.onnx_runtime import OnnxRuntimeEngine
from model_service.engines.open_vino import OpenVinoEngine, can_compute
from model_service.engines.torch_engine import TorchEngine
from model_service.manifest import load_manifest
from model_service.network import load_network
from tests.support.bundles import IMAGE, RESNET, UNET_3D, VOLUME, classification, make_bundle, segmentation

BATCH = np.random.default_rng(0).standard_normal((2, 1, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("b") / "classifier", RESNET, IMAGE, classification())


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("b") / "volumes", UNET_3D, VOLUME, segmentation())


def torch_engine(folder: Path, precision: str = "fp32", device: str = "cpu") -> TorchEngine:
    return TorchEngine(load_network(folder, load_manifest(folder)), device, precision)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_torch_answers_in_fp32_whatever_it_computes_in(classifier: Path, precision: str) -> None:
    reference = OnnxRuntimeEngine(classifier / "models" / "model.onnx").run(BATCH)
    engine = torch_engine(classifier, precision)
    assert (engine.name, engine.precision) == ("torch-cpu", precision)
    locked = BATCH.copy()
    locked.flags.writeable = False
    for found, expected in zip(engine.run(locked), reference, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-4 if precision == "fp32" else 0.1)
        assert precision == "fp32" or abs(found - expected).max() > 1e-5


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_torch_takes_windows_of_volumes(volumes: Path, precision: str) -> None:
    batch = np.random.default_rng(0).standard_normal((2, 1, 16, 16, 16)).astype(np.float32)
    (expected,) = OnnxRuntimeEngine(volumes / "models" / "model.onnx").run(batch)
    (found,) = torch_engine(volumes, precision).run(batch)
    np.testing.assert_allclose(found, expected, atol=1e-4 if precision == "fp32" else 0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_torch_on_a_gpu(classifier: Path, precision: str) -> None:
    reference = OnnxRuntimeEngine(classifier / "models" / "model.onnx").run(BATCH)
    for found, expected in zip(
        torch_engine(classifier, precision, "cuda").run(BATCH), reference, strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=5e-3 if precision == "fp32" else 0.1)


class Failing(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, _batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
    ],
)
def test_full_memory_of_torch(error: Exception) -> None:
    with pytest.raises(MemoryError):
        TorchEngine(Failing(error), "cpu", "fp32").run(BATCH)


def test_other_errors_of_torch_stay() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        TorchEngine(Failing(RuntimeError("shape")), "cpu", "fp32").run(BATCH)


class _Raises:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *_: object, **__: object) -> Any:  # noqa: ANN401
        raise self.error


@pytest.mark.parametrize(
    ("text", "kind"),
    [("Failed to allocate memory for requested buffer", MemoryError), ("bad shape", RuntimeException)],
)
def test_full_memory_of_onnx_runtime(classifier: Path, text: str, kind: type[Exception]) -> None:
    engine = OnnxRuntimeEngine(classifier / "models" / "model.onnx")
    engine._session = type("Session", (), {"run": _Raises(RuntimeException(text))})()
    with pytest.raises(kind):
        engine.run(BATCH)


@pytest.mark.parametrize(("text", "kind"), [("std::bad_alloc", MemoryError), ("bad shape", RuntimeError)])
def test_full_memory_of_openvino(classifier: Path, text: str, kind: type[Exception]) -> None:
    engine = OpenVinoEngine(classifier / "models" / "model.onnx")
    engine._request = type("Request", (), {"infer": _Raises(RuntimeError(text))})()
    with pytest.raises(kind):
        engine.run(BATCH)


def test_openvino_computes_in_the_precision_that_is_set(classifier: Path) -> None:
    assert can_compute("fp32")
    engine = OpenVinoEngine(classifier / "models" / "model.onnx", precision="fp32")
    compiled = engine._request.get_compiled_model()
    assert str(compiled.get_property("INFERENCE_PRECISION_HINT")) == "<Type: 'float32'>"


def test_outputs_stay_when_the_engine_runs_again(classifier: Path) -> None:
    for engine in (
        OnnxRuntimeEngine(classifier / "models" / "model.onnx"),
        OpenVinoEngine(classifier / "models" / "model.onnx"),
        torch_engine(classifier),
    ):
        first = engine.run(BATCH)
        before = [each.copy() for each in first]
        engine.run(BATCH * 2)
        for one, other in zip(first, before, strict=True):
            np.testing.assert_array_equal(one, other)
