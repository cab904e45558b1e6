"""What a MONAI configuration says of the output: the activation, a threshold, the largest part."""

from typing import Any

from model_service.adding.resolver import Config
from model_service.errors import BundleError

# What changes no label, or is undone by the way back to the source that every label map goes.
_NEUTRAL = frozenset({"DeleteItems", "EnsureType", "Invert", "SaveImage", "SelectItems", "ToTensor"})


def derive_output(config: Config, task: str) -> dict[str, Any]:
    """Return what the postprocessing says of ``output`` of a manifest.

    Parameters
    ----------
    config
        The configuration.
    task
        ``classification`` or ``segmentation``; of others a configuration says nothing.

    Raises
    ------
    BundleError
        If a step cannot be said in a manifest, or none says what the activation is.
    """
    if task not in ("classification", "segmentation"):
        return {}
    found: dict[str, Any] = {}
    if config.has("postprocessing"):
        for step, arguments, where in config.components("@postprocessing", "postprocessing"):
            if step not in _NEUTRAL:
                found |= _step(config, step, arguments, where)
    if "activation" not in found:
        raise BundleError("postprocessing: no step says whether channels are sigmoid or softmax")
    if task == "classification":
        found = {"activation": found["activation"]}
    return found


def _step(config: Config, step: str, arguments: Any, where: str) -> dict[str, Any]:  # noqa: ANN401 - JSON
    def value(name: str, default: object) -> Any:  # noqa: ANN401 - JSON
        return config.data(arguments.get(name, default), f"{where}.{name}")

    if step == "Activations":
        if arguments.get("other") is None and bool(value("sigmoid", False)) != bool(value("softmax", False)):
            return {"activation": "sigmoid" if value("sigmoid", False) else "softmax"}
    elif step == "AsDiscrete":
        if value("argmax", False):
            return {"activation": "softmax"}
        threshold = value("threshold", None)
        if isinstance(threshold, int | float) and not isinstance(threshold, bool):
            return {"threshold": threshold}
    elif step == "KeepLargestConnectedComponent" and value("independent", True):
        return {"keep_largest": True}
    raise BundleError(f"{where}: this step has no counterpart in a manifest")
