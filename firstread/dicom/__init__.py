"""Reading untrusted DICOM: bounds, structure, typed metadata."""

from firstread.dicom.metadata import Timing, facts
from firstread.dicom.reader import DicomFile, Limits, PixelSpan, read

__all__ = ["DicomFile", "Limits", "PixelSpan", "Timing", "facts", "read"]
