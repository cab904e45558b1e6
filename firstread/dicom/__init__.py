"""Reading untrusted DICOM: bounds, structure, typed metadata.

Names are imported when they are asked for: what only silences pydicom, or peeks, starts faster without the rest.
"""

from typing import TYPE_CHECKING

from firstread.lazily import lazily

if TYPE_CHECKING:
    from firstread.dicom.guard import Limits
    from firstread.dicom.metadata import Timing, facts
    from firstread.dicom.pixels import PixelSpan
    from firstread.dicom.reader import DicomFile, read

__all__ = ["DicomFile", "Limits", "PixelSpan", "Timing", "facts", "read"]
__getattr__ = lazily(
    __name__,
    {
        "DicomFile": "reader",
        "Limits": "guard",
        "PixelSpan": "pixels",
        "Timing": "metadata",
        "facts": "metadata",
        "read": "reader",
    },
)
