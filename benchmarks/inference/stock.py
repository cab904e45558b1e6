"""The same work by MONAI as its bundles do it: transforms, eager network in fp32, sliding window, and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.data.meta_tensor import MetaTensor
from monai.inferers.inferer import SlidingWindowInferer
from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import ScaleIntensityRanged
from monai.transforms.post.dictionary import Activationsd, AsDiscreted, Invertd
from monai.transforms.spatial.dictionary import Orientationd, Spacingd
from monai.transforms.utility.dictionary import EnsureChannelFirstd, EnsureTyped
from monai.visualize.class_activation_maps import CAM
from torch import nn
from torch.nn import functional

from benchmarks.inference.cases import HIGH, LOW, Array
from firstread.imaging.volume import Volume
from model_service.bundle import (
    build_network,
    build_preprocessing,
    load_weights,
    network_definition,
    read_inference_config,
)
from model_service.manifest import Classification, VolumeInput, load_manifest
from model_service.preprocess import to_batch


class Classifier:
    """The classifier in eager torch: the preprocessing of training, the network, the calibrated probability.

    Ranks and the cut of a dark frame are in no transform of MONAI: those of training stand for them.
    """

    def __init__(self, bundle: Path) -> None:
        manifest = load_manifest(bundle)
        output = manifest.output
        assert isinstance(output, Classification)
        self.calibration = output.calibration
        self.network = _network(bundle)
        self.preprocess = build_preprocessing(read_inference_config(bundle))
        self._cam = CAM(
            self.network,
            target_layers="layer4",
            fc_layers="fc",
            upsampler=lambda _size: lambda maps: maps,
            postprocessing=lambda maps: maps,
        )

    def probabilities(self, images: Sequence[Array]) -> list[float]:
        """Classify a batch."""
        batch = torch.cat([self.preprocess(to_batch(image)) for image in images])
        with torch.no_grad():
            logits = self.network(batch)[:, 0]
        scaled = logits.double() / self.calibration.temperature + self.calibration.bias
        return [float(each) for each in torch.sigmoid(scaled)]

    def with_map(self, image: Array) -> tuple[float, Array]:
        """Classify one image, and map the evidence on its grid."""
        (probability,) = self.probabilities([image])
        with torch.no_grad():
            maps = self._cam(self.preprocess(to_batch(image)))
        full = functional.interpolate(torch.as_tensor(maps), image.shape, mode="bilinear")
        bias = self.network.get_submodule("fc").bias  # which CAM adds to each cell, and we do not
        return probability, np.asarray((full[0, 0] - torch.as_tensor(bias).detach()).numpy())


def _network(bundle: Path) -> nn.Module:
    network = build_network(network_definition(bundle))
    load_weights(network, bundle / load_manifest(bundle).weights.file)
    return network.eval()


class Segmenter:
    """The segmentation, with labels brought back to the volume's grid, or probabilities as most bundles do it."""

    def __init__(self, bundle: Path, *, argmax_last: bool = False) -> None:
        wanted = load_manifest(bundle).input
        assert isinstance(wanted, VolumeInput)
        assert wanted.window
        assert wanted.spacing_mm
        self.network = _network(bundle)
        self.before = Compose(
            [
                EnsureChannelFirstd("image", channel_dim="no_channel"),
                Orientationd("image", axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S"))),
                Spacingd("image", pixdim=wanted.spacing_mm, mode="bilinear"),
                ScaleIntensityRanged("image", LOW, HIGH, 0.0, 1.0, clip=True),
                EnsureTyped("image"),
            ]
        )
        self.inferer = SlidingWindowInferer(
            roi_size=wanted.window, sw_batch_size=4, overlap=wanted.overlap, mode=wanted.blend
        )
        back = Invertd("pred", self.before, orig_keys="image", nearest_interp=not argmax_last, to_tensor=True)
        argmax = AsDiscreted("pred", argmax=True)
        self.after = Compose(
            [Activationsd("pred", softmax=True), back, argmax] if argmax_last else [argmax, back]
        )

    def labels(self, volume: Volume) -> npt.NDArray[np.uint8]:
        """Segment a volume, on its own grid."""
        affine = torch.from_numpy(np.diag([-1.0, -1, 1, 1]) @ volume.affine)
        ready: dict[str, Any] = dict(self.before({"image": MetaTensor(volume.values, affine=affine)}))
        with torch.no_grad():
            logits = self.inferer(ready["image"].as_tensor()[None], self.network)
        done: dict[str, Any] = dict(self.after({"image": ready["image"], "pred": logits[0]}))
        return np.asarray(done["pred"][0].numpy().astype(np.uint8))
