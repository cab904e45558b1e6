"""Opening a MONAI bundle: its configuration names what to build, from a short list, and never runs code."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from monai.bundle.config_parser import ConfigParser
from monai.networks import nets
from safetensors.torch import load_file
from torch import Tensor, nn

from model_service.errors import BundleError
from model_service.preprocess import Preprocess

__all__ = [
    "INFERENCE_CONFIG",
    "METADATA",
    "BundleError",
    "build_network",
    "build_preprocessing",
    "load_weights",
    "network_definition",
    "read_inference_config",
]

INFERENCE_CONFIG = Path("configs") / "inference.json"
METADATA = Path("configs") / "metadata.json"

# A bundle configuration can name any importable callable and hold Python expressions. A weights folder must
# not be able to run code, so only these and the networks of MONAI may be built, and expressions ($), references (@)
# and macros (%) are refused.
_PREPROCESS = "model_service.preprocess.Preprocess"
_NETWORKS = "monai.networks.nets."
_SIGILS = ("$", "@", "%")
# Some constructors fetch weights when asked to; ours are in the bundle.
_FETCHES = frozenset({"pretrained", "progress", "model_dir"})


def read_inference_config(folder: Path) -> dict[str, Any]:
    """Read ``configs/inference.json`` and refuse what is more than data.

    Parameters
    ----------
    folder : pathlib.Path
        The bundle.

    Returns
    -------
    dict
        The configuration, checked.

    Raises
    ------
    BundleError
        If it holds an expression, reference or macro, or names a target that is not allowed.
    """
    config = _read(folder)
    _check(config, "")
    return config


def network_definition(folder: Path) -> dict[str, Any]:
    """Read ``network_def`` of a bundle's inference configuration, JSON or YAML, whatever else is in it.

    Parameters
    ----------
    folder : pathlib.Path
        The bundle.

    Returns
    -------
    dict
        A configuration for `build_network`, checked.

    Raises
    ------
    BundleError
        If there is none, it holds more than data, or it names something else than a network of MONAI.
    """
    found = _read(folder).get("network_def")
    _check(found, "network_def")
    if not isinstance(found, dict):
        raise BundleError("network_def is not a mapping")
    return {"network_def": found}


def build_network(config: Mapping[str, Any]) -> nn.Module:
    """Build the untrained network of a checked configuration.

    Parameters
    ----------
    config : dict
        As `read_inference_config` or `network_definition` returns it.

    Returns
    -------
    torch.nn.Module
        The network named ``network_def``.

    Raises
    ------
    BundleError
        If it is not a network of MONAI, or not made of these arguments.
    """
    definition = config.get("network_def")
    kind = _network_class(definition.get("_target_")) if isinstance(definition, dict) else None
    if kind is None or not isinstance(definition, dict):
        raise BundleError("network_def is not a network of monai.networks.nets")
    try:
        return kind(**{key: value for key, value in definition.items() if not key.startswith("_")})
    except (TypeError, ValueError, KeyError, AssertionError, NotImplementedError, ImportError) as error:
        raise BundleError(f"network_def: {kind.__name__} is not made of these arguments: {error}") from None


def build_preprocessing(config: dict[str, Any]) -> Preprocess:
    """Build the preprocessing of a checked configuration.

    Parameters
    ----------
    config : dict
        As `read_inference_config` returns it.

    Returns
    -------
    Preprocess
        The object named ``preprocessing``.
    """
    preprocessing = ConfigParser(config).get_parsed_content("preprocessing")
    if not isinstance(preprocessing, Preprocess):
        raise BundleError("preprocessing is not a Preprocess")
    return preprocessing


def load_weights(network: nn.Module, file: Path) -> None:
    """Load a safetensors file into a network; every tensor must fit.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    file : pathlib.Path
        The weights.
    """
    tensors = load_file(file)
    # A network can know one tensor by several names, of which the file needs to hold one.
    places: dict[tuple[int, torch.Size], list[str]] = {}
    for name, own in network.state_dict().items():
        places.setdefault((own.data_ptr(), own.shape), []).append(name)
    for names in places.values():
        stored: Tensor | None = next((tensors[name] for name in names if name in tensors), None)
        if stored is not None:
            tensors |= {name: stored for name in names if name not in tensors}
    network.load_state_dict(tensors, strict=True)


def _read(folder: Path) -> dict[str, Any]:
    json_file = folder / INFERENCE_CONFIG
    yaml_file = json_file.with_suffix(".yaml")
    try:
        if json_file.exists() or not yaml_file.exists():
            config = json.loads(json_file.read_text(encoding="utf-8"))
        else:
            config = yaml.safe_load(yaml_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BundleError(f"inference configuration cannot be read: {type(error).__name__}") from None
    if not isinstance(config, dict):
        raise BundleError("inference configuration is not a mapping")
    return config


def _network_class(target: object) -> type[nn.Module] | None:
    """Return the network of MONAI of that name, ``UNet`` or ``monai.networks.nets.UNet``."""
    name = target.rpartition(".")[2] if isinstance(target, str) else ""
    found = getattr(nets, name, None)
    allowed = (name, _NETWORKS + name, f"{getattr(found, '__module__', '')}.{name}")
    is_network = inspect.isclass(found) and issubclass(found, nn.Module)
    return found if is_network and target in allowed and found.__module__.startswith(_NETWORKS) else None


def _check(value: object, where: str) -> None:
    if isinstance(value, dict):
        target = value.get("_target_")
        if target is not None and target != _PREPROCESS and _network_class(target) is None:
            raise BundleError(f"{where or 'root'}: target is not allowed")
        for key, item in value.items():
            _check_key(key, item, where)
            _check(item, f"{where}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{where}/{index}")
    elif isinstance(value, str) and value.startswith(_SIGILS):
        raise BundleError(f"{where}: expressions, references and macros are refused")


def _check_key(key: object, item: object, where: str) -> None:
    _check(key, where)
    if isinstance(key, str) and key.startswith("_") and key not in ("_target_", "_desc_"):
        raise BundleError(f"{where or 'root'}: {key} is refused")
    if key in _FETCHES and item:
        raise BundleError(f"{where}: {key} is refused: weights come with the bundle")
