"""Values in the units of their modality, in the smallest type that holds them as they are (PS3.3 C.11.1)."""

import math
import mmap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.lookup import apply_table, functional_item, numbers, read_table
from firstread.imaging.pixels import PixelError, PixelReason

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Array = npt.NDArray[Any]

_WHOLE: tuple[type[np.integer[Any]], ...] = (np.int16, np.uint16, np.int32)
_LARGEST_FACTOR = 2**15
_LARGE = 2**24  # bytes


def gather(shape: tuple[int, ...], planes: Sequence[Callable[[], tuple[Array, "Rescale"]]]) -> Array:
    """Put planes together.

    Parameters
    ----------
    shape
        Of one plane.
    planes
        Each gives its stored values, rows x columns, and what makes values of the modality of them; asked for one
        after the other, so that one decoded plane is held beside the result.

    Returns
    -------
    numpy.ndarray
        Planes x rows x columns. int16, uint16 or int32 where all values are whole numbers and fit; else float32.
    """
    made = _room((len(planes), *shape))
    low, high = 0.0, 0.0
    for number, plane in enumerate(planes):
        stored, rescale = plane()
        ends = rescale.ends(stored)
        low, high = min(low, ends[0]), max(high, ends[1])
        kind = _smallest(low, high)
        if kind != made.dtype:
            made = made.astype(kind)
        rescale.into(made[number], stored)
    return made


def _room(shape: tuple[int, ...]) -> Array:
    """Return an array of int16 with any values; of memory that is there as a whole, where it is large.

    Memory that the system hands out page by page, as it is written to, costs more than all that is computed here.
    """
    count = math.prod(shape)
    if 2 * count < _LARGE or not hasattr(mmap, "MAP_POPULATE"):
        return np.empty(shape, np.int16)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    try:
        return np.frombuffer(mmap.mmap(-1, 2 * count, flags=flags), np.int16).reshape(shape)
    except OSError:
        raise MemoryError from None


def _smallest(low: float, high: float) -> np.dtype[Any]:
    for kind in _WHOLE:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float32)


class Rescale:
    """What makes values of the modality of stored ones: Rescale Slope and Intercept, or a Modality LUT.

    Parameters
    ----------
    image
        An image.
    frame
        Index of the frame, 0 first.

    Raises
    ------
    PixelError
        If the Modality LUT cannot be read.
    """

    def __init__(self, image: "Dataset", frame: int) -> None:
        self._table: tuple[Array, int] | None = None
        if items := image.get("ModalityLUTSequence"):
            try:
                table, first, _ = read_table(items[0])
            except Exception:
                raise PixelError(PixelReason.BAD_LOOKUP_TABLE) from None
            self._table = table, first
        source = functional_item(image, frame, "PixelValueTransformationSequence")
        self.slope = (numbers(source, "RescaleSlope") or (1.0,))[0]
        self.intercept = (numbers(source, "RescaleIntercept") or (0.0,))[0]

    @property
    def is_table(self) -> bool:
        """Return whether it is a Modality LUT, so that slope and intercept do not count."""
        return self._table is not None

    def ends(self, stored: Array) -> tuple[float, float]:
        """Return the lowest and the highest value; infinite ones where not all are whole numbers."""
        if self._table is not None:
            return 0.0, float(self._table[0].max(initial=0))
        factors = self.slope, self.intercept
        if stored.dtype.kind == "f" or not all(
            each.is_integer() and abs(each) < _LARGEST_FACTOR for each in factors
        ):
            return -math.inf, math.inf
        ends = [float(end) * self.slope + self.intercept for end in (stored.min(), stored.max())]
        return min(ends), max(ends)

    def into(self, made: Array, stored: Array) -> None:
        """Write the values of a plane into an array of a type that holds them."""
        if self._table is not None:
            made[...] = apply_table(stored, *self._table)
        elif made.dtype.kind == "f":
            made[...] = stored.astype(np.float64) * self.slope + self.intercept
        else:
            # Whole numbers are computed modulo the type's range: right whenever the outcome is in it.
            slope, intercept = (
                np.array(int(each)).astype(made.dtype) for each in (self.slope, self.intercept)
            )
            source = (
                stored.view(made.dtype) if stored.itemsize == made.itemsize else stored.astype(made.dtype)
            )
            if self.slope != 1:
                source = np.multiply(source, slope, out=made)
            np.add(source, intercept, out=made)
