"""Reading untrusted DICOM: bounds, structure, typed metadata.

Names are imported when they are asked for: what only silences pydicom, or peeks, starts faster without the rest.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstread.dicom.guard import Limits
    from firstread.dicom.metadata import Timing, facts
    from firstread.dicom.pixels import PixelSpan
    from firstread.dicom.reader import DicomFile, read

__all__ = ["DicomFile", "Limits", "PixelSpan", "Timing", "facts", "read"]
_PLACES = {
    "DicomFile": "reader",
    "Limits": "guard",
    "PixelSpan": "pixels",
    "Timing": "metadata",
    "facts": "metadata",
    "read": "reader",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module has
    if name not in __all__:
        raise AttributeError(f"module 'firstread.dicom' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"firstread.dicom.{_PLACES[name]}"), name)
