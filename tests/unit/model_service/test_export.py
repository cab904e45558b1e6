import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from safetensors.torch import load_file

from model_service import export
from model_service.engines.onnx_runtime import OnnxRuntimeEngine
from model_service.engines.open_vino import OpenVinoEngine
from model_service.errors import BundleError
from model_service.manifest import load_manifest
from model_service.network import load_network
from tests.support.bundles import (
    IMAGE,
    RESNET,
    UNET_2D,
    UNET_3D,
    VOLUME,
    classification,
    make_bundle,
    segmentation,
)

pytestmark = pytest.mark.slow

FREE: dict[str, Any] = {"kind": "image", "multiple_of": 4, "intensity": {"kind": "zscore"}}
DYNUNET = {
    "_target_": "DynUNet",  # knows its layers by several names
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 1,
    "kernel_size": [3, 3, 3],
    "strides": [1, 2, 2],
    "upsample_kernel_size": [2, 2],
    "filters": [4, 8, 8],
    "norm_name": "batch",
}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("b") / "classifier", RESNET, IMAGE, classification())


@pytest.mark.parametrize(
    ("network", "wanted", "output", "shape"),
    [
        (RESNET, IMAGE, classification(), (3, 1, 32, 32)),
        (UNET_2D, FREE, segmentation(), (2, 1, 36, 52)),
        (UNET_3D, VOLUME, segmentation(), (2, 1, 16, 16, 16)),
        (UNET_3D | {"norm": "instance"}, VOLUME, segmentation(), (1, 1, 16, 16, 16)),
        (DYNUNET, FREE, segmentation(1, "sigmoid"), (1, 1, 40, 32)),
    ],
)
@pytest.mark.parametrize("engine", [OnnxRuntimeEngine, OpenVinoEngine])
def test_engines_agree_with_the_network(
    tmp_path: Path,
    network: dict[str, Any],
    wanted: dict[str, Any],
    output: dict[str, Any],
    shape: tuple[int, ...],
    engine: type[OnnxRuntimeEngine] | type[OpenVinoEngine],
) -> None:
    folder = make_bundle(tmp_path / "made", network, wanted, output)
    batch = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    with torch.inference_mode():
        expected = load_network(folder, load_manifest(folder))(torch.from_numpy(batch))
    found = engine(folder / "models" / "model.onnx").run(batch)
    assert len(found) == len(expected)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one.numpy(), atol=1e-4)


def test_weights_are_in_the_repository_once(bundle: Path) -> None:
    graph = onnx.load_model(bundle / "models" / "model.onnx", load_external_data=False)
    stored = load_file(bundle / "models" / "model.safetensors")
    outside = [each for each in graph.graph.initializer if each.external_data]
    assert len(outside) == len(graph.graph.initializer)
    assert {entry.value for each in outside for entry in each.external_data if entry.key == "location"} == {
        "model.safetensors"
    }
    assert sum(each.numel() for each in stored.values()) > 1e6
    assert (bundle / "models" / "model.onnx").stat().st_size < 100_000


def test_manifest_names_the_graph_and_keeps_its_text(classifier: Path) -> None:
    manifest = load_manifest(classifier)
    assert manifest.graph is not None
    content = (classifier / manifest.graph.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == manifest.graph.sha256
    text = (classifier / "firstread.yaml").read_text(encoding="utf-8")
    (classifier / "firstread.yaml").write_text("# made by hand\n" + text, encoding="utf-8")
    assert export.main([str(classifier)]) == 0
    assert (classifier / "firstread.yaml").read_text(encoding="utf-8") == "# made by hand\n" + text
    assert not list((classifier / "models").glob(".export*"))


def test_maps_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    output = classification()
    output["overlay"] |= {"feature_layer": "layer4.0.bn1"}
    with pytest.raises(BundleError, match="add up"):
        make_bundle(tmp_path / "wrong", RESNET, IMAGE, output)
    assert not (tmp_path / "wrong" / "models" / "model.onnx").exists()


@pytest.mark.parametrize(("key", "value"), [("feature_layer", "layer9"), ("linear_layer", "layer4")])
def test_overlays_of_other_layers_are_refused(tmp_path: Path, key: str, value: str) -> None:
    output = classification()
    output["overlay"] |= {key: value}
    with pytest.raises(BundleError, match="layer"):
        make_bundle(tmp_path / "wrong", RESNET, IMAGE, output)


def test_network_that_does_not_take_the_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not take"):
        make_bundle(tmp_path / "wrong", UNET_2D, IMAGE | {"channels": 3}, segmentation())


def test_weights_of_another_network_are_refused(tmp_path: Path, classifier: Path) -> None:
    folder = make_bundle(tmp_path / "other", UNET_2D, IMAGE, segmentation(), graph=False)
    weights = (classifier / "models" / "model.safetensors").read_bytes()
    (folder / "models" / "model.safetensors").write_bytes(weights)
    with pytest.raises(BundleError, match="digest"):
        export.export_graph(folder)
    raw = yaml.safe_load((folder / "firstread.yaml").read_text(encoding="utf-8"))
    raw["weights"]["sha256"] = hashlib.sha256(weights).hexdigest()
    (folder / "firstread.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(BundleError, match="fit"):
        export.export_graph(folder)
