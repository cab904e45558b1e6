"""Voxels that can be trusted: volumes of series, frames decoded one at a time, and pictures for readers.

`load` is imported when it is asked for: the functions of the pipeline use the lookup tables alone, and start faster
without what makes volumes.
"""

from typing import TYPE_CHECKING

from firstread.lazily import lazily

if TYPE_CHECKING:
    from firstread.imaging.series import load, load_all
    from firstread.imaging.verdict import MEND, STRICT, Repairs, VolumeError
    from firstread.imaging.volume import Volume

__all__ = ["MEND", "STRICT", "Repairs", "Volume", "VolumeError", "load", "load_all"]
__getattr__ = lazily(
    __name__,
    {
        "MEND": "verdict",
        "STRICT": "verdict",
        "Repairs": "verdict",
        "Volume": "volume",
        "VolumeError": "verdict",
        "load": "series",
        "load_all": "series",
    },
)
