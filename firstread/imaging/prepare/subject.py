"""What steps work on: a volume with masks on its grid; and why one of them cannot."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.errors import FirstReadError
from firstread.imaging.slices import Matrix
from firstread.imaging.verdict import Geometry
from firstread.imaging.volume import SourceFrame, Volume

Array = npt.NDArray[Any]
Mask = npt.NDArray[Any]  # bool or uint8: `Subject` takes no other
Shape = tuple[int, int, int]


class PrepareReason(StrEnum):
    """Why a step cannot do what it is asked to; never carries a value of a volume."""

    COLOUR = "colour"
    IN_TIME = "in_time"
    SHEARED = "sheared_affine"
    NO_PLACE = "no_place_in_the_patient"
    NOT_A_VOLUME = "not_a_volume"
    WRONG_MODALITY = "wrong_modality"
    NOT_FINITE = "not_finite"
    NEGATIVE = "negative_values"
    FLAT = "no_contrast"
    NO_SUCH_MASK = "no_such_mask"
    MASK_EXISTS = "mask_exists"
    EMPTY_MASK = "empty_mask"
    BAD_MASK = "bad_mask"
    NO_SUCH_REFERENCE = "no_such_reference"
    NOT_REGISTERED = "not_registered"
    TOO_LARGE = "too_large"


class PrepareError(FirstReadError):
    """A step that cannot do what it is asked to.

    Parameters
    ----------
    reason
        The typed reason.
    step
        Its place among the steps, 1 first, and its kind; "" where no step was at work.
    """

    def __init__(self, reason: PrepareReason, step: str = "") -> None:
        super().__init__(f"{step}: {reason.value}" if step else reason.value)
        self.reason = reason
        self.step = step


@dataclass(frozen=True)
class Subject:
    """A volume and masks on its grid.

    Parameters
    ----------
    volume
        The volume.
    masks : mapping of str to numpy.ndarray
        Each slices x rows x columns, bool, or uint8 with a number for each label.

    Raises
    ------
    PrepareError
        ``bad_mask`` if a mask has another type or shape; ``not_a_volume`` if the values have no three dimensions.
    """

    volume: Volume
    masks: Mapping[str, Mask] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.volume.values.ndim - self.volume.is_colour not in (3, 4) or 0 in self.shape:
            raise PrepareError(PrepareReason.NOT_A_VOLUME)
        for mask in self.masks.values():
            if mask.shape != self.shape or mask.dtype not in (np.bool_, np.uint8):
                raise PrepareError(PrepareReason.BAD_MASK)

    @property
    def shape(self) -> Shape:
        """Return the numbers of slices, rows and columns."""
        first = int(self.volume.is_in_time)
        slices, rows, columns = self.volume.values.shape[first : first + 3]
        return slices, rows, columns

    @property
    def frames(self) -> tuple[SourceFrame, ...]:
        """Return what each slice was; () where there is not one for each, as of several times."""
        return self.volume.frames if len(self.volume.frames) == self.shape[0] else ()

    def mask(self, name: str) -> npt.NDArray[np.bool_]:
        """Return where a mask is set.

        Raises
        ------
        PrepareError
            ``no_such_mask``, or ``empty_mask`` if it is set nowhere.
        """
        if name not in self.masks:
            raise PrepareError(PrepareReason.NO_SUCH_MASK)
        found: npt.NDArray[np.bool_] = self.masks[name] != 0
        if not found.any():
            raise PrepareError(PrepareReason.EMPTY_MASK)
        return found

    def chosen(self, name: str | None) -> Array:
        """Return the values below a mask, or all of them, one after the other; checked to be finite."""
        values = self.volume.values
        found = values.ravel() if name is None else values[..., self.mask(name)].ravel()
        if not np.isfinite(found).all():
            raise PrepareError(PrepareReason.NOT_FINITE)
        return found

    def with_values(self, values: Array, units: str | None = None) -> "Subject":
        """Return it with other values in the same places; in other units, if given."""
        changed = replace(self.volume, values=values, units=self.volume.units if units is None else units)
        return replace(self, volume=changed)

    def moved(
        self,
        values: Array,
        affine: Matrix,
        masks: Mapping[str, Mask],
        frames: tuple[SourceFrame, ...] = (),
    ) -> "Subject":
        """Return it on another grid."""
        return Subject(replace(self.volume, values=values, affine=affine, frames=frames), masks)

    def require(
        self, *, gray: bool = True, still: bool = True, upright: bool = True, placed: bool = True
    ) -> None:
        """Refuse what a step has no meaning for.

        Parameters
        ----------
        gray, still
            Whether colour, and several times, are refused.
        upright, placed
            Whether a sheared affine, and images without a place in the patient, are refused.

        Raises
        ------
        PrepareError
            ``colour``, ``in_time``, ``sheared_affine`` or ``no_place_in_the_patient``.
        """
        volume = self.volume
        refused = {
            PrepareReason.COLOUR: gray and volume.is_colour,
            PrepareReason.IN_TIME: still and volume.is_in_time,
            PrepareReason.NO_PLACE: placed and volume.verdict.geometry is Geometry.PLANAR,
            PrepareReason.SHEARED: upright and not volume.is_upright,
        }
        for reason, is_so in refused.items():
            if is_so:
                raise PrepareError(reason)

    def lowest(self) -> float:
        """Return the lowest finite value: what most modalities have where there is nothing."""
        values = self.volume.values
        finite = values if values.dtype.kind != "f" else values[np.isfinite(values)]
        if not finite.size:
            raise PrepareError(PrepareReason.NOT_FINITE)
        return float(finite.min())
