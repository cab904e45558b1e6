"""Steps that find body, lungs or brain by thresholds and shapes: quick, the same each time, and blind to disease."""

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from firstread.imaging.prepare.base import Figures, References, Step
from firstread.imaging.prepare.grids import image_of
from firstread.imaging.prepare.subject import Array, PrepareError, PrepareReason, Subject
from firstread.imaging.slices import Matrix

Flags = npt.NDArray[np.bool_]
Radius = Annotated[float, Field(ge=0, le=50)]

_LEAST_LUNG_ML = 50.0  # smaller pockets of air in a body are bowel, oesophagus and airways


class _Finder(Step):
    """Adds a mask."""

    mask: str

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
    """Add a rough mask of the brain in a T1-weighted MR image of a head: above Otsu's threshold, cut loose, filled.

    Made to crop and to measure brightness in, not to measure brains. It fails where brain and scalp, eyes or the
    muscles of the neck hang together over more than twice `cut_mm`: then they are in it. Where the bias field is
    strong, correct it first. On T2 and FLAIR it finds fluid, or less.

    Parameters
    ----------
    mask
        Name of the new mask.
    cut_mm
        Thinner bridges between brain and scalp are cut.
    """

    kind: Literal["brain_mask"] = "brain_mask"
    mask: str = "brain"
    cut_mm: Radius = 4.0

    def run(self, subject: Subject, references: References) -> tuple[Subject, Figures]:  # noqa: ARG002
        """Do it; refused for anything but one upright MR volume, and where nothing is found."""
        import SimpleITK

        values, affine = self._values(subject, "MR"), subject.volume.affine
        if values.min() == values.max():
            raise PrepareError(PrepareReason.FLAT)
        image = image_of(values.astype(np.float32), affine)
        bright = SimpleITK.GetArrayFromImage(SimpleITK.OtsuThreshold(image, 0, 1, 200)) > 0
        core = _largest(_eroded(bright, affine, self.cut_mm))
        if not core.any():
            raise PrepareError(PrepareReason.EMPTY_MASK)
        return self._added(subject, _filled(_dilated(core, affine, self.cut_mm) & bright))


def _body(values: Array, affine: Matrix, above: float, opening_mm: float) -> Flags:
    dense = values > above
    if opening_mm and dense.any():
        dense = _dilated(_eroded(dense, affine, opening_mm), affine, opening_mm)
    return _filled(_largest(dense), by_slice=True)


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
    import SimpleITK

    if not mask.any() or mask.all():
        return mask
    image = image_of(mask.astype(np.uint8), affine)
    distance = SimpleITK.SignedMaurerDistanceMap(
        image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    found: Flags = SimpleITK.GetArrayViewFromImage(distance) <= radius_mm
    return found
