"""``firstread.yaml``: what the pipeline must know of a bundle beyond what MONAI's metadata says."""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, model_validator

from firstread.routing import RoutingRule
from model_service.manifest.base import (
    Calibration,
    CodedConcept,
    OperatingPoint,
    RiskPolicy,
    Sha256,
    Strict,
)
from model_service.manifest.inputs import ImageInput, ModelInput, VolumeInput
from model_service.manifest.outputs import (
    Classification,
    Detection,
    FindingDefinition,
    KindOfImage,
    ModelOutput,
    Overlay,
    Recognition,
    ScoredClass,
    Segment,
    Segmentation,
)

MANIFEST = "firstread.yaml"

__all__ = [
    "MANIFEST",
    "BundleManifest",
    "Calibration",
    "Classification",
    "CodedConcept",
    "Detection",
    "FindingDefinition",
    "Graph",
    "ImageInput",
    "KindOfImage",
    "OperatingPoint",
    "Overlay",
    "Recognition",
    "RiskPolicy",
    "ScoredClass",
    "Segment",
    "Segmentation",
    "TrainingData",
    "VolumeInput",
    "Weights",
    "load_manifest",
]


class Weights(Strict):
    """The weights file and its digest, checked at every load."""

    file: str = Field(pattern=r"^models/[A-Za-z0-9_.-]+\.safetensors$")
    sha256: Sha256
    bytes: int = Field(gt=0)


class Graph(Strict):
    """The exported ONNX graph, whose weights are those of the weights file; its outputs are named below.

    The first output is the logits or the score map: N x channels, or N x channels x spatial. A classifier with an
    overlay has a second one, the raw activation maps: N x classes x rows x columns.
    """

    file: str = Field(pattern=r"^models/[A-Za-z0-9_.-]+\.onnx$")
    sha256: Sha256


class TrainingData(Strict):
    """What the model was trained and tested on."""

    source: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    split_sha256: Sha256 | None = Field(None, description="digest of docs/split.csv, the frozen split")


class BundleManifest(Strict):
    """The whole of ``firstread.yaml``.

    Examples
    --------
    >>> from pathlib import Path
    >>> load_manifest(Path("model_service/bundles/cxr_opacity")).name
    'cxr_opacity'
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="the bundle's folder name")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="the same as in configs/metadata.json")
    title: str = Field(min_length=1, max_length=200)
    research_use_only: Literal[True]
    intended_use: str = Field(min_length=1)
    routing: RoutingRule
    input: ModelInput
    output: ModelOutput
    weights: Weights
    graph: Graph | None = Field(None, description="made by `firstread model add`, checked at every load")
    timeout_seconds: int = Field(300, ge=1, le=3600, description="an analysis that takes longer has failed")
    data: TrainingData

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if isinstance(self.input, VolumeInput) != (self.routing.series is not None):
            raise ValueError("a volume is one series: input.kind volume and routing.series go together")
        if isinstance(self.input, VolumeInput) and not isinstance(self.output, Segmentation):
            raise ValueError("of a volume, only a segmentation is understood")
        return self

    @property
    def model_id(self) -> str:
        """Return the identity that results carry: name and version."""
        return f"{self.name}@{self.version}"


def load_manifest(bundle: Path) -> BundleManifest:
    """Read and validate the manifest of a bundle.

    Parameters
    ----------
    bundle : pathlib.Path
        The bundle folder.

    Returns
    -------
    BundleManifest
        Frozen.
    """
    return BundleManifest.model_validate(yaml.safe_load((bundle / MANIFEST).read_text(encoding="utf-8")))
