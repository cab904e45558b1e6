"""Zarr 3: chunks of 64 x 64 x 64, by blosc after a shuffle of bits, with what is known of the volume as attributes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore

from firstread.imaging.convert.facts import axes
from firstread.imaging.convert.options import ConvertError, ConvertReason
from firstread.imaging.convert.stores.hdf5 import chunks
from firstread.imaging.slices import Matrix
from firstread.imaging.volume import Volume


class Zarr3:
    """Volumes in Zarr 3.

    Parameters
    ----------
    compress
        Whether chunks are compressed.
    codec
        What blosc compresses by: ``zstd``, or ``lz4``, which is read in less than half the time.
    """

    def __init__(self, *, compress: bool = True, codec: Literal["zstd", "lz4"] = "zstd") -> None:
        self._compress, self._codec = compress, codec

    def write(self, volume: Volume, path: Path, said: Mapping[str, object]) -> None:
        """Write a volume."""
        values = volume.values
        codec = BloscCodec(cname=self._codec, clevel=1, shuffle="bitshuffle", typesize=values.dtype.itemsize)
        array = zarr.create_array(
            store=LocalStore(path),
            shape=values.shape,
            chunks=chunks(volume),
            dtype=values.dtype,
            compressors=[codec] if self._compress else None,
            attributes={"affine_lps": volume.affine.tolist(), "about": json.loads(json.dumps(said))},
            dimension_names=axes(volume),
        )
        array[...] = values

    def read(self, path: Path) -> tuple[npt.NDArray[Any], Matrix | None, Mapping[str, object] | None]:
        """Return voxels, affine and what the array says."""
        try:
            array = zarr.open_array(LocalStore(path, read_only=True), mode="r")
            said: Any = array.attrs["about"]
            return np.asarray(array[...]), np.array(array.attrs["affine_lps"], np.float64), said
        except (KeyError, ValueError, OSError):
            raise ConvertError(ConvertReason.NOT_OURS) from None
