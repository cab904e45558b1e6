"""How a model wants its images: a closed vocabulary, so that a bundle needs no code at inference."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from model_service.manifest.base import Strict

Positive = Annotated[int, Field(gt=0)]


class Rank(Strict):
    """Every value becomes its rank within the image, at unit variance: no exposure, window, gamma or bit depth."""

    kind: Literal["rank"]


class ZScore(Strict):
    """Zero mean and unit variance within the image or volume; values may be cut at percentiles first."""

    kind: Literal["zscore"]
    nonzero: bool = Field(False, description="statistics of values other than zero only, and zero stays zero")
    channel_wise: bool = Field(False, description="each channel of a colour image by itself")
    lower_percentile: float = Field(0.0, ge=0, lt=50)
    upper_percentile: float = Field(100.0, gt=50, le=100)


class Range(Strict):
    """Values from ``low`` to ``high``, in the units of the modality, become ``to_low`` to ``to_high``."""

    kind: Literal["range"]
    low: float
    high: float
    to_low: float = 0.0
    to_high: float = 1.0
    clip: bool = True

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


class MinMax(Strict):
    """The smallest value becomes ``to_low``, the largest ``to_high``; or the percentiles named."""

    kind: Literal["minmax"]
    lower_percentile: float = Field(0.0, ge=0, lt=50)
    upper_percentile: float = Field(100.0, gt=50, le=100)
    to_low: float = 0.0
    to_high: float = 1.0
    clip: bool = True


class Unchanged(Strict):
    """Brightness between 0 and 1 as rendered (an image), or the units of the modality (a volume)."""

    kind: Literal["unchanged"]


Intensity = Annotated[Rank | ZScore | Range | MinMax | Unchanged, Field(discriminator="kind")]


class ImageInput(Strict):
    """Two-dimensional images, each by itself."""

    kind: Literal["image"]
    channels: Literal[1, 3] = Field(1, description="1: luminance, MONOCHROME2 polarity; 3: RGB")
    frames: Literal["first", "middle", "all"] = Field(
        "middle", description="which frames of a multi-frame image"
    )
    values: Literal["brightness", "modality"] = Field(
        "brightness", description="0 to 1 over the whole range without a window, or the modality's units"
    )
    cut_frame: bool = Field(False, description="whether a dark frame is cut off first")
    size: tuple[Positive, Positive] | None = Field(None, description="rows and columns; None keeps the size")
    fit: Literal["squash", "letterbox"] = Field("squash", description="letterbox keeps the aspect and pads")
    multiple_of: Positive = Field(
        1, description="padded at the end to a multiple of this, and cut again after"
    )
    window: tuple[Positive, Positive] | None = Field(
        None, description="sliding window; None: the whole image at once"
    )
    overlap: float = Field(0.25, ge=0, lt=1)
    blend: Literal["constant", "gaussian"] = "gaussian"
    columns_first: bool = Field(
        False, description="the network sees columns x rows, as MONAI's readers of pictures give them"
    )
    intensity: Intensity

    @property
    def network_size(self) -> tuple[int, ...] | None:
        """Return the rows and columns that the network sees; None where they follow the image."""
        if self.window or not self.size:
            return self.window
        return tuple(-(-each // self.multiple_of) * self.multiple_of for each in self.size)


class VolumeInput(Strict):
    """A volume made of one series."""

    kind: Literal["volume"]
    orientation: str = Field(
        "RAS", pattern=r"^[RLAPSI]{3}$", description="towards which side each axis grows"
    )
    spacing_mm: tuple[float, float, float] | None = Field(
        None, description="resampled to this, in the order of orientation; None keeps the spacing"
    )
    crop_foreground: bool = Field(False, description="cut to the box of values above the smallest")
    multiple_of: Positive = Field(1, description="padded to a multiple of this, and cut again after")
    window: tuple[Positive, Positive, Positive] | None = Field(None, description="sliding window")
    overlap: float = Field(0.25, ge=0, lt=1)
    blend: Literal["constant", "gaussian"] = "gaussian"
    intensity: Intensity

    @property
    def channels(self) -> int:
        """Return the channels of the network's input."""
        return 1

    @property
    def network_size(self) -> tuple[int, ...] | None:
        """Return the shape that the network sees; None where it follows the volume."""
        return self.window


ModelInput = Annotated[ImageInput | VolumeInput, Field(discriminator="kind")]
