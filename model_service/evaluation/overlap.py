"""How well two masks agree: Dice, and the distance of their surfaces."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]


def dice(reference: Mask, predicted: Mask) -> float:
    """Return twice the common part over the sum of both; not a number where both are empty.

    Examples
    --------
    >>> dice(np.array([True, True, False]), np.array([False, True, False]))
    0.6666666666666666
    """
    total = int(reference.sum()) + int(predicted.sum())
    return 2 * int((reference & predicted).sum()) / total if total else float("nan")


def hausdorff_95(reference: Mask, predicted: Mask, spacing: Sequence[float]) -> float:
    """Return the 95th percentile of the distances between the surfaces, the larger of both directions.

    A surface is the voxels of a mask that have a neighbour outside it, by faces. As `monai.metrics` defines it.

    Parameters
    ----------
    reference, predicted : numpy.ndarray
        Of one shape.
    spacing : sequence of float
        Per axis.

    Returns
    -------
    float
        In the unit of the spacing; not a number where either is empty.
    """
    either = reference | predicted
    if not (reference.any() and predicted.any()):
        return float("nan")
    # Only the box that holds both, with a margin: whole CT volumes would take minutes.
    (box,) = ndimage.find_objects(either.astype(np.uint8))
    one, other = (_surface(np.pad(mask[box], 1)) for mask in (reference, predicted))
    there = ndimage.distance_transform_edt(~other, sampling=spacing)[one]
    back = ndimage.distance_transform_edt(~one, sampling=spacing)[other]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def _surface(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask), dtype=bool)
