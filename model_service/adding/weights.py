"""Weights as PyTorch saves them -> safetensors. Only tensors are read: a pickle that holds more is refused."""

import hashlib
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from model_service.errors import BundleError

# Under which trainers keep the network's state beside that of the optimizer.
_NESTED = ("model", "state_dict", "network", "net")
_WRAPPED = "module."


def convert(checkpoint: Path, target: Path) -> None:
    """Write the tensors of a checkpoint as safetensors.

    Parameters
    ----------
    checkpoint
        A state dict as ``torch.save`` writes it, by itself or under a usual name.
    target
        The file to write.

    Raises
    ------
    BundleError
        If it holds more than tensors, or none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
        KeyError,
        AttributeError,
    ) as error:
        # The text of the error quotes the pickle, and tells how to run it.
        raise BundleError(
            f"{checkpoint.name} holds more than tensors, or is no checkpoint ({type(error).__name__}); "
            "save the state dict of the network alone"
        ) from None
    target.parent.mkdir(parents=True, exist_ok=True)
    # Copies: two names of one tensor, as of tied weights, become two tensors.
    save_file({name: each.detach().clone().contiguous() for name, each in _state(loaded).items()}, target)


def describe(file: Path, name: str) -> dict[str, Any]:
    """Return ``weights`` of a manifest.

    Parameters
    ----------
    file
        The safetensors file.
    name
        Its path in the bundle.
    """
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"file": name, "sha256": sha256, "bytes": file.stat().st_size}


def _state(loaded: object) -> dict[str, Tensor]:
    found = loaded
    if isinstance(found, Mapping) and not _is_state(found):
        nested = [found[name] for name in _NESTED if name in found]
        found = nested[0] if len(nested) == 1 else None
    if not isinstance(found, Mapping) or not _is_state(found):
        raise BundleError("the checkpoint is not the state dict of one network")
    if all(name.startswith(_WRAPPED) for name in found):
        found = {name.removeprefix(_WRAPPED): each for name, each in found.items()}
    return dict(found)


def _is_state(value: Mapping[Any, Any]) -> bool:
    return bool(value) and all(
        isinstance(name, str) and isinstance(each, Tensor) for name, each in value.items()
    )
