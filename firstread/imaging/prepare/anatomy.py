"""Steps that find body, lungs or brain by thresholds and shapes: quick, the same each time, and blind to disease."""

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from firstread.imaging.prepare.base import Figures, References, Step
from firstread.imaging.prepare.subject import Array, PrepareError, PrepareReason, Subject
from firstread.imaging.slices import Matrix
from firstread.imaging.volume import image_of

Flags = npt.NDArray[np.bool_]
Radius = Annotated[float, Field(ge=0, le=50)]

_LEAST_LUNG_ML = 50.0  # smaller pockets of air in a body are bowel, oesophagus and airways


class _Finder(Step):
    """Adds a mask."""

    mask: str

    @property
    def makes(self) -> str:
        """Return the name of the mask that it adds."""
        return self.mask

    def _added(self, subject: Subject, found: Flags) -> tuple[Subject, Figures]:
        if not found.any():
            raise PrepareError(PrepareReason.EMPTY_MASK)
        volume = subject.volume
        made = Subject(volume, {**subject.masks, self.mask: found})
        return made, {"volume_ml": round(float(found.sum()) * volume.voxel_mm3 / 1000, 3)}

    def _values(self, subject: Subject, modality: str) -> Array:
        subject.require()
        if subject.volume.modality not in (modality, ""):
            raise PrepareError(PrepareReason.WRONG_MODALITY)
        if self.mask in subject.masks:
            raise PrepareError(PrepareReason.MASK_EXISTS)
        subject.chosen(None)
        return subject.volume.values


class BodyMask(_Finder):
    """Add a mask of the body in a CT: the largest part above a threshold that holds together, filled.

    A table that touches the skin over more than twice `opening_mm` stays in it. Arms that lie apart from the trunk are
    lost. Air is filled where it is enclosed in a slice; where it opens to the side of the image, it is not.

    Parameters
    ----------
    mask
        Name of the new mask.
    above
        Threshold in Hounsfield units.
    opening_mm
        Thinner bridges and sheets, such as blankets and the shell of a table, are cut off.
    """

    kind: Literal["body_mask"] = "body_mask"
    mask: str = "body"
    above: float = -300.0
    opening_mm: Radius = 3.0

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for anything but one upright CT, and where nothing is found."""
        values = self._values(subject, "CT")
        return self._added(subject, _body(values, subject.volume.affine, self.above, self.opening_mm))


class LungMask(_Finder):
    """Add a mask of both lungs in a CT: large pockets of air within the body, their vessels closed over.

    What is not air is not found: consolidation, effusion, atelectasis, masses at the pleura. A pneumothorax, the
    trachea and bronchi that hang together with the lungs, and a large bowel full of gas are found, although they are
    no lung. Lungs that open to the side of the image are lost.

    Parameters
    ----------
    mask
        Name of the new mask.
    below
        Threshold in Hounsfield units.
    closing_mm
        Vessels up to twice as wide are counted as lung.
    """

    kind: Literal["lung_mask"] = "lung_mask"
    mask: str = "lungs"
    below: float = -400.0
    closing_mm: Radius = 4.0

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for anything but one upright CT, and where no pocket of 50 ml is found."""
        values, affine = self._values(subject, "CT"), subject.volume.affine
        body = _body(values, affine, self.below, 0.0)
        parts = _parts((values < self.below) & body)
        least = _LEAST_LUNG_ML * 1000 / subject.volume.voxel_mm3
        sizes = np.bincount(parts.ravel())
        large = [each for each in range(1, min(3, len(sizes))) if sizes[each] >= least]
        lungs = np.isin(parts, large)
        if lungs.any() and self.closing_mm:
            lungs = _eroded(_dilated(lungs, affine, self.closing_mm), affine, self.closing_mm) & body
        return self._added(subject, _filled(lungs))


