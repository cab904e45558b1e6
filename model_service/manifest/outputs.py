"""How what a network returns becomes findings."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from model_service.manifest.base import (
    Calibration,
    CodedConcept,
    OperatingPoint,
    Probability,
    RiskPolicy,
    Strict,
)


class FindingDefinition(Strict):
    """The finding that a model looks for."""

    label: str = Field(min_length=1, description="what readers see")
    concept: CodedConcept = Field(description="the finding's code")
    site: CodedConcept = Field(description="where in the body")


class Overlay(Strict):
    """How the activation map is made and scaled."""

    kind: Literal["class_activation_map"]
    feature_layer: str = Field(
        min_length=1, description="module whose output is averaged into the linear layer"
    )
    linear_layer: str = Field(min_length=1, description="the linear layer")
    scale: float = Field(gt=0, description="raw activation that is shown as 1; the same for every image")


class ScoredClass(Strict):
    """One output channel that is a finding with a probability."""

    channel: int = Field(ge=0)
    finding: FindingDefinition
    operating_point: OperatingPoint
    risk: RiskPolicy


class Classification(Strict):
    """One score per channel; ``sigmoid`` scores channels by themselves, ``softmax`` against each other."""

    task: Literal["classification"]
    activation: Literal["sigmoid", "softmax"]
    calibration: Calibration
    classes: tuple[ScoredClass, ...] = Field(min_length=1)
    overlay: Overlay | None = None


class KindOfImage(Strict):
    """One class of a model that tells kinds of images apart: the facts that it stands for."""

    channel: int = Field(ge=0)
    label: str = Field(min_length=1)
    modalities: tuple[str, ...] = Field(description="values of Modality (0008,0060) that agree with it")
    body_parts: tuple[str, ...] = Field(
        description="values of Body Part Examined (0018,0015) that agree with it"
    )


class Recognition(Strict):
    """What kind of image it is, from its pixels: a help to routing, which flags nothing."""

    task: Literal["recognition"]
    calibration: Calibration
    classes: tuple[KindOfImage, ...] = Field(min_length=2)
    unknown_below: Probability = Field(
        description="a calibrated probability below it is the answer 'unknown'"
    )


class Segment(Strict):
    """One segment: its number in the label map, and what it is."""

    number: int = Field(ge=1, le=255)
    label: str = Field(min_length=1, max_length=64)
    category: CodedConcept = Field(description="Segmented Property Category (PS3.16 CID 7150)")
    concept: CodedConcept = Field(description="Segmented Property Type (PS3.16 CID 7151)")
    site: CodedConcept | None = None
    colour: tuple[int, int, int] = Field((255, 196, 0), description="sRGB of the overlay and of the segment")
    measure: tuple[Literal["volume", "area"], ...] = ()


class Segmentation(Strict):
    """A label map: ``softmax`` takes the largest channel, channel 0 being background; ``sigmoid`` a threshold each.

    With ``sigmoid``, channel n - 1 is segment n.
    """

    task: Literal["segmentation"]
    activation: Literal["softmax", "sigmoid"]
    threshold: Probability = Field(0.5, description="of a sigmoid")
    segments: tuple[Segment, ...] = Field(min_length=1)
    keep_largest: bool = Field(False, description="only the largest connected part of each segment")

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        if [each.number for each in self.segments] != list(range(1, len(self.segments) + 1)):
            raise ValueError("segments are numbered from 1 without gaps")
        return self


class Detection(Strict):
    """Boxes: connected parts of a score map above a threshold; the score of a box is the largest inside it."""

    task: Literal["detection"]
    channel: int = Field(0, ge=0)
    finding: FindingDefinition
    candidate_threshold: Probability = Field(description="of the score map; parts above it are candidates")
    min_pixels: int = Field(
        1, ge=1, description="smaller parts are passed over; in pixels of the network's map"
    )
    max_boxes: int = Field(10, ge=1, le=100, description="the highest scores are kept")
    calibration: Calibration
    operating_point: OperatingPoint
    risk: RiskPolicy


ModelOutput = Annotated[Classification | Recognition | Segmentation | Detection, Field(discriminator="task")]
