"""HDF5: chunks of 64 x 64 x 64, or one contiguous block, with what is known of the volume as attributes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from firstread.imaging.convert.options import ConvertError, ConvertReason, Filter
from firstread.imaging.slices import Matrix
from firstread.imaging.volume import Volume

CHUNK = 64
NAME = "voxels"


def chunks(volume: Volume) -> tuple[int, ...]:
    """Return the shape of a chunk: a cube of one time, with all samples."""
    shape = volume.values.shape
    space = slice(int(volume.is_in_time), int(volume.is_in_time) + 3)
    cube = tuple(min(CHUNK, each) for each in shape[space])
    return (*((1,) if volume.is_in_time else ()), *cube, *(shape[-1:] if volume.is_colour else ()))


class Hdf5:
    """Volumes in HDF5.

    Parameters
    ----------
    filter
        How chunks are compressed; None: not, and the voxels are one block.
    """

    def __init__(self, filter: Filter | None = Filter.LZF) -> None:
        self._filter = filter

    def write(self, volume: Volume, path: Path, said: Mapping[str, object]) -> None:
        """Write a volume."""
        how: dict[str, Any] = {}
        if self._filter is not None:
            how = {"chunks": chunks(volume), "shuffle": True, "compression": self._filter.value}
            if self._filter is Filter.GZIP:
                how["compression_opts"] = 1
        with h5py.File(path, "w") as file:
            voxels = file.create_dataset(NAME, data=volume.values, **how)
            voxels.attrs["affine_lps"] = volume.affine
            voxels.attrs["about"] = json.dumps(said)

    def read(self, path: Path) -> tuple[npt.NDArray[Any], Matrix | None, Mapping[str, object] | None]:
        """Return voxels, affine and what the file says."""
        try:
            with h5py.File(path, "r") as file:
                voxels = file[NAME]
                said = json.loads(voxels.attrs["about"])
                return voxels[...], np.array(voxels.attrs["affine_lps"], np.float64), said
        except (KeyError, ValueError, OSError):
            raise ConvertError(ConvertReason.NOT_OURS) from None
