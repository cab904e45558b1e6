"""The network of a bundle as it is served: logits or score maps, and the activation maps of an overlay."""

import hashlib
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from model_service.bundle import build_network, load_weights, network_definition
from model_service.errors import BundleError
from model_service.manifest import BundleManifest, Classification, ImageInput, Overlay


class ServedNetwork(nn.Module):
    """A network whose first output is what findings are made of, and the second the raw class activation maps.

    Parameters
    ----------
    network : torch.nn.Module
        The bundle's network.
    overlay : Overlay or None
        Names the layers of the activation maps; None for networks without.
    columns_first : bool
        Whether the network takes columns x rows; from outside it is one of rows x columns all the same.
    """

    def __init__(self, network: nn.Module, overlay: Overlay | None, *, columns_first: bool = False) -> None:
        super().__init__()
        self.network = network
        self._columns_first = columns_first
        self._kept: list[Tensor] = []
        self._linear: list[nn.Linear] = []  # in a list: registered twice, its weights would have two names
        if overlay is not None:
            self._watch(overlay)

    def _watch(self, overlay: Overlay) -> None:
        try:
            features = self.network.get_submodule(overlay.feature_layer)
            linear = self.network.get_submodule(overlay.linear_layer)
        except AttributeError:
            raise BundleError("the overlay names a layer that the network does not have") from None
        if not isinstance(linear, nn.Linear):
            raise BundleError("overlay.linear_layer is not a linear layer")
        features.register_forward_hook(lambda _module, _inputs, output: self._kept.append(output))
        self._linear.append(linear)

    def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Return the logits, N x channels or N x channels x spatial, and the maps where there are any."""
        if self._columns_first:
            return tuple(_turned(each) for each in self._outputs(_turned(batch)))
        return self._outputs(batch)

    def _outputs(self, batch: Tensor) -> tuple[Tensor, ...]:
        found = self.network(batch)
        logits = found[0] if isinstance(found, tuple | list) else found
        if not self._linear:
            return (logits,)
        features = self._kept.pop()
        # Features averaged and multiplied by the weights are the logit: multiplied first, they are its map.
        return logits, functional.conv2d(features, self._linear[0].weight[:, :, None, None])

    def bias(self) -> Tensor | None:
        """Return the bias of the linear layer of the overlay."""
        return self._linear[0].bias if self._linear else None


def _turned(tensor: Tensor) -> Tensor:
    """Let the last two axes of a map change places; logits have none."""
    return tensor.transpose(-1, -2) if tensor.ndim > 2 else tensor


def load_network(folder: Path, manifest: BundleManifest) -> ServedNetwork:
    """Load the network of a bundle, in evaluation mode on the CPU.

    Parameters
    ----------
    folder : pathlib.Path
        The bundle.
    manifest : BundleManifest
        Its manifest.

    Raises
    ------
    BundleError
        If the weights are not those of the manifest or do not fit, or the configuration is refused.
    """
    weights = folder / manifest.weights.file
    if hashlib.sha256(weights.read_bytes()).hexdigest() != manifest.weights.sha256:
        raise BundleError(f"weights of {manifest.name} {manifest.version} differ from the manifest's digest")
    network = build_network(network_definition(folder))
    try:
        load_weights(network, weights)
    except RuntimeError:
        raise BundleError(f"weights of {manifest.name} {manifest.version} do not fit the network") from None
    output = manifest.output
    overlay = output.overlay if isinstance(output, Classification) else None
    columns_first = isinstance(manifest.input, ImageInput) and manifest.input.columns_first
    return ServedNetwork(network, overlay, columns_first=columns_first).eval().requires_grad_(False)
