"""Reading untrusted DICOM: bounds, structure, typed metadata."""

from firstread.dicom.guard import Limits
from firstread.dicom.metadata import Timing, facts
from firstread.dicom.pixels import PixelSpan
from firstread.dicom.reader import DicomFile, read

__all__ = ["DicomFile", "Limits", "PixelSpan", "Timing", "facts", "read"]
