"""Stored objects as DICOMweb tells of them: headers, frames, and the metadata of series."""
