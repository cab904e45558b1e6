"""Series of DICOM as NIfTI, HDF5, Zarr or a data set of nnU-Net: exact voxels, a sidecar, and nobody's name.

`convert` writes, `open` reads back. Both are imported when they are asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstread.imaging.convert.options import (
        ConvertError,
        ConvertReason,
        Existing,
        Filter,
        Options,
        Target,
    )
    from firstread.imaging.convert.reading import open
    from firstread.imaging.convert.run import Summary, convert

__all__ = [
    "ConvertError",
    "ConvertReason",
    "Existing",
    "Filter",
    "Options",
    "Summary",
    "Target",
    "convert",
    "open",
]
_PLACES = {"convert": "run", "Summary": "run", "open": "reading"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module has
    if name not in __all__:
        raise AttributeError(f"module 'firstread.imaging.convert' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"firstread.imaging.convert.{_PLACES.get(name, 'options')}"), name)
