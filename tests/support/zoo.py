"""Bundles as others make them: the layout of `monai.bundle`, with untrained networks small enough for a test."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from monai.bundle.scripts import init_bundle
from monai.bundle.utils import DEFAULT_INFERENCE, DEFAULT_METADATA
from monai.networks.nets.densenet import DenseNet
from monai.networks.nets.unet import UNet

Kind = Literal["classifier", "images", "volumes", "detector"]
KINDS: tuple[Kind, ...] = ("classifier", "images", "volumes", "detector")

_CONCEPT = {"value": "112001", "scheme": "DCM", "meaning": "Opacity"}
_SITE = {"value": "39607008", "scheme": "SCT", "meaning": "Lung"}
_FINDING = {"label": "Opacity", "concept": _CONCEPT, "site": _SITE}
_POINT = {"threshold": 0.5, "chosen_on": "validation", "sensitivity": 0.9, "specificity": 0.9}
_SCORED = {"finding": _FINDING, "operating_point": _POINT, "risk": {"flagged": "high", "unflagged": "none"}}
_CALIBRATION = {"temperature": 1.0, "chosen_on": "validation"}
_UNET = {"_target_": "UNet", "in_channels": 1, "channels": "$[4, 8, 16]", "strides": [2, 2], "norm": "batch"}

NETWORKS: dict[str, dict[str, Any]] = {
    "classifier": {
        "_target_": "DenseNet",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": "@classes",
        "init_features": 8,
        "growth_rate": 4,
        "block_config": "$(2, 2)",
    },
    "images": {**_UNET, "spatial_dims": 2, "out_channels": "@classes"},
    "volumes": {**_UNET, "spatial_dims": 3, "out_channels": "@classes"},
    "detector": {
        **_UNET,
        "_target_": "monai.networks.nets.UNet",
        "spatial_dims": 2,
        "out_channels": "@classes",
    },
}
CHANNELS = {"classifier": 2, "images": 3, "volumes": 3, "detector": 1}


def _segment(number: int) -> dict[str, Any]:
    return {"number": number, "label": f"part {number}", "category": _SITE, "concept": _CONCEPT}


OUTPUTS: dict[str, dict[str, Any]] = {
    "classifier": {
        "task": "classification",
        "calibration": _CALIBRATION,
        "classes": [{"channel": 1, **_SCORED}],
    },
    "images": {"task": "segmentation", "segments": [_segment(1), _segment(2)]},
    "volumes": {"task": "segmentation", "segments": [_segment(1), _segment(2)]},
    "detector": {
        "task": "detection",
        "candidate_threshold": 0.4,
        "calibration": _CALIBRATION,
        **_SCORED,
    },
}


def manifest(kind: Kind) -> dict[str, Any]:
    """Return what somebody writes into ``firstread.yaml`` beside a bundle: what nobody but them can know."""
    routing: dict[str, Any] = {"modalities": ["MR"] if kind == "volumes" else ["CR", "DX"]}
    return {
        "name": f"zoo_{kind}",
        "title": "A model of somebody else",
        "research_use_only": True,
        "intended_use": "Research use only. Tests.",
        "routing": {**routing, **({"series": {}} if kind == "volumes" else {})},
        "output": deepcopy(OUTPUTS[kind]),
        "data": {"source": "none", "licence": "none"},
    }


def configuration(kind: Kind) -> dict[str, Any]:
    """Return ``configs/inference.json`` as `monai.bundle` makes it, filled in."""
    made: dict[str, Any] = deepcopy(DEFAULT_INFERENCE)
    made |= {"classes": CHANNELS[kind], "network_def": NETWORKS[kind]}
    loading = made["preprocessing"]["transforms"]
    scaling = {"_target_": "ScaleIntensityd", "keys": "image"}
    if kind == "classifier":
        loading[2:2] = [{"_target_": "Resized", "keys": ["image"], "spatial_size": [40, 56]}]
    elif kind == "volumes":
        loading[2:3] = [
            {"_target_": "Orientationd", "keys": "@key", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "@key", "pixdim": [1.0, 1.5, 2.0], "mode": "bilinear"},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "@key",
                "a_min": 0,
                "a_max": 900,
                "b_min": 0,
                "b_max": 1,
            }
            | {"clip": True},
        ]
        made["key"] = "image"
    else:
        loading[2] = scaling
    if kind in ("images", "volumes"):
        roi = [32, 48] if kind == "images" else [16, 24, 16]
        made["inferer"] = {"_target_": "SlidingWindowInferer", "roi_size": roi, "sw_batch_size": 4}
        made["inferer"] |= {"overlap": 0.5, "mode": "gaussian"}
    return made


def zoo(folder: Path, kind: Kind, *, seed: int = 0) -> Path:
    """Make a bundle in a folder that is not there yet, with an untrained network and ``firstread.yaml``."""
    torch.manual_seed(seed)
    metadata = deepcopy(DEFAULT_METADATA)
    shape = [1, 1, 1] if kind == "volumes" else [1, 1]
    metadata["network_data_format"] = {
        "inputs": {"image": {"num_channels": 1, "spatial_shape": shape}},
        "outputs": {"pred": {"num_channels": CHANNELS[kind], "spatial_shape": shape}},
    }
    init_bundle(folder, network=network(kind), metadata_str=metadata, inference_str=configuration(kind))
    write_manifest(folder, manifest(kind))
    return folder


def network(kind: Kind) -> torch.nn.Module:
    """Return the untrained network of a bundle; its batch norms have seen something."""
    options = {key: each for key, each in NETWORKS[kind].items() if key != "_target_"}
    options |= {"out_channels": CHANNELS[kind]}
    options |= {"block_config": (2, 2)} if kind == "classifier" else {"channels": (4, 8, 16)}
    made: torch.nn.Module = (DenseNet if kind == "classifier" else UNet)(**options)
    made.train()
    shape = (2, 1, 32, 32, 32) if kind == "volumes" else (4, 1, 64, 64)
    with torch.no_grad():
        for _ in range(3):
            made(torch.rand(shape))
    return made.eval()


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write ``firstread.yaml``."""
    (folder / "firstread.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def change(folder: Path, **changes: Any) -> None:  # noqa: ANN401 - JSON
    """Change items of ``configs/inference.json``; None removes one."""
    path = folder / "configs" / "inference.json"
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}), encoding="utf-8")
