"""Export the network of a bundle as an ONNX graph that finds its weights in the bundle's safetensors file.

``python -m model_service.export BUNDLE`` writes ``models/model.onnx`` and names it in ``firstread.yaml``.
"""

import argparse
import hashlib
import io
import json
import re
import struct
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import torch
import yaml
from onnx.external_data_helper import set_external_data
from torch import Tensor

from model_service.engines.cores import cpu_share
from model_service.engines.onnx_runtime import OnnxRuntimeEngine
from model_service.errors import BundleError
from model_service.manifest import MANIFEST, BundleManifest, Graph, load_manifest
from model_service.network import ServedNetwork, load_network

GRAPH_FILE = "models/model.onnx"
INPUT = "image"
_OPSET = 17
_AGREEMENT = 1e-4
# Small enough to trace at once, large enough that no stage of a usual network shrinks to a point.
_TRACED_SIDE = {2: 96, 3: 64}
_CONSTANTS = 1_000_000  # bytes; more are weights, which belong into their file once
_DTYPES = {"F32": onnx.TensorProto.FLOAT, "F16": onnx.TensorProto.FLOAT16, "I64": onnx.TensorProto.INT64}


class _Stored(NamedTuple):
    """Where a tensor lies in the weights file, and what it is."""

    offset: int
    length: int
    dtype: int
    shape: tuple[int, ...]


def export_graph(folder: Path) -> None:
    """Write the ONNX graph of a bundle and name it in its manifest.

    The graph's input is ``image``, N x channels x spatial; its outputs are those of `manifest.Graph`. N is free, and so
    is the spatial shape where neither a size nor a window says it. The weights stay in the safetensors file: the graph
    refers to them by offset (onnx.proto, "external data").

    Parameters
    ----------
    folder : pathlib.Path
        The bundle, with its manifest, configuration and weights.

    Raises
    ------
    BundleError
        If the network cannot be built or exported, or the graph does not agree with it to 1e-4.
    """
    manifest = load_manifest(folder)
    network = load_network(folder, manifest)
    fixed = manifest.input.network_size
    dimensions = 2 if manifest.input.kind == "image" else 3
    side = -(-_TRACED_SIDE[dimensions] // manifest.input.multiple_of) * manifest.input.multiple_of
    shape = (manifest.input.channels, *(fixed or (side,) * dimensions))
    model = _traced(network, shape, free=not fixed)
    weights = folder / manifest.weights.file
    _refer(model, weights)
    content = model.SerializeToString()
    with TemporaryDirectory(dir=weights.parent, prefix=".export-") as scratch:
        # Beside the weights, for the reference is relative; hidden, until it is known to be right.
        trial = Path(scratch) / "model.onnx"
        (Path(scratch) / weights.name).hardlink_to(weights)
        trial.write_bytes(content)
        grown = (shape[0], *(each + manifest.input.multiple_of for each in shape[1:]))
        for each in [shape] if fixed else [shape, grown]:
            _compare(network, trial, each)
        trial.replace(folder / GRAPH_FILE)
    _name(folder, Graph(file=GRAPH_FILE, sha256=hashlib.sha256(content).hexdigest()))


def seeded(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return an input of that shape, the same at every call."""
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def _traced(network: ServedNetwork, shape: tuple[int, ...], *, free: bool) -> onnx.ModelProto:
    sample = torch.from_numpy(seeded((2, *shape)))
    try:
        with torch.inference_mode():
            outputs = network(sample)
    except (RuntimeError, ValueError, IndexError) as error:
        raise BundleError(f"the network does not take an input of {shape}: {error}") from None
    names = ["output", "maps"][: len(outputs)]
    spatial = {axis: f"side{axis}" for axis in range(2, sample.ndim)} if free else {}
    axes = {INPUT: {0: "n"} | spatial}
    for name, output in zip(names, outputs, strict=True):
        axes[name] = {0: "n"} | {axis: f"{name}{axis}" for axis in range(2, output.ndim) if free}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter deprecates itself and warns of constants of the trace
        torch.onnx.export(
            network,
            (sample,),
            buffer,  # type: ignore[arg-type] # the annotation forgot what the function takes
            dynamo=False,
            opset_version=_OPSET,
            # Nothing folded, nothing fused: the constants of the graph stay the tensors of the weights file.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            input_names=[INPUT],
            output_names=names,
            dynamic_axes=axes,
        )
    return onnx.load_model_from_string(buffer.getvalue())


def _refer(model: onnx.ModelProto, weights: Path) -> None:
    """Replace constants of the graph by references into the weights file, where it holds the same."""
    content = weights.read_bytes()
    stored = {
        (each.dtype, each.shape, content[each.offset : each.offset + each.length]): each
        for each in _directory(weights)
    }
    kept = 0
    for tensor in model.graph.initializer:
        found = stored.get((tensor.data_type, tuple(tensor.dims), tensor.raw_data))
        if found is None:
            kept += len(tensor.raw_data)
            continue
        set_external_data(tensor, weights.name, found.offset, found.length)
        tensor.ClearField("raw_data")
    if kept > _CONSTANTS:
        raise BundleError(f"the graph has {kept} bytes of constants that the weights file has not")


def _directory(weights: Path) -> list[_Stored]:
    """Read the header of a safetensors file: its length in eight bytes, then JSON, then the tensors."""
    with weights.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    start = 8 + length
    return [
        _Stored(
            start + each["data_offsets"][0],
            each["data_offsets"][1] - each["data_offsets"][0],
            _DTYPES.get(each["dtype"], onnx.TensorProto.UNDEFINED),
            tuple(each["shape"]),
        )
        for name, each in header.items()
        if name != "__metadata__"
    ]


def _compare(network: ServedNetwork, graph: Path, shape: tuple[int, ...]) -> None:
    # The reference of the CPU engines: `engines.probe` measures what the others change, on the machine that serves.
    engine = OnnxRuntimeEngine(graph, cpu_share())
    for count in (1, 2):
        batch = seeded((count, *shape))
        with torch.inference_mode():
            expected = [each.numpy() for each in network(torch.from_numpy(batch))]
        _check_maps(network, expected)
        for one, other in zip(expected, engine.run(batch), strict=True):
            if one.shape != other.shape or not _agree(one, other):
                raise BundleError(f"the graph does not agree with the network at {shape}")


def _agree(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    return bool(abs(one - other).max() <= _AGREEMENT * max(1.0, float(abs(one).max())))


def _check_maps(network: ServedNetwork, outputs: list[npt.NDArray[np.float32]]) -> None:
    bias: Tensor | None = network.bias()
    if len(outputs) < 2:
        return
    summed = outputs[1].mean(axis=(2, 3)) + (0 if bias is None else bias.numpy())
    if summed.shape != outputs[0].shape or not _agree(outputs[0], summed):
        raise BundleError("the activation maps do not add up to the logits: not the layers of the overlay")


def _name(folder: Path, graph: Graph) -> None:
    """Set ``graph`` in the manifest, and leave the rest of its text as it is."""
    file = folder / MANIFEST
    text = re.sub(r"^graph:\n(?:[ \t]+.*\n?)+", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = text.rstrip() + "\n" + yaml.safe_dump({"graph": graph.model_dump()}, sort_keys=False)
    BundleManifest.model_validate(yaml.safe_load(text))
    file.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model_service.export", description=__doc__)
    parser.add_argument("bundle", type=Path)
    folder = parser.parse_args(arguments).bundle
    export_graph(folder)
    size = (folder / GRAPH_FILE).stat().st_size
    print(f"{folder / GRAPH_FILE}: {size} bytes")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
