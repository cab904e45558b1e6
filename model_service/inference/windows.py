"""Sliding windows in two and three dimensions, as MONAI places and weighs them, without the whole map of logits."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from model_service.errors import BundleError
from model_service.inference.batches import Batches
from model_service.inference.intensity import Array

Kept = TypeVar("Kept", bound=np.generic)
Reduce = Callable[[Array, Array], npt.NDArray[Kept]]
"""Weighted sum of the logits (channels x spatial) and sum of the weights (spatial) -> what is kept of them."""

_SIGMA = 0.125  # of the window's side, as in MONAI
_SMALLEST = 1e-3


def starts(length: int, window: int, overlap: float) -> list[int]:
    """Return where windows begin along an axis; the last one ends with the axis.

    Examples
    --------
    >>> starts(160, 96, 0.25)
    [0, 64]
    """
    step = max(1, int(window * (1 - overlap)))
    count = max(0, -(-(length - window) // step)) + 1
    return [min(index * step, length - window) for index in range(count)]


def importance(window: Sequence[int], blend: str) -> Array:
    """Return the weight of each place in a window: 1, or a bell that falls towards its borders."""
    if blend == "constant":
        return np.ones(window, np.float32)
    weights = np.ones(window, np.float32)
    for axis, side in enumerate(window):
        away = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
        bell = np.exp(-(away**2) / np.float32(2 * (_SIGMA * side) ** 2))
        weights *= bell.reshape([-1 if each == axis else 1 for each in range(len(window))])
    return np.maximum(weights, max(float(weights.min()), _SMALLEST))


def slide(
    values: Array, window: tuple[int, ...], overlap: float, blend: str, batches: Batches, reduce: Reduce[Kept]
) -> npt.NDArray[Kept]:
    """Run a network window by window, blend where windows overlap, and keep what `reduce` makes of it.

    Sums are held for the rows that windows still reach, and not for the whole array. A window of one value only,
    such as padding or clipped air, is computed once for each such value.

    Parameters
    ----------
    values : numpy.ndarray
        Channels x spatial, float32.
    window : tuple of int
        The shape that the network takes. A smaller array is padded with 0, half of it before.
    overlap, blend
        As `manifest.inputs` says.
    batches : Batches
        The engine.
    reduce : callable
        See `Reduce`.

    Returns
    -------
    numpy.ndarray
        Of the spatial shape of `values`, and of the type that `reduce` makes.

    Raises
    ------
    BundleError
        If the network's output is not of the shape of its window.
    """
    shape = values.shape[1:]
    missing = [max(0, side - length) for side, length in zip(window, shape, strict=True)]
    before = [each // 2 for each in missing]
    if any(missing):
        pad = [(0, 0), *((first, each - first) for first, each in zip(before, missing, strict=True))]
        values = np.pad(values, pad)
    sums = _Sums(values.shape[1:], importance(window, blend), reduce)
    first, *others = (
        starts(length, side, overlap) for length, side in zip(values.shape[1:], window, strict=True)
    )
    known: dict[bytes, Array] = {}
    for row in first:
        sums.advance(row)
        corners = [(row, *corner) for corner in product(*others)]
        for corner, logits in _outputs(values, corners, window, batches, known):
            sums.add(corner, logits)
    sums.advance(values.shape[1])
    cut = tuple(slice(start, start + length) for start, length in zip(before, shape, strict=True))
    return sums.result()[cut]


def _outputs(
    values: Array,
    corners: list[tuple[int, ...]],
    window: tuple[int, ...],
    batches: Batches,
    known: dict[bytes, Array],
) -> Iterator[tuple[tuple[int, ...], Array]]:
    fresh: list[tuple[tuple[int, ...], bytes]] = []
    repeated: list[tuple[tuple[int, ...], bytes]] = []
    for corner in corners:
        value = _single_value(_patch(values, corner, window))
        (repeated if value in known else fresh).append((corner, value))
        if value:
            known.setdefault(value, np.empty(0, np.float32))  # set when it has been computed
    patches = (np.ascontiguousarray(_patch(values, corner, window)) for corner, _ in fresh)
    for (corner, value), outputs in zip(fresh, batches.run(patches), strict=True):
        if value:
            known[value] = outputs[0]
        yield corner, outputs[0]
    for corner, value in repeated:
        yield corner, known[value]


def _patch(values: Array, corner: tuple[int, ...], window: tuple[int, ...]) -> Array:
    return values[(slice(None), *(slice(c, c + side) for c, side in zip(corner, window, strict=True)))]


def _single_value(patch: Array) -> bytes:
    """Return the value of each channel where the patch has no other, else nothing."""
    corner = patch[(slice(None), *(slice(0, 1),) * (patch.ndim - 1))]
    middle = patch[(slice(None), *(side // 2 for side in patch.shape[1:]))]
    if not np.array_equal(corner.ravel(), middle) or not (patch == corner).all():  # most differ at once
        return b""
    return corner.tobytes()


class _Sums(Generic[Kept]):
    """Sums of weighted logits over the rows that windows still reach; finished rows are reduced and let go."""

    def __init__(self, shape: tuple[int, ...], weights: Array, reduce: Reduce[Kept]) -> None:
        self._shape, self._weights, self._reduce = shape, weights, reduce
        self._row = 0
        self._logits: Array | None = None
        self._weight = np.zeros((weights.shape[0], *shape[1:]), np.float32)
        self.kept: npt.NDArray[Kept] | None = None

    def add(self, corner: tuple[int, ...], logits: Array) -> None:
        if logits.shape[1:] != self._weights.shape:
            raise BundleError("the network's map is not of the size of its window")
        if self._logits is None:
            self._logits = np.zeros((len(logits), *self._weight.shape), np.float32)
        at = tuple(
            slice(start, start + side)
            for start, side in zip(corner[1:], self._weights.shape[1:], strict=True)
        )
        self._logits[(slice(None), slice(None), *at)] += logits * self._weights
        self._weight[(slice(None), *at)] += self._weights

    def advance(self, row: int) -> None:
        """Say that no window will reach rows before this one."""
        done = row - self._row
        if self._logits is None or not done:
            return
        part = self._reduce(self._logits[:, :done], self._weight[:done])
        if self.kept is None:
            self.kept = np.empty(self._shape, part.dtype)
        self.kept[self._row : row] = part
        for sums in (*self._logits, self._weight):
            left = len(sums) - done
            sums[:left] = sums[done:].copy()
            sums[left:] = 0
        self._row = row

    def result(self) -> npt.NDArray[Kept]:
        if self.kept is None:
            raise ValueError("there was no window")
        return self.kept
