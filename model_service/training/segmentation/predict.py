"""Whole cases through a trained network, as the bundle's configuration says."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import label as connected_parts
from torch import Tensor, nn
from torch.nn import functional

from model_service.training.segmentation.config import SegmentationConfig
from model_service.training.segmentation.data import (
    Case,
    open_volume,
    plain,
    read_field,
    read_image,
    read_label,
)
from model_service.training.segmentation.network import Inferer, Preprocessing


@dataclass(frozen=True)
class Predicted:
    """A case with what the network says of it, on the original grid.

    Parameters
    ----------
    case : Case
        The case.
    seen : torch.Tensor
        Logits on the network's grid, classes x spatial: masks are decided here, as the model service does.
    logits : torch.Tensor
        The same on the original grid.
    label : numpy.ndarray
        The reference: 0 background, 1 and on the classes.
    field : numpy.ndarray
        Where figures are computed.
    spacing : tuple of float
        Millimetres of a volume, 1 of a photograph.
    """

    case: Case
    seen: Tensor
    logits: Tensor
    label: npt.NDArray[np.int64]
    field: npt.NDArray[np.bool_]
    spacing: tuple[float, ...]

    def decide(self, threshold: float, *, keep_largest: bool) -> list[npt.NDArray[np.bool_]]:
        """Return the mask of every foreground class, brought to the original grid by the nearest voxel."""
        found = masks(self.seen, threshold, keep_largest=keep_largest)
        return [_nearest(mask, self.label.shape) for mask in found]

    def probabilities(self, temperature: float = 1.0) -> npt.NDArray[np.float64]:
        """Return foreground classes x spatial."""
        scaled = self.logits.double() / temperature
        if len(scaled) == 1:
            return np.asarray(torch.sigmoid(scaled).numpy())
        return np.asarray(torch.softmax(scaled, dim=0)[1:].numpy())


def predict_case(
    case: Case,
    network: nn.Module,
    preprocessing: Preprocessing,
    inferer: Inferer,
    config: SegmentationConfig,
) -> Predicted:
    """Run one case through preprocessing, windows and network, and back to its own grid."""
    image = plain(preprocessing({"image": read_image(case)})["image"]).float()
    label = read_label(case, config)
    seen = logits = infer(image, network, inferer)
    if logits.shape[1:] != label.shape:
        logits = functional.interpolate(logits[None], size=label.shape, mode="bilinear")[0]
    spacing: tuple[float, ...] = (1.0,) * label.ndim
    if case.image.name.endswith(".nii.gz"):
        spacing = tuple(float(v) for v in open_volume(case.image).header.get_zooms()[:3])
    return Predicted(case, seen, logits, label, read_field(case), spacing)


def infer(image: Tensor, network: nn.Module, inferer: Inferer) -> Tensor:
    """Return the logits of one preprocessed image, classes x spatial."""
    network.eval()
    with torch.inference_mode():
        return plain(inferer(image[None], network)[0]).clone()


def masks(logits: Tensor, threshold: float, *, keep_largest: bool) -> list[npt.NDArray[np.bool_]]:
    """Decide every foreground class: the largest channel of a softmax, a threshold of a sigmoid.

    Parameters
    ----------
    logits : torch.Tensor
        Classes x spatial.
    threshold : float
        Probability from which a sigmoid is foreground.
    keep_largest : bool
        Whether only the largest connected part (faces touching) of each class stays.
    """
    if len(logits) == 1:
        found = [torch.sigmoid(logits[0].double()).numpy() >= threshold]
    else:
        chosen = logits.argmax(dim=0).numpy()
        found = [chosen == number for number in range(1, len(logits))]
    return [largest_part(mask) for mask in found] if keep_largest else found


def _nearest(mask: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    if mask.shape == shape:
        return mask
    values = torch.from_numpy(mask)[None, None].float()
    return np.asarray(functional.interpolate(values, size=shape, mode="nearest-exact")[0, 0].numpy() > 0)


def largest_part(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the largest connected part of a mask, itself if it has none."""
    parts, count = connected_parts(mask)
    if count < 2:
        return mask
    return np.asarray(parts == 1 + np.bincount(parts.ravel())[1:].argmax())


def fit_temperature(cases: list[Predicted], stride: int) -> float:
    """Return the temperature that minimises the negative log-likelihood of every ``stride``-th voxel in the field.

    The likelihood has one minimum in the inverse temperature; a golden-section search over its logarithm finds it.
    """
    logits = torch.cat([p.logits[:, torch.from_numpy(p.field)][:, ::stride] for p in cases], dim=1).double()
    label = torch.from_numpy(np.concatenate([p.label[p.field][::stride] for p in cases]))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        if len(scaled) == 1:
            return float(functional.binary_cross_entropy_with_logits(scaled[0], label.double()))
        return float(functional.cross_entropy(scaled.T, label))

    low, high, ratio = -2.0, 2.0, (5**0.5 - 1) / 2
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
