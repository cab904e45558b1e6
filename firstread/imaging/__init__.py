"""Voxels that can be trusted: volumes of series, frames decoded one at a time, and pictures for readers.

`load` is imported when it is asked for: the functions of the pipeline use the lookup tables alone, and start faster
without what makes volumes.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstread.imaging.series import load, load_all
    from firstread.imaging.verdict import MEND, STRICT, Repairs, VolumeError
    from firstread.imaging.volume import Volume

__all__ = ["MEND", "STRICT", "Repairs", "Volume", "VolumeError", "load", "load_all"]
_PLACES = {"load": "series", "load_all": "series", "Volume": "volume"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module has
    if name not in __all__:
        raise AttributeError(f"module 'firstread.imaging' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"firstread.imaging.{_PLACES.get(name, 'verdict')}"), name)
