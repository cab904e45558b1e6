"""The training configuration of a segmentation: one YAML file, validated before anything is read."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Strict):
    """Which set, and how it is split."""

    kind: Literal["hippocampus", "vessels"] = Field(description="how the folder is read")
    duplicate_distance: int = Field(
        ge=0, description="perceptual-hash bits at or under which one case is dropped"
    )
    validation_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    sources: tuple[str, ...] | None = Field(
        default=None, description="train and validate on these only; the test keeps all"
    )


class AugmentConfig(_Strict):
    """Ranges of the random changes; each is drawn per patch."""

    rotate_degrees: float = Field(ge=0, description="about each axis")
    scale: float = Field(ge=0, lt=1, description="per axis, besides one common factor of the same range")
    translate: float = Field(ge=0, description="voxels, where a patch is centred on the whole image")
    flip_axes: tuple[int, ...] = Field(description="spatial axes that may be mirrored")
    centre: Literal["image", "anywhere"] = Field(description="where patches lie")
    log_gamma: float = Field(ge=0)
    gain: float = Field(ge=0, description="per channel, around 1")
    offset: float = Field(ge=0, description="per channel, in standard deviations")
    bias_field: float = Field(ge=0)
    noise: float = Field(ge=0, description="in standard deviations")
    blur_sigma: float = Field(ge=0, description="voxels")
    probability: float = Field(ge=0, le=1, description="of each change of intensity")


class EarlierPlan(_Strict):
    """How many epochs the rate was planned for at first, where a run was shortened on its way."""

    until: int = Field(gt=0, description="epochs trained under that plan")
    epochs: int = Field(gt=0)


class SegmentationConfig(_Strict):
    """Everything that decides a training run besides the data."""

    bundle: Path = Field(description="bundle folder, relative to the configuration file")
    seed: int
    epochs: int = Field(gt=0)
    earlier_plan: EarlierPlan | None = None
    steps: int = Field(gt=0, description="optimiser steps per epoch")
    batch_size: int = Field(gt=0)
    patch: tuple[int, ...] = Field(min_length=2, max_length=3)
    activation: Literal["softmax", "sigmoid"]
    classes: tuple[str, ...] = Field(min_length=1, description="names of the foreground classes, label 1 on")
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    average_decay: float = Field(ge=0, lt=1, description="decay of the weight average that becomes the model")
    validate_every: int = Field(gt=0, description="epochs between validations")
    threads: int = Field(gt=0)
    bootstrap: int = Field(ge=1000)
    data: DataConfig
    augment: AugmentConfig

    def planned_epochs(self, epoch: int) -> int:
        """Return the length of the schedule of the learning rate that an epoch, counted from 0, belongs to."""
        earlier = self.earlier_plan
        return earlier.epochs if earlier is not None and epoch < earlier.until else self.epochs

    @model_validator(mode="after")
    def _one_class_for_sigmoid(self) -> "SegmentationConfig":
        if self.activation == "sigmoid" and len(self.classes) != 1:
            raise ValueError("a sigmoid has one foreground class")
        return self


def load_config(path: Path) -> SegmentationConfig:
    """Read and validate a training configuration.

    Parameters
    ----------
    path : pathlib.Path
        The YAML file; ``bundle`` is taken relative to its folder.

    Returns
    -------
    SegmentationConfig
        The configuration with an absolute bundle folder.
    """
    config = SegmentationConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    return config.model_copy(update={"bundle": (path.parent / config.bundle).resolve()})