class BrainMask(_Finder):
    """Add a rough mask of the brain in a T1-weighted MR image of a head: middle brightness, cut loose, filled.

    Two thresholds of Otsu part the image. Where the brightest part lies further out than the middle one it is fat, and
    neither fat nor what is near the surface of the head is brain; else, as where fat was suppressed or the skull is
    gone already, both are.

    Made to crop and to measure brightness in, not to measure brains: what shines with contrast is left out as fat is,
    and muscles of the neck or eyes that hang together with the brain over more than twice `cut_mm` are in it. Where the
    bias field is strong, correct it first. On T2 and FLAIR it finds fluid, or less.

    Parameters
    ----------
    mask
        Name of the new mask.
    cut_mm
        Thinner bridges between the brain and what is around it are cut.
    scalp_mm
        What is nearer to the surface of the head is skin, fat and skull.
    """

    kind: Literal["brain_mask"] = "brain_mask"
    mask: str = "brain"
    cut_mm: Radius = 4.0
    scalp_mm: Radius = 10.0

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for anything but one upright MR volume, and where nothing is found."""
        values, affine = self._values(subject, "MR"), subject.volume.affine
        if values.min() == values.max():
            raise PrepareError(PrepareReason.FLAT)
        levels = _levels(values, affine)
        bright = levels > 0
        head = _filled(_largest(bright), by_slice=True)
        inner = bright
        if _is_outside(levels == 2, levels == 1, head, affine):
            bright = levels == 1
            inner = bright & _eroded(head, affine, self.scalp_mm)
        core = _largest(_eroded(inner, affine, self.cut_mm))
        if not core.any():
            raise PrepareError(PrepareReason.EMPTY_MASK)
        return self._added(subject, _filled(_dilated(core, affine, self.cut_mm) & bright))


def _body(values: Array, affine: Matrix, above: float, opening_mm: float) -> Flags:
    dense = values > above
    if opening_mm and dense.any():
        dense = _dilated(_eroded(dense, affine, opening_mm), affine, opening_mm)
    return _filled(_largest(dense), by_slice=True)


def _levels(values: Array, affine: Matrix) -> npt.NDArray[np.uint8]:
    """Return 0 for the dark, 1, and 2 for the brightest part by two thresholds of Otsu."""
    import SimpleITK

    image = image_of(values.astype(np.float32), affine)
    found: npt.NDArray[np.uint8] = SimpleITK.GetArrayFromImage(
        SimpleITK.OtsuMultipleThresholds(image, 2, 0, 200)
    )
    return found


def _is_outside(one: Flags, other: Flags, whole: Flags, affine: Matrix) -> bool:
    """Return whether one part of a whole lies nearer to its surface than another, on average."""
    one, other = one & whole, other & whole
    if not one.any() or not other.any() or whole.all():
        return False
    depth = -_distances(whole, affine)
    return bool(depth[one].mean() < depth[other].mean())


def _parts(mask: Flags) -> npt.NDArray[np.uint32]:
    """Return the parts that hang together by their faces, the largest first, from 1."""
    import SimpleITK

    parts = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(mask.astype(np.uint8)))
    found: Any = SimpleITK.GetArrayFromImage(SimpleITK.RelabelComponent(parts, sortByObjectSize=True))
    return found.astype(np.uint32, copy=False)  # type: ignore[no-any-return]


def _largest(mask: Flags) -> Flags:
    found: Flags = _parts(mask) == 1
    return found


def _filled(mask: Flags, *, by_slice: bool = False) -> Flags:
    """Fill what is enclosed; in each slice if wanted, as the ends of an image cut through airways."""
    import SimpleITK

    fill = SimpleITK.BinaryFillholeImageFilter()
    parts = list(mask) if by_slice else [mask]
    filled = [
        SimpleITK.GetArrayFromImage(fill.Execute(SimpleITK.GetImageFromArray(each.astype(np.uint8))))
        for each in parts
    ]
    return (np.stack(filled) if by_slice else filled[0]) > 0


def _eroded(mask: Flags, affine: Matrix, radius_mm: float) -> Flags:
    """Keep what is further than a radius from all that is not set; the end of the image is no edge."""
    return ~_dilated(~mask, affine, radius_mm)


def _dilated(mask: Flags, affine: Matrix, radius_mm: float) -> Flags:
    """Add what is within a radius, in millimetres whatever the spacing is."""
    if not mask.any() or mask.all():
        return mask
    found: Flags = _distances(mask, affine) <= radius_mm
    return found


def _distances(mask: Flags, affine: Matrix) -> npt.NDArray[np.float32]:
    """Return millimetres to the edge of what is set, below 0 within it."""
    import SimpleITK

    image = image_of(mask.astype(np.uint8), affine)
    found: npt.NDArray[np.float32] = SimpleITK.GetArrayFromImage(
        SimpleITK.SignedMaurerDistanceMap(
            image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
        )
    )
    return found
