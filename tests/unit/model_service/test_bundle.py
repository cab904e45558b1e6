import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError
from safetensors import safe_open

from model_service.bundle import BundleError, build_network, network_definition, read_inference_config
from model_service.manifest import BundleManifest, Classification, ImageInput, load_manifest
from model_service.predict import Classifier
from model_service.training import card


def test_weights_are_those_of_the_manifest(bundle: Path) -> None:
    weights = load_manifest(bundle).weights
    content = (bundle / weights.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == weights.sha256
    assert len(content) == weights.bytes <= 12_000_000


def test_weights_hold_finite_float_tensors_only(bundle: Path) -> None:
    with safe_open(bundle / load_manifest(bundle).weights.file, "np") as file:
        assert all(np.isfinite(file.get_tensor(key)).all() for key in file.keys())


def test_bundle_has_no_pickle(bundle: Path) -> None:
    suffixes = {path.suffix for path in bundle.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".yaml", ".safetensors", ".md", ".csv", ".svg", ".onnx", ""}


def test_frozen_split_is_the_one_of_the_manifest(bundle: Path) -> None:
    text = (bundle / "docs" / "split.csv").read_bytes()
    assert hashlib.sha256(text).hexdigest() == load_manifest(bundle).data.split_sha256


def test_metadata_has_what_the_monai_schema_requires(bundle: Path) -> None:
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    required = {
        "schema",
        "version",
        "changelog",
        "monai_version",
        "pytorch_version",
        "numpy_version",
        "task",
        "description",
        "authors",
        "copyright",
        "network_data_format",
    }
    assert required <= metadata.keys()
    assert metadata["version"] == load_manifest(bundle).version
    assert metadata["version"] in metadata["changelog"]
    assert "Research use only" in metadata["intended_use"]
    for side in ("inputs", "outputs"):
        for tensor in metadata["network_data_format"][side].values():
            assert {"type", "num_channels", "spatial_shape", "dtype", "channel_def"} <= tensor.keys()
            assert len(tensor["channel_def"]) == tensor["num_channels"]


def test_metadata_tells_the_size_that_preprocessing_makes(bundle: Path, classifier: Classifier) -> None:
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    shape = metadata["network_data_format"]["inputs"]["image"]["spatial_shape"]
    assert shape == [classifier.preprocess.size] * 2


def test_manifest_says_who_it_is_for(bundle: Path) -> None:
    manifest = load_manifest(bundle)
    assert manifest.name == bundle.name
    assert manifest.research_use_only
    assert manifest.routing.min_age_years == 1
    assert manifest.routing.max_age_years == 6
    assert isinstance(manifest.output, Classification)
    assert manifest.output.classes[0].risk.flagged == "high"
    concept = manifest.output.classes[0].finding.concept
    assert (concept.scheme, concept.value) == ("DCM", "112001")


def _raw(bundle: Path) -> dict[str, Any]:
    raw = yaml.safe_load((bundle / "firstread.yaml").read_text(encoding="utf-8"))
    assert isinstance(raw, dict)
    return raw


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("routing", "min_age_years", 7),
        ("routing", "colour", "blue"),
        ("output.classes.0.operating_point", "threshold", 1.5),
        ("output.classes.0.operating_point", "chosen_on", "test"),
        ("output.classes.0.risk", "flagged", "urgent"),
        ("output.calibration", "temperature", 0),
        ("weights", "file", "models/model.pt"),
        ("weights", "file", "../model.safetensors"),
        ("weights", "sha256", "abc"),
    ],
)
def test_manifest_is_strict(bundle: Path, section: str, key: str, value: object) -> None:
    raw = _raw(bundle)
    part: Any = raw
    for name in section.split("."):
        part = part[int(name)] if name.isdigit() else part[name]
    part[key] = value
    with pytest.raises(ValidationError):
        BundleManifest.model_validate(raw)


def test_manifest_refuses_unknown_keys_and_is_frozen(bundle: Path) -> None:
    with pytest.raises(ValidationError):
        BundleManifest.model_validate(_raw(bundle) | {"extra": 1})
    with pytest.raises(ValidationError):
        load_manifest(bundle).version = "9.9.9"  # type: ignore[misc]


