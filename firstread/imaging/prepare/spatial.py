"""Steps that change the grid: resample, reorient, crop and pad."""

from itertools import permutations
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from firstread.imaging.prepare.base import Figures, References, Step, reference
from firstread.imaging.prepare.grids import Interpolation, boxed, resample, with_spacing
from firstread.imaging.prepare.subject import Array, PrepareError, PrepareReason, Subject
from firstread.imaging.slices import Matrix

Millimetres = Annotated[float, Field(gt=0, le=1000)]
Size = Annotated[int, Field(ge=1, le=100_000)]

_TOWARDS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Axis and sign of a letter in the patient's coordinates, LPS (PS3.3 C.7.6.2.1.1)."""


def _orientation(code: str) -> str:
    if sorted(_TOWARDS.get(letter, (3, 0))[0] for letter in code) != [0, 1, 2]:
        raise ValueError("not one letter each of L and R, A and P, S and I")
    return code


class Resample(Step):
    """Bring a volume onto other voxels, over the same extent.

    Coarser voxels are samples, not means: smooth before, where noise matters.

    Parameters
    ----------
    spacing_mm
        Between slices, rows and columns; one number for all; null keeps one.
    interpolation
        Of values. Of masks, a voxel takes the label that has more than half of it by linear interpolation.
    outside
        Value where there was none; the lowest of the volume if null.
    """

    kind: Literal["resample"] = "resample"
    spacing_mm: Millimetres | tuple[Millimetres | None, Millimetres | None, Millimetres | None]
    interpolation: Interpolation = "linear"
    outside: float | None = None

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for colour, a sheared affine, and images without a place."""
        subject.require(still=False)
        wanted = self.spacing_mm if isinstance(self.spacing_mm, tuple) else (self.spacing_mm,) * 3
        affine, shape = with_spacing(subject.volume.affine, subject.shape, wanted)
        return resample(subject, affine, shape, self.interpolation, self.outside), {}


class ResampleLike(Step):
    """Bring a volume onto the grid of a reference in the same space; nothing is registered.

    Parameters
    ----------
    reference
        Its name among the references.
    interpolation, outside
        As of `Resample`.
    """

    kind: Literal["resample_like"] = "resample_like"
    reference: str
    interpolation: Interpolation = "linear"
    outside: float | None = None

    @property
    def refers_to(self) -> str:
        """Return the name of its reference."""
        return self.reference

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:
        """Do it; refused for colour, a sheared affine, and images without a place."""
        subject.require(still=False)
        fixed = reference(references, self.reference)
        made = resample(subject, fixed.affine, Subject(fixed).shape, self.interpolation, self.outside)
        return made, {}


class Reorient(Step):
    """Turn and swap axes, so that they go as near to three directions as they can; no voxel is changed.

    Parameters
    ----------
    towards
        Where columns, rows and slices go, as ITK and NIfTI name it: in LPS the columns go to the left, rows to the
        back and slices to the head. One letter each of L and R, A and P, S and I.
    """

    kind: Literal["reorient"] = "reorient"
    towards: Annotated[str, AfterValidator(_orientation)] = "LPS"

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for images without a place."""
        subject.require(gray=False, still=False, upright=False)
        volume = subject.volume
        order, flips = _turns(volume.affine, self.towards)
        first = int(volume.is_in_time)
        axes = [*range(first), *(first + each for each in order)]
        values = volume.values.transpose([*axes, *range(len(axes), volume.values.ndim)])
        values = np.flip(values, tuple(first + axis for axis in flips))
        masks = {name: np.flip(mask.transpose(order), tuple(flips)) for name, mask in subject.masks.items()}
        affine = volume.affine[:, [*order, 3]].astype(np.float64)
        for axis in flips:
            affine[:, 3] += affine[:, axis] * (subject.shape[order[axis]] - 1)
            affine[:, axis] *= -1
        frames = subject.frames if order[0] == 0 else ()
        return subject.moved(values, affine, masks, frames[::-1] if 0 in flips else frames), {}


def _turns(affine: Matrix, towards: str) -> tuple[list[int], list[int]]:
    """Return which old axis each new one is, and which new ones are reversed."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    wanted = [_TOWARDS[letter] for letter in reversed(towards)]  # of slices, rows and columns

    def fit(order: tuple[int, ...]) -> float:
        return float(sum(abs(directions[axis, old]) for old, (axis, _) in zip(order, wanted, strict=True)))

    order = max(permutations(range(3)), key=fit)
    signs = [directions[axis, old] * sign for old, (axis, sign) in zip(order, wanted, strict=True)]
    return list(order), [new for new, sign in enumerate(signs) if sign < 0]


class CropToMask(Step):
    """Keep the box around a mask.

    Parameters
    ----------
    mask
        Its name.
    margin_mm
        Around it on each side, rounded up to whole voxels; it ends where the volume ends.
    """

    kind: Literal["crop_to_mask"] = "crop_to_mask"
    mask: str
    margin_mm: Annotated[float, Field(ge=0, le=1000)] = 0.0

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused where the mask is set nowhere."""
        return _around(subject, subject.mask(self.mask), self.margin_mm)


class CropToForeground(Step):
    """Keep the box around all values above a threshold.

    Parameters
    ----------
    above
        The threshold; the lowest value of the volume if null. A single bright voxel counts.
    margin_mm
        As of `CropToMask`.
    """

    kind: Literal["crop_to_foreground"] = "crop_to_foreground"
    above: float | None = None
    margin_mm: Annotated[float, Field(ge=0, le=1000)] = 0.0

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for colour, and where nothing is above."""
        subject.require(still=False, upright=False, placed=False)
        bright: Array = subject.volume.values > (subject.lowest() if self.above is None else self.above)
        if not bright.any():
            raise PrepareError(PrepareReason.FLAT)
        where: Array = np.logical_or.reduce(bright, axis=0) if subject.volume.is_in_time else bright
        return _around(subject, where, self.margin_mm)


def _around(subject: Subject, where: Array, margin_mm: float) -> tuple[Subject, Figures]:
    spacing = subject.volume.spacing_mm
    first, shape = [], []
    for axis in range(3):
        others = tuple(each for each in range(3) if each != axis)
        set_at = np.flatnonzero(where.any(axis=others))
        margin = int(np.ceil(margin_mm / spacing[axis] - 1e-6))
        low, high = max(0, int(set_at[0]) - margin), min(where.shape[axis], int(set_at[-1]) + margin + 1)
        first.append(low)
        shape.append(high - low)
    return boxed(subject, first, shape), {"first": first}


class CropOrPad(Step):
    """Crop or fill about the middle to a size in voxels.

    Parameters
    ----------
    size
        Slices, rows and columns. Of an odd difference, one voxel more is cut, or one fewer filled, at the end.
    outside
        Value of what is filled; the lowest of the volume if null.
    """

    kind: Literal["crop_or_pad"] = "crop_or_pad"
    size: tuple[Size, Size, Size]
    outside: float | None = None

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; for any volume."""
        first = [(has - wanted) // 2 for has, wanted in zip(subject.shape, self.size, strict=True)]
        return boxed(subject, first, self.size, self.outside), {"first": first}
