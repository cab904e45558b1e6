"""What a trained volume model says of a DICOM series that has no reference."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import torch
from monai.data.meta_tensor import MetaTensor
from torch import nn

from firstread.imaging.series import load_volume
from model_service.training.segmentation.config import SegmentationConfig
from model_service.training.segmentation.data import plain
from model_service.training.segmentation.network import BundleParts
from model_service.training.segmentation.predict import infer, masks

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def describe_series(
    folder: Path, network: nn.Module, parts: BundleParts, chosen: dict[str, Any], config: SegmentationConfig
) -> dict[str, Any]:
    """Segment a series and report the volumes, and how sure the network is.

    Parameters
    ----------
    folder : pathlib.Path
        Holds the instances of one series.
    network, parts, chosen, config
        As in the evaluation.

    Returns
    -------
    dict
        Per class: volume in mm3, share of it in the largest part, and mean probability inside; and whether the
        segment touches the edge of the volume.
    """
    instances = [pydicom.dcmread(path) for path in sorted(folder.iterdir()) if path.is_file()]
    volume = load_volume(instances)
    image = MetaTensor(
        torch.from_numpy(volume.values)[None], affine=torch.from_numpy(_LPS_TO_RAS @ volume.affine)
    )
    image = parts.preprocessing()({"image": image})["image"]
    logits = infer(plain(image).float(), network, parts.inferer())
    probabilities = torch.softmax(logits.double() / chosen["calibration"]["temperature"], dim=0)[1:].numpy()
    voxel = float(np.prod(np.linalg.norm(image.affine.numpy()[:3, :3], axis=0)))
    keep = chosen["operating_point"]["keep_largest"]
    result: dict[str, Any] = {
        "shape": list(volume.values.shape),
        "spacing_mm": list(volume.spacing_mm),
        "model_shape": list(logits.shape[1:]),
    }
    decided = masks(logits, 0.5, keep_largest=keep)
    whole, largest = (masks(logits, 0.5, keep_largest=each) for each in (False, True))
    for name, mask, every, part, probability in zip(
        config.classes, decided, whole, largest, probabilities, strict=True
    ):
        result[name] = {
            "volume_mm3": float(mask.sum()) * voxel,
            "largest_part_share": float(part.sum() / max(1, every.sum())),
            "mean_probability_inside": float(probability[mask].mean()) if mask.any() else None,
            "touches_edge": bool(_touches_edge(mask)),
        }
    return result


def _touches_edge(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> bool:
    return any(mask.take([0, -1], axis=axis).any() for axis in range(mask.ndim))
