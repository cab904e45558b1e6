"""A bundle as it came -> one that a worker can run: what ``firstread.yaml`` leaves out is taken from the rest of it."""

import json
import math
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from model_service.adding import weights
from model_service.adding.inputs import InputReader
from model_service.adding.outputs import derive_output
from model_service.adding.resolver import Config, parse, read_mapping
from model_service.errors import BundleError
from model_service.manifest import MANIFEST, BundleManifest

WEIGHTS = "models/model.safetensors"
_INFERENCE = Path("configs") / "inference.json"


def complete(folder: Path, checkpoint: Path | None) -> tuple[BundleManifest, list[str]]:
    """Complete the manifest of a bundle, and return it with what is to be remarked.

    Parameters
    ----------
    folder
        Our copy of the bundle; its manifest, inference configuration and weights are written anew where needed.
    checkpoint
        Its weights as PyTorch saves them, where it has such.

    Raises
    ------
    BundleError
        If something is missing, contradictory, or more than data; says what to write in the manifest instead.
    """
    if not (folder / MANIFEST).is_file():
        raise BundleError(f"there is no {MANIFEST} in the bundle: write one, or name one with --manifest")
    said = parse(folder / MANIFEST)
    manifest = dict(said)
    metadata = read_mapping(folder / "configs", "metadata") or {}
    _version(manifest, metadata)
    config = Config.read(folder)
    network = _network(config)
    remarks: list[str] = []
    if "input" not in manifest:
        manifest["input"], remarks = _input(config, network, metadata)
    _output(manifest, config)
    _weights(manifest, folder, checkpoint)
    manifest.pop("graph", None)  # exported anew: whoever made the old one may have meant another network
    checked = _validated(manifest)
    _check_channels(checked, metadata)
    if manifest != {key: each for key, each in said.items() if key != "graph"}:
        text = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=110)
        (folder / MANIFEST).write_text(text, encoding="utf-8")
    if not config.is_data:
        _write_network(folder, network)
    return checked, remarks


def _version(manifest: dict[str, Any], metadata: dict[str, Any]) -> None:
    known = metadata.get("version")
    if known is not None and manifest.setdefault("version", known) != known:
        raise BundleError(f"{MANIFEST} and configs/metadata.json name different versions")


def _network(config: Config) -> dict[str, Any]:
    if not config.has("network_def"):
        raise BundleError("inference configuration has no item network_def")
    found = config.data("@network_def", "network_def")
    if not isinstance(found, dict) or not isinstance(found.get("_target_"), str):
        raise BundleError("network_def is not a network by name")
    return found


def _input(
    config: Config, network: dict[str, Any], metadata: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    tensors = _tensors(metadata, "inputs")
    if len(tensors) > 1:
        raise BundleError("the network takes several inputs; a manifest has one")
    shape = tensors[0].get("spatial_shape", []) if tensors else []
    dimensions = network.get("spatial_dims", network.get("dimensions", len(shape)))
    channels = tensors[0].get("num_channels", 1) if tensors else 1
    if dimensions not in (2, 3):
        raise BundleError(
            "nobody says whether the network takes images or volumes: neither spatial_dims nor metadata"
        )
    if channels not in ((1, 3) if dimensions == 2 else (1,)):
        raise BundleError(
            f"an input of {channels} channels and {dimensions} dimensions cannot be said in a manifest"
        )
    reader = InputReader(config, dimensions, channels)
    try:
        found = reader.read()
    except BundleError as error:
        raise BundleError(f"{error}; write `input` in {MANIFEST} instead") from None
    strides = _strides(network.get("strides"))
    if strides and not {"multiple_of", "size", "window"} & set(found):
        # A U-Net cannot take other sides at all; whoever ran the bundle had images that fit.
        found["multiple_of"] = math.prod(strides)
        reader.remarks.append(
            f"images are padded to a multiple of {found['multiple_of']}, the network's strides"
        )
    return found, reader.remarks


def _strides(value: object) -> list[int]:
    found = value if isinstance(value, list) else []
    return found if all(isinstance(each, int) and each > 0 for each in found) else []


def _output(manifest: dict[str, Any], config: Config) -> None:
    output = manifest.get("output")
    if isinstance(output, dict) and "activation" not in output:
        try:
            derived = derive_output(config, str(output.get("task")))
        except BundleError as error:
            raise BundleError(f"{error}; write `output.activation` in {MANIFEST} instead") from None
        manifest["output"] = {**output, **{key: each for key, each in derived.items() if key not in output}}


def _weights(manifest: dict[str, Any], folder: Path, checkpoint: Path | None) -> None:
    named = manifest.get("weights")
    if isinstance(named, dict):
        if not (folder / str(named.get("file"))).is_file():
            raise BundleError("the bundle does not have the weights that its manifest names")
        return  # every load checks the digest
    if not (folder / WEIGHTS).is_file():
        if checkpoint is None:
            raise BundleError(f"the bundle has no weights: neither {WEIGHTS} nor models/model.pt")
        weights.convert(checkpoint, folder / WEIGHTS)
    manifest["weights"] = weights.describe(folder / WEIGHTS, WEIGHTS)


def _validated(manifest: dict[str, Any]) -> BundleManifest:
    try:
        return BundleManifest.model_validate(manifest)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise BundleError(f"{MANIFEST}: {'; '.join(sorted(wrong))}") from None


def _check_channels(manifest: BundleManifest, metadata: dict[str, Any]) -> None:
    for tensor in _tensors(metadata, "inputs"):
        said = tensor.get("num_channels")
        wanted = getattr(manifest.input, "channels", 1)
        if said is not None and said != wanted:
            raise BundleError(f"metadata says {said} channels of the input, {MANIFEST} {wanted}")


def _tensors(metadata: dict[str, Any], side: str) -> list[dict[str, Any]]:
    found = metadata.get("network_data_format", {})
    found = found.get(side, {}) if isinstance(found, dict) else {}
    return [each for each in found.values() if isinstance(each, dict)] if isinstance(found, dict) else []


def _write_network(folder: Path, network: dict[str, Any]) -> None:
    """Write what is left of the inference configuration: its network, as data; what would have been run is gone."""
    for suffix in (".yaml", ".yml"):
        (folder / _INFERENCE).with_suffix(suffix).unlink(missing_ok=True)
    text = json.dumps({"network_def": network}, indent=4)
    (folder / _INFERENCE).write_text(text + "\n", encoding="utf-8")
