"""Mosaics of Siemens: the slices of a volume as tiles of one image, whose place is in a private header.

Image Position (Patient) of a mosaic is where the corner of so large an image would be, had it the centre of a tile
(nibabel, "Siemens mosaic format"). The private header is parsed by nibabel.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from firstread.imaging.lookup import numbers
from firstread.imaging.slices import Matrix, Slice
from firstread.imaging.verdict import VolumeError, VolumeReason

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CSA = (0x0029, "SIEMENS CSA HEADER", 0x10)
_MOST = 4096  # tiles


def is_mosaic(image: "Dataset") -> bool:
    """Return whether Image Type says that an image is a mosaic."""
    return "MOSAIC" in (image.get("ImageType") or ())


def tiles(image: "Dataset", whole: Slice) -> Iterator[Slice]:
    """Return the slices of a mosaic.

    Parameters
    ----------
    image
        The mosaic.
    whole
        The mosaic as if it were one slice.

    Raises
    ------
    VolumeError
        If it does not say how many slices it has, which way they go and how far they are apart.
    """
    count, normal = _private(image)
    apart = (numbers(image, "SpacingBetweenSlices") or numbers(image, "SliceThickness") or (0.0,))[0]
    side = math.ceil(math.sqrt(count))
    rows, columns = (length // side for length in whole.size)
    straight = abs(abs(normal @ whole.normal) - 1) < 1e-3
    if not straight or apart <= 0 or any(length % side for length in whole.size):
        raise VolumeError(VolumeReason.NO_GEOMETRY)
    along_row, along_column = whole.directions
    corner = (
        whole.position
        + along_row * whole.spacing[1] * (whole.size[1] - columns) / 2
        + along_column * whole.spacing[0] * (whole.size[0] - rows) / 2
    )
    for number in range(count):
        yield replace(
            whole,
            size=(rows, columns),
            position=corner + number * apart * normal,
            tile=(number // side * rows, number % side * columns),
        )


def _private(image: "Dataset") -> tuple[int, Matrix]:
    """Return the number of slices, and the unit vector from one to the next."""
    try:
        from nibabel.nicom import csareader

        header = csareader.read(image.private_block(*_CSA[:2])[_CSA[2]].value)
        count = csareader.get_n_mosaic(header)
        normal = np.array(csareader.get_slice_normal(header), dtype=np.float64)
    except Exception:  # what a hostile header raises depends on where it ends
        raise VolumeError(VolumeReason.NO_GEOMETRY) from None
    if not count or not 0 < count <= _MOST or normal.shape != (3,) or not np.isfinite(normal).all():
        raise VolumeError(VolumeReason.NO_GEOMETRY)
    return int(count), normal
