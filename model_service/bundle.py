"""Opening a MONAI bundle: its configuration names what to build, from a short list, and never runs code."""

import json
from pathlib import Path
from typing import Any

from monai.bundle.config_parser import ConfigParser
from safetensors.torch import load_file
from torch import Tensor, nn

from model_service.preprocess import Preprocess

INFERENCE_CONFIG = Path("configs") / "inference.json"
METADATA = Path("configs") / "metadata.json"

# A bundle configuration can name any importable callable and hold Python expressions. A weights folder must
# not be able to run code, so only these may be built, and expressions ($), references (@) and macros (%) are
# refused.
_TARGETS = frozenset({"monai.networks.nets.ResNet", "model_service.preprocess.Preprocess"})
_SIGILS = ("$", "@", "%")


class BundleError(ValueError):
    """A bundle that cannot be trusted or used."""


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
    config = json.loads((folder / INFERENCE_CONFIG).read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise BundleError("inference configuration is not a mapping")
    _check(config, "")
    return config


def build_network(config: dict[str, Any]) -> nn.Module:
    """Build the untrained network of a checked configuration.

    Parameters
    ----------
    config : dict
        As `read_inference_config` returns it.

    Returns
    -------
    torch.nn.Module
        The network named ``network_def``.
    """
    network = ConfigParser(config).get_parsed_content("network_def")
    if not isinstance(network, nn.Module):
        raise BundleError("network_def is not a network")
    return network


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
    tensors: dict[str, Tensor] = load_file(file)
    network.load_state_dict(tensors, strict=True)


def _check(value: object, where: str) -> None:
    if isinstance(value, dict):
        target = value.get("_target_")
        if target is not None and target not in _TARGETS:
            raise BundleError(f"{where or 'root'}: target is not allowed")
        for key, item in value.items():
            _check(key, where)
            _check(item, f"{where}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{where}/{index}")
    elif isinstance(value, str) and value.startswith(_SIGILS):
        raise BundleError(f"{where}: expressions, references and macros are refused")
