"""Radiomics: features of regions by the reference manual of the Image Biomarker Standardisation Initiative (IBSI)."""

from firstread.imaging.radiomics.features import codes, features
from firstread.imaging.radiomics.rows import table, write
from firstread.imaging.radiomics.settings import (
    Aggregation,
    BinNumber,
    BinSize,
    Family,
    RadiomicsError,
    RadiomicsReason,
    Settings,
)

__all__ = [
    "Aggregation",
    "BinNumber",
    "BinSize",
    "Family",
    "RadiomicsError",
    "RadiomicsReason",
    "Settings",
    "codes",
    "features",
    "table",
    "write",
]
