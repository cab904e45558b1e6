"""Volumes with their masks, prepared for a model: steps that are data, and a record of what each did.

All of it is imported when it is asked for.
"""

from typing import TYPE_CHECKING

from firstread.lazily import lazily

if TYPE_CHECKING:
    from firstread.imaging.prepare.adapters import as_monai, as_monai_dict, volume_of
    from firstread.imaging.prepare.anatomy import BodyMask, BrainMask, LungMask
    from firstread.imaging.prepare.intensity import WINDOWS, BiasField, Percentiles, Window, ZScore
    from firstread.imaging.prepare.pipeline import Pipeline, Prepared
    from firstread.imaging.prepare.register import Register
    from firstread.imaging.prepare.spatial import (
        CropOrPad,
        CropToForeground,
        CropToMask,
        Reorient,
        Resample,
        ResampleLike,
    )
    from firstread.imaging.prepare.subject import PrepareError, PrepareReason, Subject

__all__ = [
    "WINDOWS",
    "BiasField",
    "BodyMask",
    "BrainMask",
    "CropOrPad",
    "CropToForeground",
    "CropToMask",
    "LungMask",
    "Percentiles",
    "Pipeline",
    "PrepareError",
    "PrepareReason",
    "Prepared",
    "Register",
    "Reorient",
    "Resample",
    "ResampleLike",
    "Subject",
    "Window",
    "ZScore",
    "as_monai",
    "as_monai_dict",
    "volume_of",
]
__getattr__ = lazily(
    __name__,
    {
        "WINDOWS": "intensity",
        "BiasField": "intensity",
        "BodyMask": "anatomy",
        "BrainMask": "anatomy",
        "CropOrPad": "spatial",
        "CropToForeground": "spatial",
        "CropToMask": "spatial",
        "LungMask": "anatomy",
        "Percentiles": "intensity",
        "Pipeline": "pipeline",
        "PrepareError": "subject",
        "PrepareReason": "subject",
        "Prepared": "pipeline",
        "Register": "register",
        "Reorient": "spatial",
        "Resample": "spatial",
        "ResampleLike": "spatial",
        "Subject": "subject",
        "Window": "intensity",
        "ZScore": "intensity",
        "as_monai": "adapters",
        "as_monai_dict": "adapters",
        "volume_of": "adapters",
    },
)
