"""The same networks on a GPU: rates by batch, and their share of the measured rate of matrix products."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import page
from model_service.engines.torch_engine import TorchEngine
from model_service.manifest import load_manifest
from model_service.network import load_network

_IMAGES = (1, 4, 16, 64, 256)
_WINDOWS = (1, 2, 4, 8, 16)
_SIDE = 8192


def section(classifier: Path, volume: Path) -> str:
    """Return the tables, or a line that says why there are none."""
    if not torch.cuda.is_available():
        return "On a GPU: not run, this machine has none."
    return tables(classifier, volume, "cuda", _IMAGES, _WINDOWS, _SIDE)


def tables(
    classifier: Path, volume: Path, device: str, images: tuple[int, ...], windows: tuple[int, ...], side: int
) -> str:
    """Measure on a device; copies to and from it are part of the time."""
    peak = _matrix_rate(device, side)
    name = torch.cuda.get_device_name() if device == "cuda" else device
    parts = [f"On {name}, bf16 matrix products of {side} x {side}: {peak / 1e12:.1f} TFLOP/s."]
    for title, bundle, batches, unit in (
        ("Images of the classifier", classifier, images, "images/s"),
        ("Windows of the 3-D network", volume, windows, "million voxels/s"),
    ):
        rows = [
            _row(bundle, precision, batch, device, peak)
            for precision in ("fp32", "bf16", "fp16")
            for batch in batches
        ]
        parts.append(
            f"{title}:\n\n" + page.table(["precision", "batch", unit, "share of the bf16 rate"], rows)
        )
    return "\n\n".join(parts)


def _row(bundle: Path, precision: str, batch: int, device: str, peak: float) -> list[str]:
    manifest = load_manifest(bundle)
    assert manifest.input.network_size
    shape = (batch, manifest.input.channels, *manifest.input.network_size)
    engine = TorchEngine(load_network(bundle, manifest), device, precision)
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    seconds = _seconds(lambda: engine.run(values))
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        load_network(bundle, manifest)(torch.zeros(1, *shape[1:]))
    rate = batch / seconds
    shown = rate if len(shape) == 4 else rate * np.prod(shape[2:]) / 1e6
    share = rate * counter.get_total_flops() / peak
    return [precision, str(batch), f"{shown:.0f}", f"{share:.1%}"]


def _matrix_rate(device: str, side: int) -> float:
    one = torch.randn(side, side, device=device, dtype=torch.bfloat16)

    def product() -> None:
        one @ one
        if device == "cuda":
            torch.cuda.synchronize()

    return float(2 * side**3 / _seconds(product))


def _seconds(work: Callable[[], object], runs: int = 10) -> float:
    work()
    work()
    before = time.perf_counter()
    for _ in range(runs):
        work()
    return (time.perf_counter() - before) / runs
