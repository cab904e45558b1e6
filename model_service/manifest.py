"""``firstread.yaml``: what the pipeline must know of a bundle beyond what MONAI's metadata says."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from firstread.routing import RoutingRule

MANIFEST = "firstread.yaml"


Probability = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CodedConcept(_Strict):
    """A code of a terminology, as DICOM writes it (PS3.3 section 8.8)."""

    value: str = Field(min_length=1, max_length=64, description="Code Value")
    scheme: str = Field(min_length=1, max_length=16, description="Coding Scheme Designator")
    meaning: str = Field(min_length=1, max_length=64, description="Code Meaning")


class FindingDefinition(_Strict):
    """The finding that the model looks for."""

    label: str = Field(min_length=1, description="what readers see")
    concept: CodedConcept = Field(description="the finding's code")
    site: CodedConcept = Field(description="where in the body")


class OperatingPoint(_Strict):
    """The threshold on the calibrated probability, and what it gave where it was chosen."""

    threshold: Probability = Field(description="an instance at or above it is flagged")
    chosen_on: Literal["validation"] = Field(description="the split it was chosen on; never the test split")
    sensitivity: Probability = Field(description="on that split")
    specificity: Probability = Field(description="on that split")


class RiskPolicy(_Strict):
    """The risk that a result carries to the worklist."""

    flagged: Literal["high"]
    unflagged: Literal["none"] = Field(description="no flag never lowers a study, and never means normal")


class Calibration(_Strict):
    """Temperature scaling: the logit is divided by it before the logistic function."""

    temperature: float = Field(gt=0)
    chosen_on: Literal["validation"]


class Overlay(_Strict):
    """How the activation map is made and scaled."""

    kind: Literal["class_activation_map"]
    feature_layer: str = Field(
        min_length=1, description="module whose output is averaged into the linear layer"
    )
    linear_layer: str = Field(min_length=1, description="the linear layer")
    scale: float = Field(gt=0, description="raw activation that is shown as 1; the same for every image")


class Weights(_Strict):
    """The weights file and its digest, checked at every load."""

    file: str = Field(pattern=r"^models/[A-Za-z0-9_.-]+\.safetensors$")
    sha256: Sha256
    bytes: int = Field(gt=0)


class TrainingData(_Strict):
    """What the model was trained and tested on."""

    source: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    split_sha256: Sha256 = Field(description="digest of docs/split.csv, the frozen split")


class BundleManifest(_Strict):
    """The whole of ``firstread.yaml``.

    Examples
    --------
    >>> from pathlib import Path
    >>> load_manifest(Path("model_service/bundles/cxr_opacity")).name
    'cxr_opacity'
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="the bundle's folder name")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="the same as in configs/metadata.json")
    title: str = Field(min_length=1)
    research_use_only: Literal[True]
    intended_use: str = Field(min_length=1)
    routing: RoutingRule
    finding: FindingDefinition
    operating_point: OperatingPoint
    risk: RiskPolicy
    calibration: Calibration
    overlay: Overlay
    weights: Weights
    data: TrainingData


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
