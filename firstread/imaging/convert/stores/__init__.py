"""The formats: each writes a volume to a path that is not there yet, and reads its voxels back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from firstread.imaging.convert.options import Filter, Options, Target
from firstread.imaging.slices import Matrix
from firstread.imaging.volume import Volume

Array = npt.NDArray[Any]


class Store(Protocol):
    """A format."""

    def write(self, volume: Volume, path: Path, said: Mapping[str, object]) -> None:
        """Write a volume.

        Parameters
        ----------
        volume
            What to write.
        path
            Where; nothing is there.
        said
            What is known of it, for formats that can hold it.

        Raises
        ------
        ConvertError
            If the format cannot hold such a volume.
        """

    def read(self, path: Path) -> tuple[Array, Matrix | None, Mapping[str, object] | None]:
        """Return voxels in the order of `Volume.values`, the affine as the file has it, and what the file says.

        Raises
        ------
        ConvertError
            If it is no file that `write` made.
        """


def suffix(options: Options) -> str:
    """Return the suffix of the files of a format."""
    plain = {Target.HDF5: ".h5", Target.ZARR: ".zarr"}
    return plain.get(options.to) or (".nii.gz" if options.compress else ".nii")


def store_for(path: Path, *, compress: bool = True, filter: Filter = Filter.LZF) -> Store | None:
    """Return the format of a path, by its suffix; None where it is none of ours."""
    if path.name.endswith((".nii", ".nii.gz")):
        from firstread.imaging.convert.stores.nifti import Nifti

        return Nifti(compress=path.name.endswith(".gz"))
    if path.suffix == ".h5":
        from firstread.imaging.convert.stores.hdf5 import Hdf5

        return Hdf5(filter if compress else None)
    if path.suffix == ".zarr":
        from firstread.imaging.convert.stores.zarr3 import Zarr3

        return Zarr3(compress=compress)
    return None
