"""What all parts of ``firstread.yaml`` share."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Probability = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """A frozen model that refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CodedConcept(Strict):
    """A code of a terminology, as DICOM writes it (PS3.3 section 8.8)."""

    value: str = Field(min_length=1, max_length=64, description="Code Value")
    scheme: str = Field(min_length=1, max_length=16, description="Coding Scheme Designator")
    meaning: str = Field(min_length=1, max_length=64, description="Code Meaning")


class OperatingPoint(Strict):
    """The threshold on the calibrated probability, and what it gave where it was chosen."""

    threshold: Probability = Field(description="a score at or above it is flagged")
    chosen_on: Literal["validation"] = Field(description="the split it was chosen on; never the test split")
    sensitivity: Probability = Field(description="on that split")
    specificity: Probability = Field(description="on that split")


class RiskPolicy(Strict):
    """The risk that a result carries to the worklist."""

    flagged: Literal["high"]
    unflagged: Literal["none"] = Field(description="no flag never lowers a study, and never means normal")


class Calibration(Strict):
    """From logit to probability: logistic(logit / temperature + bias); softmax of logits / temperature."""

    temperature: float = Field(gt=0)
    bias: float = 0.0
    chosen_on: Literal["validation"]
