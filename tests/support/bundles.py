"""Small bundles with random weights, written as a user's would be."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from model_service.bundle import build_network
from model_service.export import export_graph

CODE = {"value": "1", "scheme": "99TEST", "meaning": "something"}
FINDING = {"label": "Something", "concept": CODE, "site": CODE}
POINT = {"threshold": 0.5, "chosen_on": "validation", "sensitivity": 0.9, "specificity": 0.9}
RISK = {"flagged": "high", "unflagged": "none"}
CALIBRATION = {"temperature": 1.5, "bias": 0.25, "chosen_on": "validation"}
IMAGE = {"kind": "image", "size": [32, 32], "intensity": {"kind": "zscore"}}
VOLUME = {"kind": "volume", "window": [16, 16, 16], "intensity": {"kind": "zscore"}}
RESNET = {
    "_target_": "monai.networks.nets.ResNet",
    "block": "basic",
    "layers": [1, 1, 1, 1],
    "block_inplanes": [4, 4, 8, 8],
    "spatial_dims": 2,
    "n_input_channels": 1,
    "num_classes": 2,
}
UNET_2D = {
    "_target_": "monai.networks.nets.UNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 3,
    "channels": [4, 8],
    "strides": [2],
    "norm": "batch",
}
UNET_3D = UNET_2D | {"spatial_dims": 3}


def classification(activation: str = "sigmoid", overlay: bool = True) -> dict[str, Any]:
    """Return the output of a classifier of two classes; the overlay fits RESNET."""
    layers = {"kind": "class_activation_map", "feature_layer": "layer4", "linear_layer": "fc", "scale": 2.0}
    scored = {"finding": FINDING, "operating_point": POINT, "risk": RISK}
    return {
        "task": "classification",
        "activation": activation,
        "calibration": CALIBRATION,
        "classes": [{"channel": channel, **scored} for channel in (1, 0)],
        **({"overlay": layers} if overlay else {}),
    }


def segmentation(segments: int = 2, activation: str = "softmax", **more: object) -> dict[str, Any]:
    """Return the output of a segmentation."""
    return {
        "task": "segmentation",
        "activation": activation,
        "segments": [
            {"number": number, "label": f"part {number}", "category": CODE, "concept": CODE}
            for number in range(1, segments + 1)
        ],
        **more,
    }


def detection(**more: object) -> dict[str, Any]:
    """Return the output of a detection."""
    found = {"task": "detection", "finding": FINDING, "candidate_threshold": 0.5, "calibration": CALIBRATION}
    return found | {"operating_point": POINT, "risk": RISK} | more


def make_bundle(
    folder: Path,
    network: Mapping[str, Any],
    wanted: Mapping[str, Any],
    output: Mapping[str, Any],
    *,
    graph: bool = True,
) -> Path:
    """Write a bundle whose network has random weights, the same at every call.

    Parameters
    ----------
    folder
        Made; its name is the bundle's.
    network, wanted, output
        ``network_def`` of ``configs/inference.json``, and ``input`` and ``output`` of ``firstread.yaml``.
    graph
        Whether it is exported.
    """
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": network}), encoding="utf-8")
    torch.manual_seed(0)
    built = build_network({"network_def": network})
    _settle(built)
    weights = folder / "models" / "model.safetensors"
    save_file({name: each.clone() for name, each in built.state_dict().items()}, weights)
    routing: dict[str, Any] = {"modalities": ["MR"]} | ({"series": {}} if wanted["kind"] == "volume" else {})
    manifest = {
        "name": folder.name,
        "version": "1.0.0",
        "title": "A test",
        "research_use_only": True,
        "intended_use": "Tests.",
        "routing": routing,
        "input": wanted,
        "output": output,
        "weights": {
            "file": "models/model.safetensors",
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "bytes": weights.stat().st_size,
        },
        "data": {"source": "none", "licence": "none"},
    }
    (folder / "firstread.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")
    if graph:
        export_graph(folder)
    return folder


def _settle(network: nn.Module) -> None:
    """Give batch normalisation statistics other than none, so that a graph that forgets them differs."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) and module.running_mean is not None:
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
