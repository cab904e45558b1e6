"""Boxes of arrays that `Zarr3` wrote, chunk by chunk: what zarr does around a chunk takes longer than the chunk."""

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numcodecs import blosc

Array = npt.NDArray[Any]


class Chunks:
    """An array of regular chunks, compressed by blosc.

    Parameters
    ----------
    folder
        Of the array: `zarr.json`, and the chunks below `c`.

    Raises
    ------
    OSError, ValueError, KeyError
        If it is none.
    """

    def __init__(self, folder: Path) -> None:
        said = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
        self._folder = str(folder / "c")
        self.shape: tuple[int, ...] = tuple(said["shape"])
        self._chunk: tuple[int, ...] = tuple(said["chunk_grid"]["configuration"]["chunk_shape"])
        self._type = np.dtype(said["data_type"]).newbyteorder("<")

    def read(self, box: Sequence[slice]) -> Array:
        """Return a box; only the chunks that it touches are read.

        Parameters
        ----------
        box
            For each axis, without steps; it is not empty.

        Raises
        ------
        OSError, RuntimeError, ValueError
            If a chunk cannot be read.
        """
        ends = [each.indices(side)[:2] for each, side in zip(box, self.shape, strict=True)]
        made = np.zeros([stop - start for start, stop in ends], self._type)
        touched = [
            range(start // side, -(-stop // side))
            for (start, stop), side in zip(ends, self._chunk, strict=True)
        ]
        for place in product(*touched):
            if (chunk := self._read(place)) is None:
                continue
            into, out_of = [], []
            for (start, stop), number, side in zip(ends, place, self._chunk, strict=True):
                low, high = max(start, number * side), min(stop, (number + 1) * side)
                into.append(slice(low - start, high - start))
                out_of.append(slice(low - number * side, high - number * side))
            made[tuple(into)] = chunk[tuple(out_of)]
        return made

    def _read(self, place: Sequence[int]) -> Array | None:
        """Return a chunk; None where all of it is 0, as those are not written."""
        try:
            with open("/".join((self._folder, *map(str, place))), "rb", buffering=0) as file:  # noqa: PTH123 - of many
                data = file.read()
        except FileNotFoundError:
            return None
        found: Array = np.frombuffer(blosc.decompress(data), self._type).reshape(self._chunk)
        return found
