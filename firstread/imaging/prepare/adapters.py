"""Pipelines for SimpleITK and MONAI; each library is imported when it is asked for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from firstread.imaging.prepare.base import References
from firstread.imaging.prepare.pipeline import Pipeline
from firstread.imaging.prepare.subject import PrepareError, PrepareReason
from firstread.imaging.volume import Volume

if TYPE_CHECKING:
    import SimpleITK

    from firstread.imaging.prepare.transforms import Prepare, PrepareDict


def volume_of(image: "SimpleITK.Image", modality: str = "", units: str = "") -> Volume:
    """Return a volume of a SimpleITK image; the image may be a file that it has read.

    Parameters
    ----------
    image
        Of three dimensions, and one number for each voxel.
    modality, units
        As of `Volume`; an image does not tell.

    Raises
    ------
    PrepareError
        ``not_a_volume`` for any other image.
    """
    import SimpleITK

    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise PrepareError(PrepareReason.NOT_A_VOLUME)
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3], affine[:3, 3] = directions[:, ::-1], image.GetOrigin()
    return Volume(SimpleITK.GetArrayFromImage(image), affine, (), modality=modality, units=units)


def as_monai(
    pipeline: Pipeline, *, modality: str = "", units: str = "", references: References | None = None
) -> "Prepare":
    """Return a pipeline as a MONAI array transform.

    Parameters
    ----------
    pipeline
        What it does.
    modality, units, references
        As of `Pipeline.sitk`.

    Returns
    -------
    firstread.imaging.prepare.transforms.Prepare
        Takes a `MetaTensor` of one channel, as `LoadImage` with the channel first makes it, and returns one; the record
        is in its metadata as ``prepared``, JSON.
    """
    from firstread.imaging.prepare.transforms import Prepare

    return Prepare(pipeline, modality, units, references or {})


def as_monai_dict(
    pipeline: Pipeline,
    keys: str | Sequence[str] = ("image",),
    masks: Sequence[str] = (),
    *,
    modality: str = "",
    units: str = "",
    references: References | None = None,
) -> "PrepareDict":
    """Return a pipeline as a MONAI dictionary transform.

    Parameters
    ----------
    pipeline
        What it does; masks have the names of their keys.
    keys
        Of images on one grid; each is prepared for itself, with the masks.
    masks
        Keys of masks on their grid, or ones that steps make; those of the first image are returned.
    modality, units, references
        As of `Pipeline.sitk`.
    """
    from firstread.imaging.prepare.transforms import PrepareDict

    return PrepareDict(pipeline, keys, masks, modality, units, references or {})
