"""Classify one image with a bundle: a calibrated probability and the map that adds up to it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from model_service.bundle import (
    BundleError,
    build_network,
    build_preprocessing,
    load_weights,
    read_inference_config,
)
from model_service.manifest import BundleManifest, Classification, load_manifest
from model_service.preprocess import Preprocess, to_batch


@dataclass(frozen=True)
class Prediction:
    """What the model says about one image.

    Parameters
    ----------
    probability : float
        Calibrated by temperature; compare it with the operating point's threshold.
    logit : float
        The network's output, uncalibrated.
    activation_map : numpy.ndarray
        ``float32`` in [0, 1], of the size of the image: where the evidence for the finding came from, on a
        scale that is the same for every image. An attribution, never a contour.
    """

    probability: float
    logit: float
    activation_map: npt.NDArray[np.float32]


class Classifier:
    """A classifier that ends in global average pooling and one linear layer.

    For that shape the class activation map is exact: its mean plus the bias is the logit.

    Parameters
    ----------
    network : torch.nn.Module
        Gives one logit per image.
    preprocess : Preprocess
        The same as in training.
    manifest : BundleManifest
        Names the layers and holds temperature, threshold and scale.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> classifier = Classifier.load(Path("model_service/bundles/cxr_opacity"))
    >>> classifier.predict(np.zeros((300, 200), np.float32)).activation_map.shape
    (300, 200)
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess, manifest: BundleManifest) -> None:
        output = manifest.output
        if not isinstance(output, Classification) or output.overlay is None:
            raise BundleError("not a classifier with an overlay")
        self._output, self._overlay = output, output.overlay
        linear = network.get_submodule(self._overlay.linear_layer)
        if not isinstance(linear, nn.Linear) or linear.out_features != 1:
            raise BundleError("overlay.linear_layer is not a linear layer with one output")
        self.manifest = manifest
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.preprocess = preprocess
        self._features = network.get_submodule(self._overlay.feature_layer)
        self._linear = linear

    @classmethod
    def load(cls, bundle: Path) -> "Classifier":
        """Load a bundle folder, after checking the digest of its weights.

        Parameters
        ----------
        bundle : pathlib.Path
            The bundle folder.

        Returns
        -------
        Classifier
            In evaluation mode, on the CPU.

        Raises
        ------
        BundleError
            If the weights are not those that the manifest names, or the configuration is refused.
        """
        manifest = load_manifest(bundle)
        weights = bundle / manifest.weights.file
        if hashlib.sha256(weights.read_bytes()).hexdigest() != manifest.weights.sha256:
            raise BundleError(
                f"weights of {manifest.name} {manifest.version} differ from the manifest's digest"
            )
        config = read_inference_config(bundle)
        network = build_network(config)
        load_weights(network, weights)
        return cls(network, build_preprocessing(config), manifest)

    def flagged(self, prediction: Prediction) -> bool:
        """Tell whether a prediction reaches the operating point."""
        return prediction.probability >= self._output.classes[0].operating_point.threshold

    def predict(self, image: npt.NDArray[np.float32]) -> Prediction:
        """Classify one image.

        Parameters
        ----------
        image : numpy.ndarray
            Height x width, ``float32`` in [0, 1], greyscale, MONOCHROME2 polarity.

        Returns
        -------
        Prediction
            Probability, logit and activation map.
        """
        batch = to_batch(image)
        logits, maps = self.raw(batch)
        logit = float(logits[0])
        shown = (maps / self._overlay.scale).clamp(0.0, 1.0)
        box = self.preprocess.boxes(batch)[0]
        size = (box.bottom - box.top, box.right - box.left)
        full = np.zeros(image.shape, dtype=np.float32)
        full[box.top : box.bottom, box.left : box.right] = functional.interpolate(
            shown, size, mode="bilinear", align_corners=False
        )[0, 0].numpy()
        calibration = self._output.calibration
        probability = float(torch.sigmoid(logits[0].double() / calibration.temperature + calibration.bias))
        return Prediction(probability, logit, full)

    def raw(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (N) and raw activation maps (N x 1 x h x w) of a batch in [0, 1].

        A map covers the image without its dark frame. Its mean plus the linear layer's bias is the logit.
        """
        kept: list[Tensor] = []
        hook = self._features.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
        try:
            with torch.inference_mode():
                ready = self.preprocess(batch).contiguous(memory_format=torch.channels_last)
                logits = self.network(ready).squeeze(1)
                maps = torch.einsum("nchw,c->nhw", kept[0], self._linear.weight[0])
        finally:
            hook.remove()
        return logits, maps.unsqueeze(1)
