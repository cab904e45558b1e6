"""Building the parts of a segmentation bundle from its ``configs/inference.json``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from monai.bundle.config_parser import ConfigParser
from torch import Tensor, nn

Preprocessing = Callable[[dict[str, Any]], dict[str, Any]]
"""Dictionary transforms on ``image``, a tensor of channels x spatial with its geometry."""

Inferer = Callable[[Tensor, nn.Module], Tensor]
"""From a batch and the network to logits, window by window."""

_CONFIG = Path("configs") / "inference.json"
# The bundles trained here are the repository's own, yet a configuration stays data: only these are built.
_TARGETS = frozenset(
    {
        "monai.networks.nets.UNet",
        "monai.networks.nets.BasicUNet",
        "Compose",
        "LoadImaged",
        "EnsureChannelFirstd",
        "Orientationd",
        "Spacingd",
        "Resized",
        "NormalizeIntensityd",
        "ScaleIntensityRangePercentilesd",
        "EnsureTyped",
        "SlidingWindowInferer",
        "Activationsd",
        "AsDiscreted",
        "Invertd",
        "KeepLargestConnectedComponentd",
    }
)
_READING = ("LoadImaged", "EnsureChannelFirstd")
_REFERENCES = frozenset({"@preprocessing"})


class BundleParts:
    """Network, preprocessing and inferer that a bundle's configuration names.

    Parameters
    ----------
    bundle : pathlib.Path
        The bundle folder.

    Raises
    ------
    ValueError
        If the configuration names a target outside the known ones, or holds an expression.
    """

    def __init__(self, bundle: Path) -> None:
        config = json.loads((bundle / _CONFIG).read_text(encoding="utf-8"))
        _check(config)
        self._config = config

    def network(self) -> nn.Module:
        """Build the untrained network."""
        network = self._build("network_def")
        if not isinstance(network, nn.Module):
            raise TypeError("network_def is not a network")
        return network

    def preprocessing(self) -> Preprocessing:
        """Build the preprocessing but for the reading of files, which is done here with fewer readers.

        MONAI's readers warn of each optional package that is not installed.
        """
        config = self._config["preprocessing"]
        steps = [each for each in config["transforms"] if each["_target_"] not in _READING]
        return cast("Preprocessing", self._build("preprocessing", {**config, "transforms": steps}))

    def inferer(self) -> Inferer:
        """Build the inferer."""
        return cast("Inferer", self._build("inferer"))

    def _build(self, section: str, content: object = None) -> Any:  # noqa: ANN401
        # A parser hands out the same object twice, and two networks must not share their weights.
        return ConfigParser({section: content or self._config[section]}).get_parsed_content(section)


def _check(value: object) -> None:
    if isinstance(value, dict):
        target = value.get("_target_")
        if target is not None and target not in _TARGETS:
            raise ValueError("target is not allowed")
        for item in value.values():
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, str) and value.startswith(("$", "@", "%")) and value not in _REFERENCES:
        raise ValueError("expressions and macros are refused")
