"""The training configuration: one YAML file, validated before anything is read."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceConfig(_Strict):
    """Images of one class from one place; a class may have several sources."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="the place; sources of one name are one place")
    label: str = Field(description="one of the classes")
    files: str = Field("", description="glob under the data folder, or under the package")
    package: str | None = Field(None, description="installed package that brings the files along")
    reader: Literal["image", "nifti", "dicom", "remapped", "synthetic"] = "image"
    use: Literal["split", "train", "external"] = Field(
        "split", description="split like the rest, for training only, or held out whole for the external test"
    )
    patient: str | None = Field(
        None, description="regular expression with one group, the patient; without it a file is one"
    )
    one_patient: bool = Field(False, description="whether all files are of one patient")
    between: tuple[float, float] = Field(
        (0.0, 1.0), description="slices that are read, as shares of the length"
    )
    axes: tuple[Literal[0, 1, 2], ...] = Field((2,), description="array axes along which a volume is sliced")
    windows: tuple[tuple[float, float], ...] = Field(
        (), description="centre and width of the windows that are applied; the whole range without any"
    )
    limit: int | None = Field(
        None,
        gt=0,
        description="files (slices or frames of each volume, synthetic images) at most, evenly spread",
    )

    @model_validator(mode="after")
    def _one_group(self) -> Self:
        if self.patient is not None and re.compile(self.patient).groups != 1:
            raise ValueError("patient needs exactly one group")
        if not self.files and self.reader != "synthetic":
            raise ValueError("a source needs files")
        return self


class DataConfig(_Strict):
    """Classes, sources, de-duplication and split."""

    classes: tuple[str, ...] = Field(min_length=2, description="of two, the second is the finding")
    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    side: int | None = Field(
        default=None, gt=0, description="squash images to this on reading; else all are equal"
    )
    colour: bool = Field(default=False, description="whether images keep their colour")
    duplicate_distance: int = Field(
        ge=0, description="perceptual-hash bits at or under which one image is dropped"
    )
    link_distance: int = Field(ge=0, description="perceptual-hash bits at or under which two groups are one")
    link_correlation: float | None = Field(
        default=None, gt=0, le=1, description="correlation of shifted images from which two groups are one"
    )
    drop_conflicting_links: bool = Field(
        default=False, description="whether linked images of different classes are dropped"
    )
    validation_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _known_labels(self) -> Self:
        if {source.label for source in self.sources} - set(self.classes):
            raise ValueError("a source names a class that is not there")
        return self


class AugmentConfig(_Strict):
    """Ranges of the random changes; each is drawn per image."""

    rotate_degrees: float = 12.0
    scale: float = 0.15
    translate: float = 0.08
    flip: bool = True
    black_corners: float = Field(
        1.0, ge=0, le=1, description="share of batches padded with black, not repeated"
    )
    quarter_turns: bool = False
    log_gamma: float = 0.7
    clip: float = 0.12
    invert: float = Field(default=0.0, ge=0, le=1, description="share of images shown as their negative")
    tint: float = Field(
        default=0.0, ge=0, le=1, description="share of images that lose or gain a colour cast"
    )
    bias_field: float = 0.25
    noise: float = 0.04
    blur_sigma: float = 2.5
    border: float = 0.12
    marks: float = Field(
        default=0.0, ge=0, le=1, description="share of images with calipers and letters drawn in"
    )
    probability: float = Field(default=0.5, ge=0, le=1)


class TrainConfig(_Strict):
    """Everything that decides a training run besides the data."""

    bundle: Path = Field(description="bundle folder, relative to the configuration file")
    seed: int
    epochs: int = Field(gt=0)
    epoch_images: int | None = Field(
        default=None,
        gt=0,
        description="images per epoch, drawn so that classes, and sources in a class, are equally frequent; "
        "each image once without it",
    )
    batch_size: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    label_smoothing: float = Field(ge=0, lt=0.5)
    average_decay: float = Field(ge=0, lt=1, description="decay of the weight average that becomes the model")
    initial: Path | None = Field(
        default=None, description="weights to start from, all but the last layer, relative to this file"
    )
    cut_frame: bool = Field(
        description="whether training images lose their dark frame, as they do at inference"
    )
    threads: int = Field(gt=0)
    min_specificity: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.90, description="two classes: the threshold is the lowest that reaches it on validation"
    )
    min_coverage: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.97, description="more classes: share of the validation images that must get an answer"
    )
    overlay_quantile: float = Field(default=0.95, gt=0, le=1)
    bootstrap: int = Field(ge=1000)
    shortcuts: tuple[str, ...] = Field(
        default=(), description="further changes that the evaluation asks about"
    )
    subgroups: dict[str, str] = Field(
        default={}, description="regular expression on folder/name by the subgroup's name"
    )
    data: DataConfig
    augment: AugmentConfig
    schedule: Literal["one_cycle"] = "one_cycle"


def load_config(path: Path) -> TrainConfig:
    """Read and validate a training configuration.

    Parameters
    ----------
    path : pathlib.Path
        The YAML file; ``bundle`` and ``initial`` are taken relative to its folder.

    Returns
    -------
    TrainConfig
        The configuration with absolute paths.
    """
    config = TrainConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    initial = config.initial and (path.parent / config.initial).resolve()
    return config.model_copy(update={"bundle": (path.parent / config.bundle).resolve(), "initial": initial})
