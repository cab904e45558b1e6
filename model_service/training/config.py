"""The training configuration: one YAML file, validated before anything is read."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Strict):
    """Classes, de-duplication and split."""

    negative: str = Field(description="folder of the images without the finding")
    positive: str = Field(description="folder of the images with the finding")
    duplicate_distance: int = Field(
        ge=0, description="perceptual-hash bits at or under which one image is dropped"
    )
    link_distance: int = Field(ge=0, description="perceptual-hash bits at or under which two groups are one")
    validation_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)


class AugmentConfig(_Strict):
    """Ranges of the random changes; each is drawn per image."""

    rotate_degrees: float = 12.0
    scale: float = 0.15
    translate: float = 0.08
    flip: bool = True
    log_gamma: float = 0.7
    clip: float = 0.12
    bias_field: float = 0.25
    noise: float = 0.04
    blur_sigma: float = 2.5
    border: float = 0.12
    probability: float = Field(default=0.5, ge=0, le=1)


class TrainConfig(_Strict):
    """Everything that decides a training run besides the data."""

    bundle: Path = Field(description="bundle folder, relative to the configuration file")
    seed: int
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    label_smoothing: float = Field(ge=0, lt=0.5)
    average_decay: float = Field(ge=0, lt=1, description="decay of the weight average that becomes the model")
    cut_frame: bool = Field(
        description="whether training images lose their dark frame, as they do at inference"
    )
    threads: int = Field(gt=0)
    min_specificity: float = Field(
        gt=0, lt=1, description="the threshold is the lowest that reaches it on validation"
    )
    overlay_quantile: float = Field(gt=0, le=1)
    bootstrap: int = Field(ge=1000)
    data: DataConfig
    augment: AugmentConfig
    schedule: Literal["one_cycle"] = "one_cycle"


def load_config(path: Path) -> TrainConfig:
    """Read and validate a training configuration.

    Parameters
    ----------
    path : pathlib.Path
        The YAML file; ``bundle`` is taken relative to its folder.

    Returns
    -------
    TrainConfig
        The configuration with an absolute bundle folder.
    """
    config = TrainConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    return config.model_copy(update={"bundle": (path.parent / config.bundle).resolve()})
