"""Series of DICOM as NIfTI, HDF5, Zarr or a data set of nnU-Net: exact voxels, a sidecar, and nobody's name.

`convert` writes, `open` reads back. Both are imported when they are asked for.
"""

from typing import TYPE_CHECKING

from firstread.lazily import lazily

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
__getattr__ = lazily(
    __name__,
    {
        "ConvertError": "options",
        "ConvertReason": "options",
        "Existing": "options",
        "Filter": "options",
        "Options": "options",
        "Summary": "run",
        "Target": "options",
        "convert": "run",
        "open": "reading",
    },
)
