"""What is measured: the shipped classifier on simulated radiographs, a 3-D network on a simulated torso."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from safetensors.torch import save_file

import model_service
from firstread.demo.simulate import chest
from firstread.imaging.volume import Volume
from model_service.bundle import build_network
from model_service.export import export_graph

Array = npt.NDArray[np.float32]

CLASSIFIER = Path(model_service.__file__).parent / "bundles" / "cxr_opacity"
_CODE = {"value": "T-1", "scheme": "99FIRSTREAD", "meaning": "Part of the benchmark"}
# The network of the shipped hippocampus bundle, and of many bundles of the Model Zoo.
UNET = {
    "_target_": "monai.networks.nets.UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "channels": [16, 32, 64, 128],
    "strides": [2, 2, 2],
    "num_res_units": 2,
    "norm": "batch",
    "act": "relu",
}
LOW, HIGH = -175.0, 250.0


@dataclass(frozen=True)
class VolumeCase:
    """A volume, and how it is to be segmented."""

    title: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    wanted_mm: float
    window: tuple[int, int, int]
    overlap: float
    blend: str

    def volume(self) -> Volume:
        """Return the simulated volume: an ellipse of soft tissue with organs and noise, in air."""
        return _torso(self.shape, self.spacing_mm)

    def bundle(self, folder: Path) -> Path:
        """Write a bundle for it, with random weights of a usual scale."""
        name = "benchmark_" + hashlib.sha256(repr(self).encode()).hexdigest()[:8]
        return _bundle(folder / name, self) if not (folder / name).exists() else folder / name


CROP = VolumeCase("crop of an organ", (35, 51, 35), (1, 1, 1), 1.0, (40, 56, 40), 0.5, "gaussian")
TORSO = VolumeCase("torso, overlap 0.25", (64, 256, 256), (3, 1.5, 1.5), 2.5, (96, 96, 96), 0.25, "constant")
TORSO_HALF = VolumeCase(
    "torso, overlap 0.5", (64, 256, 256), (3, 1.5, 1.5), 2.5, (96, 96, 96), 0.5, "gaussian"
)
VOLUMES = (CROP, TORSO, TORSO_HALF)


@cache
def radiographs(count: int) -> tuple[Array, ...]:
    """Return simulated radiographs of 768 x 768, half of them with an opacity."""
    return tuple((chest(seed, opacity=seed % 2 == 0) / 4095).astype(np.float32) for seed in range(count))


@cache
def _torso(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Volume:
    rng = np.random.default_rng(4)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, side, dtype=np.float32) for side in shape), indexing="ij")
    values = np.full(shape, -1000, np.float32)
    body = (x / 0.9) ** 2 + (y / 0.65) ** 2 < 1
    values[body] = 40
    for _ in range(24):
        centre, radius = rng.uniform(-0.6, 0.6, 3), rng.uniform(0.1, 0.35, 3)
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip((z, y, x), centre, radius, strict=True)) < 1
        values[inside & body] = rng.uniform(-120, 220)
    values += rng.normal(0, 12, shape).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, 1.0], [0, 1, 0], [1, 0, 0]]) * np.array(spacing_mm)
    return Volume(values, affine, ())


def _bundle(folder: Path, case: VolumeCase) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": UNET}), encoding="utf-8")
    torch.manual_seed(0)
    weights = folder / "models" / "model.safetensors"
    save_file(build_network({"network_def": UNET}).state_dict(), weights)
    (folder / "firstread.yaml").write_text(
        yaml.safe_dump(_manifest(folder.name, case, weights)), encoding="utf-8"
    )
    export_graph(folder)
    return folder


def _manifest(name: str, case: VolumeCase, weights: Path) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1.0.0",
        "title": "Benchmark",
        "research_use_only": True,
        "intended_use": "Measuring time.",
        "routing": {"modalities": ["CT"], "series": {}},
        "input": {
            "kind": "volume",
            "orientation": "RAS",
            "spacing_mm": [case.wanted_mm] * 3,
            "window": list(case.window),
            "overlap": case.overlap,
            "blend": case.blend,
            "intensity": {"kind": "range", "low": LOW, "high": HIGH},
        },
        "output": {
            "task": "segmentation",
            "activation": "softmax",
            "segments": [
                {"number": number, "label": f"part {number}", "category": _CODE, "concept": _CODE}
                for number in (1, 2)
            ],
        },
        "weights": {
            "file": "models/model.safetensors",
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "bytes": weights.stat().st_size,
        },
        "data": {"source": "none", "licence": "none"},
    }
