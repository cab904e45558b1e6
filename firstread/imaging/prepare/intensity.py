"""Steps that change values: window, z-score, percentiles, bias field."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from firstread.imaging.prepare.base import Figures, References, Step
from firstread.imaging.prepare.subject import Array, PrepareError, PrepareReason, Subject
from firstread.imaging.volume import image_of

Preset = Literal["soft_tissue", "lung", "bone", "brain"]

WINDOWS: dict[Preset, tuple[float, float]] = {
    "soft_tissue": (40.0, 400.0),
    "lung": (-600.0, 1500.0),
    "bone": (480.0, 2500.0),
    "brain": (40.0, 80.0),
}
"""Centre and width in Hounsfield units, as the viewer has them."""

_UNITY = "1"  # UCUM


class Window(Step):
    """Limit values to a window: half its width below the centre to half above (PS3.3 C.11.2.1.3.2, LINEAR_EXACT).

    Parameters
    ----------
    preset
        Of CT, in place of centre and width.
    centre, width
        In the units of the volume.
    scale
        What both ends become; null keeps the units.
    """

    kind: Literal["window"] = "window"
    preset: Preset | None = None
    centre: float | None = None
    width: Annotated[float, Field(gt=0)] | None = None
    scale: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        given = (self.preset is not None, self.centre is not None, self.width is not None)
        if given not in {(True, False, False), (False, True, True)}:
            raise ValueError("either a preset, or centre and width")
        return self

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for colour, and a preset for values that are not in Hounsfield units."""
        subject.require(still=False, upright=False, placed=False)
        if self.preset is not None:
            if subject.volume.modality not in ("CT", "") or subject.volume.units not in ("[hnsf'U]", ""):
                raise PrepareError(PrepareReason.WRONG_MODALITY)
            centre, width = WINDOWS[self.preset]
        else:
            centre, width = self.centre or 0.0, self.width or 1.0  # both are there: see above
        low, high = centre - width / 2, centre + width / 2
        share = _outside_share(subject.chosen(None), low, high)
        return _limited(subject, low, high, self.scale), {"low": low, "high": high, "limited": share}


def _outside_share(values: Array, low: float, high: float) -> float:
    return round(float(((values < low) | (values > high)).mean()), 6)


def _limited(subject: Subject, low: float, high: float, scale: tuple[float, float] | None) -> Subject:
    values = subject.volume.values
    if scale is not None:
        made = (np.clip(_real(values), low, high) - low) * ((scale[1] - scale[0]) / (high - low)) + scale[0]
        return subject.with_values(made.astype(np.float32, copy=False), _UNITY)
    if values.dtype.kind in "iu" and float(low).is_integer() and float(high).is_integer():
        ends = np.iinfo(values.dtype)  # a limit that the type does not hold limits nothing
        return subject.with_values(
            np.clip(values, max(low, ends.min), min(high, ends.max)).astype(values.dtype)
        )
    return subject.with_values(np.clip(_real(values), low, high))


def _real(values: Array) -> Array:
    """Return them in the smaller type of real numbers that holds each of them."""
    return values.astype(np.result_type(values.dtype, np.float32), copy=False)


class ZScore(Step):
    """Subtract the mean and divide by the standard deviation.

    Parameters
    ----------
    mask
        Where both are measured; everywhere if null. All values are changed.
    """

    kind: Literal["zscore"] = "zscore"
    mask: str | None = None

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for colour, values that are not finite, and where all are the same."""
        subject.require(still=False, upright=False, placed=False)
        measured = subject.chosen(self.mask)
        mean, deviation = float(measured.mean(dtype=np.float64)), float(measured.std(dtype=np.float64))
        if deviation <= 1e-12 * max(1.0, abs(mean)):
            raise PrepareError(PrepareReason.FLAT)
        made = ((_real(subject.volume.values) - mean) / deviation).astype(np.float32, copy=False)
        return subject.with_values(made, _UNITY), {"mean": mean, "deviation": deviation}


class Percentiles(Step):
    """Limit values to two percentiles and scale what is between.

    Parameters
    ----------
    low, high
        Percentiles, by linear interpolation between values.
    scale
        What they become.
    mask
        Where they are measured; everywhere if null. All values are changed.
    """

    kind: Literal["percentiles"] = "percentiles"
    low: Annotated[float, Field(ge=0, le=100)] = 0.5
    high: Annotated[float, Field(ge=0, le=100)] = 99.5
    scale: tuple[float, float] = (0.0, 1.0)
    mask: str | None = None

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for colour, values that are not finite, and where both are the same."""
        subject.require(still=False, upright=False, placed=False)
        low, high = (float(each) for each in np.percentile(subject.chosen(self.mask), [self.low, self.high]))
        if not low < high:
            raise PrepareError(PrepareReason.FLAT)
        return _limited(subject, low, high, self.scale), {"low": low, "high": high}


class BiasField(Step):
    """Divide an MR image by its slow change of brightness, as N4 finds it (Tustison et al. 2010, by SimpleITK).

    Parameters
    ----------
    shrink
        The field is fitted on every so manyth voxel of an axis, as far as the axis has 4 left; then evaluated on all.
    iterations
        At most, on each level.
    mask
        Where it is fitted; where Otsu's threshold finds something bright if null.
    """

    kind: Literal["bias_field"] = "bias_field"
    shrink: Annotated[int, Field(ge=1, le=16)] = 4
    iterations: Annotated[
        tuple[Annotated[int, Field(ge=1, le=500)], ...], Field(min_length=1, max_length=6)
    ] = (50, 50, 50, 50)
    mask: str | None = None

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for anything but one upright MR volume without negative values."""
        import SimpleITK

        subject.require(placed=False)
        if subject.volume.modality not in ("MR", ""):
            raise PrepareError(PrepareReason.WRONG_MODALITY)
        values = subject.chosen(None)
        if values.min() < 0:
            raise PrepareError(PrepareReason.NEGATIVE)
        if values.min() == values.max():
            raise PrepareError(PrepareReason.FLAT)
        image = image_of(subject.volume.values.astype(np.float32), subject.volume.affine)
        if self.mask is None:
            where = SimpleITK.OtsuThreshold(image, 0, 1, 200)
        else:
            where = image_of(subject.mask(self.mask).astype(np.uint8), subject.volume.affine)
        factors = [max(1, min(self.shrink, size // 4)) for size in image.GetSize()]
        correct = SimpleITK.N4BiasFieldCorrectionImageFilter()
        correct.SetMaximumNumberOfIterations(list(self.iterations))
        correct.SetNumberOfThreads(1)  # sums in one order: the same field on each machine
        try:
            correct.Execute(SimpleITK.Shrink(image, factors), SimpleITK.Shrink(where, factors))
        except RuntimeError:  # the shrunken mask has nothing left, or the grid is too small for its splines
            raise PrepareError(PrepareReason.EMPTY_MASK) from None
        found = SimpleITK.GetArrayFromImage(correct.GetLogBiasFieldAsImage(image))
        inside = SimpleITK.GetArrayViewFromImage(where) > 0
        field = np.exp(found - found[inside].mean())  # N4 leaves open how bright all is: here, as it was
        figures: Figures = {"field_low": float(field[inside].min()), "field_high": float(field[inside].max())}
        return subject.with_values((subject.volume.values / field).astype(np.float32)), figures
