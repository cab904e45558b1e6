"""Open a bundle: check its digests, choose its engine."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from firstread.environment import InferenceSettings
from model_service.engines import probe
from model_service.engines.cores import cpu_share
from model_service.errors import BundleError
from model_service.inference.model import LoadedModel
from model_service.manifest import BundleManifest, VolumeInput, load_manifest
from model_service.prediction import Engine
from model_service.registry import digest

_CPU_BATCH, _CUDA_BATCH = 8, 32
_CPU_WINDOWS, _CUDA_WINDOWS = 1, 8
# Of a network whose input has no fixed shape; only to compare engines.
_SIDE = {2: 256, 3: 96}


def load_model(
    folder: Path,
    device: str = "auto",
    *,
    cache: Path | None = None,
    settings: InferenceSettings | None = None,
) -> LoadedModel:
    """Open a bundle on the device and engine that the settings name, else on the fastest.

    Parameters
    ----------
    folder : pathlib.Path
        The bundle.
    device : {"auto", "cpu", "cuda"}
        ``auto`` takes CUDA where there is a GPU and torch is installed.
    cache : pathlib.Path or None
        Where the choice of the engine is remembered; the settings' folder by default.
    settings : InferenceSettings or None
        Those of the environment by default.

    Returns
    -------
    LoadedModel
        A `prediction.Model`.

    Raises
    ------
    BundleError
        If weights or graph are not those that the manifest names, the bundle needs an engine that is not there, or
        its configuration is refused.
    """
    manifest = load_manifest(folder)
    settings = settings or InferenceSettings()
    _check(folder, manifest)
    before = _resident_bytes()
    on_cuda = device == "cuda" or (device == "auto" and _cuda(settings))
    if on_cuda or settings.inference_engine.startswith("torch"):
        engine = _torch(folder, manifest, settings, "cuda" if on_cuda else "cpu")
    else:
        engine = _cpu(folder, manifest, settings, cache or _folder(settings))
    size = max(2 * manifest.weights.bytes, _resident_bytes() - before)
    volumes = isinstance(manifest.input, VolumeInput)
    on_gpu, on_cpu = (_CUDA_WINDOWS, _CPU_WINDOWS) if volumes else (_CUDA_BATCH, _CPU_BATCH)
    return LoadedModel(manifest, digest(folder), engine, size, on_gpu if on_cuda else on_cpu)


def _folder(settings: InferenceSettings) -> Path | None:
    return Path(settings.engine_cache_dir) if settings.engine_cache_dir else None


def _check(folder: Path, manifest: BundleManifest) -> None:
    files = [("weights", manifest.weights)] + ([("graph", manifest.graph)] if manifest.graph else [])
    for what, named in files:
        try:
            content = (folder / named.file).read_bytes()
        except OSError:
            raise BundleError(f"{what} of {manifest.model_id}: no such file") from None
        if hashlib.sha256(content).hexdigest() != named.sha256:
            raise BundleError(f"{what} of {manifest.model_id} differ from the manifest's digest")


def _cuda(settings: InferenceSettings) -> bool:
    if settings.inference_engine not in ("auto", "torch-cuda"):
        return False
    # Without a GPU, torch is not imported only to hear that there is none.
    if not Path("/dev/nvidiactl").exists() or find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _torch(folder: Path, manifest: BundleManifest, settings: InferenceSettings, device: str) -> Engine:
    if find_spec("torch") is None:
        raise BundleError("this engine needs torch, which is not installed")
    from model_service.engines.torch_engine import TorchEngine
    from model_service.network import load_network

    precision = settings.inference_precision
    if precision == "auto":
        precision = "bf16" if device == "cuda" else "fp32"
    threads = settings.inference_threads or cpu_share()
    return TorchEngine(
        load_network(folder, manifest), device, precision, threads, compiled=settings.inference_compile
    )


def _cpu(folder: Path, manifest: BundleManifest, settings: InferenceSettings, cache: Path | None) -> Engine:
    if manifest.graph is None:
        raise BundleError(f"{manifest.model_id} has no graph: export it, or set the engine torch-cpu")
    threads = settings.inference_threads or cpu_share()
    candidates = _candidates(folder / manifest.graph.file, threads, settings)
    if not candidates:
        raise BundleError("no engine of this machine computes in the precision that is set")
    wanted = manifest.input
    dimensions = 3 if isinstance(wanted, VolumeInput) else 2
    side = -(-_SIDE[dimensions] // wanted.multiple_of) * wanted.multiple_of
    shape = (1, wanted.channels, *(wanted.network_size or (side,) * dimensions))
    sample = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    key = {"bundle": manifest.weights.sha256, "graph": manifest.graph.sha256, "threads": threads}
    return probe.fastest(candidates, sample, key, cache)


def _candidates(graph: Path, threads: int, settings: InferenceSettings) -> list[probe.Candidate]:
    """List the engines that the settings allow, the reference first; libraries are imported when they are."""
    engine, precision = settings.inference_engine, settings.inference_precision
    found = []
    if engine in ("auto", "onnxruntime") and precision in ("fp32", "auto"):
        from model_service.engines.onnx_runtime import OnnxRuntimeEngine

        found.append(probe.Candidate("onnxruntime", "fp32", lambda: OnnxRuntimeEngine(graph, threads)))
    if engine in ("auto", "openvino"):
        from model_service.engines.open_vino import OpenVinoEngine, can_compute

        for each in ("fp32", "bf16"):
            if precision in (each, "auto") and can_compute(each):
                found.append(
                    probe.Candidate(
                        "openvino",
                        each,
                        lambda each=each: OpenVinoEngine(graph, threads, each),  # type: ignore[misc]
                    )
                )
    return found


def _resident_bytes() -> int:
    """Return the memory of this process, 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * 4096