def test_changed_weights_are_refused(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "cxr_opacity"
    shutil.copytree(bundle, copy)
    weights = copy / "models" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BundleError, match="digest"):
        Classifier.load(copy)


@pytest.mark.parametrize(
    "config",
    [
        {"network_def": "$__import__('os').system('true')"},
        {"network_def": {"_target_": "subprocess.run", "args": ["true"]}},
        {"network_def": {"_target_": "monai.networks.nets.ResNet", "layers": ["@other"]}},
        {"network_def": "%other.json"},
        {"$import os": 1},
        {"network_def": {"_target_": "monai.networks.nets.UNet", "_mode_": "debug"}},
        {"network_def": {"_target_": "monai.networks.nets.DenseNet121", "pretrained": True}},
        {"network_def": {"_target_": "monai.bundle.run"}},
        {"network_def": {"_target_": "monai.networks.nets.load_state_dict"}},
        {"network_def": {"_target_": "UNet", "act": {"_target_": "os.system"}}},
        [],
    ],
)
def test_configuration_that_could_run_code_is_refused(tmp_path: Path, config: object) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "inference.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(BundleError):
        read_inference_config(tmp_path)
    with pytest.raises(BundleError):
        build_network(network_definition(tmp_path))


@pytest.mark.parametrize("name", ["inference.json", "inference.yaml"])
@pytest.mark.parametrize("target", ["UNet", "monai.networks.nets.UNet", "monai.networks.nets.unet.UNet"])
def test_networks_of_monai_are_built_whatever_is_beside_them(tmp_path: Path, target: str, name: str) -> None:
    network = {
        "_target_": target,
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 2,
        "channels": [4, 8],
        "strides": [2],
    }
    config = {"network_def": network, "inferer": {"_target_": "SlidingWindowInferer"}, "x": "$import os"}
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / name).write_text(json.dumps(config), encoding="utf-8")
    assert build_network(network_definition(tmp_path)).state_dict()


def test_arguments_that_the_network_does_not_have_are_refused() -> None:
    with pytest.raises(BundleError, match="UNet"):
        build_network({"network_def": {"_target_": "UNet", "colour": "blue"}})


def test_model_card_shows_the_measured_figures(bundle: Path) -> None:
    text = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    assert card.render_bundle(bundle) == text
    assert "Research use only" in text


def test_card_check_notices_a_stale_card(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "cxr_opacity"
    shutil.copytree(bundle, copy)
    assert card.main(["--bundle", str(copy), "--check"]) == 0
    readme = copy / "docs" / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("AUROC", "AUC"), encoding="utf-8")
    assert card.main(["--bundle", str(copy), "--check"]) == 1
    card.main(["--bundle", str(copy)])
    assert card.main(["--bundle", str(copy), "--check"]) == 0


def test_card_without_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="markers"):
        card.update("# card", "block")


_TRAINED_HERE = ("cxr_opacity", "breast_us_malignancy", "modality_anatomy")


@pytest.mark.parametrize("name", _TRAINED_HERE)
def test_published_bundle_holds_together(bundle: Path, name: str) -> None:
    folder = bundle.parent / name
    manifest = load_manifest(folder)
    assert manifest.name == name
    assert (
        hashlib.sha256((folder / manifest.weights.file).read_bytes()).hexdigest() == manifest.weights.sha256
    )
    split = (folder / "docs" / "split.csv").read_bytes()
    assert hashlib.sha256(split).hexdigest() == manifest.data.split_sha256
    assert manifest.graph is not None
    assert hashlib.sha256((folder / manifest.graph.file).read_bytes()).hexdigest() == manifest.graph.sha256
    text = (folder / "docs" / "README.md").read_text(encoding="utf-8")
    assert card.render_bundle(folder) == text
    assert "Research use only" in text
    settings = read_inference_config(folder)["preprocessing"]
    assert isinstance(manifest.input, ImageInput)
    assert manifest.input.size == (settings["size"], settings["size"])
    assert manifest.input.intensity.kind == settings["intensity"]
    assert manifest.input.cut_frame == settings["cut_frame"]
