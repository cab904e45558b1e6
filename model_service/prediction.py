"""What goes into a model and what comes out, before anything of it is written; no torch, no AWS, no DICOM."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from firstread.imaging.volume import Volume
from model_service.manifest import BundleManifest

Image = npt.NDArray[np.float32]
"""Rows x columns, or rows x columns x 3, brightness in [0, 1] (`manifest.inputs.ImageInput.values`)."""
LabelMap = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Classified:
    """What a classifier or a recognition says of one image.

    Parameters
    ----------
    probabilities : tuple of float
        Calibrated, one per class of the manifest, in its order.
    maps : tuple of numpy.ndarray
        Rows x columns of the image, float32 in [0, 1], one per class, where the bundle has an overlay. Where the
        evidence came from, on a scale that is the same for every image. An attribution, never a contour.
    """

    probabilities: tuple[float, ...]
    maps: tuple[npt.NDArray[np.float32], ...] = ()


@dataclass(frozen=True)
class Segmented:
    """A label map on the grid of the source.

    Parameters
    ----------
    labels : numpy.ndarray
        Slices x rows x columns of a volume, rows x columns of an image; 0 is background.
    """

    labels: LabelMap


@dataclass(frozen=True)
class Box:
    """One detection, in rows and columns of the source image; ``bottom`` and ``right`` are exclusive."""

    probability: float
    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Detected:
    """The detections on one image, the highest score first.

    Parameters
    ----------
    boxes : tuple of Box
        Of calibrated probability.
    highest : float
        The highest calibrated score anywhere on the image, box or not.
    """

    boxes: tuple[Box, ...]
    highest: float


Prediction = Classified | Segmented | Detected


class Engine(Protocol):
    """A network on a device.

    Parameters
    ----------
    name
        Such as ``onnxruntime``, ``openvino``, ``torch-cpu``, ``torch-cuda``.
    precision
        ``fp32``, ``bf16`` or ``fp16``; set explicitly, and recorded with every result.
    """

    name: str
    precision: str

    def run(self, batch: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs of a batch: N x channels x spatial in, as `manifest.Graph` says out."""


class Model(Protocol):
    """A loaded bundle, ready to predict."""

    manifest: BundleManifest
    bundle_sha256: str
    engine: Engine
    size_bytes: int

    def predict(self, inputs: Sequence[Image | Volume]) -> list[Prediction]:
        """Predict for each input; images are batched across studies, a volume by windows."""
