"""Predictions of bundles that nobody trained, on images that are real or made here."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import VLPhotographicImageStorage

from firstread.imaging.volume import SourceFrame, Volume
from model_service.manifest import BundleManifest
from model_service.objects.said import Said
from model_service.prediction import LabelMap, Prediction
from tests.support.dicoms import encode, header

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def code(value: str, meaning: str, scheme: str = "SCT") -> dict[str, str]:
    return {"value": value, "scheme": scheme, "meaning": meaning}


FINDING = {"label": "Opacity", "concept": code("112001", "Opacity", "DCM"), "site": code("39607008", "Lung")}
POINT = {"threshold": 0.4, "chosen_on": "validation", "sensitivity": 0.9, "specificity": 0.8}
SCORING: dict[str, Any] = {
    "calibration": {"temperature": 1.0, "chosen_on": "validation"},
}
RISK = {"flagged": "high", "unflagged": "none"}


def classification(classes: int = 1) -> dict[str, Any]:
    scored = [
        {"channel": n, "finding": FINDING | {"label": f"Opacity {n}"}, "operating_point": POINT, "risk": RISK}
        for n in range(classes)
    ]
    return {"task": "classification", "activation": "sigmoid", "classes": scored, **SCORING}


def detection() -> dict[str, Any]:
    return {
        "task": "detection",
        "finding": FINDING,
        "candidate_threshold": 0.2,
        "operating_point": POINT,
        "risk": RISK,
        **SCORING,
    }


def segmentation(*measures: str, segments: int = 2) -> dict[str, Any]:
    return {
        "task": "segmentation",
        "activation": "softmax",
        "segments": [
            {
                "number": number,
                "label": f"Part {number}",
                "category": code("123037004", "Anatomical Structure"),
                "concept": code("5366008", "Hippocampus"),
                "site": code("12738006", "Brain"),
                "colour": [255, 40 * number, 0],
                "measure": list(measures),
            }
            for number in range(1, segments + 1)
        ],
    }


def manifest(output: dict[str, Any], volume: bool = False) -> BundleManifest:
    intensity = {"kind": "zscore"}
    return BundleManifest.model_validate(
        {
            "name": "made_up",
            "version": "1.2.3",
            "title": "Nothing in particular",
            "research_use_only": True,
            "intended_use": "Research use only. Tests.",
            "routing": {"modalities": ["MR"], **({"series": {}} if volume else {})},
            "input": {"kind": "volume" if volume else "image", "intensity": intensity},
            "output": output,
            "weights": {"file": "models/model.safetensors", "sha256": "0" * 64, "bytes": 1},
            "data": {"source": "none", "licence": "none"},
        }
    )


def said(
    output: dict[str, Any],
    sources: Sequence[Dataset],
    predictions: Sequence[Prediction],
    frames: Sequence[SourceFrame] | None = None,
    volume: Volume | None = None,
) -> Said:
    """What a model said; one prediction per image unless frames are given."""
    each = [SourceFrame(str(source.SOPInstanceUID), 1) for source in sources]
    return Said(
        manifest=manifest(output, volume is not None),
        bundle_sha256="ab" * 32,
        engine="onnxruntime",
        precision="fp32",
        study_uid=str(sources[0].StudyInstanceUID),
        version=3,
        sources=sources,
        frames=volume.frames if volume is not None else frames or each,
        predictions=predictions,
        volume=volume,
    )


def sample(name: str) -> Dataset:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return dcmread(path)


def series(*parts: str) -> list[Dataset]:
    """A real series of the shared data; [] where it is not there."""
    return [dcmread(path) for path in sorted(SHARED.joinpath(*parts).glob("*.dcm"))]


def radiograph(number: int = 1, **values: object) -> Dataset:
    """A computed radiograph without a frame of reference, 40 x 30."""
    pixels = np.add.outer(np.arange(40), np.arange(30)).astype("<u2").tobytes()
    return _made(header(**(_named(number) | {"Rows": 40, "Columns": 30} | values)), pixels)


def photograph(number: int = 1) -> Dataset:
    """A colour photograph, 40 x 30."""
    values: dict[str, object] = {
        "SOPClassUID": VLPhotographicImageStorage,
        "Modality": "OP",
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "PlanarConfiguration": 0,
        "Rows": 40,
        "Columns": 30,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
    }
    return _made(header(**(_named(number) | values)), np.arange(3600).astype(np.uint8).tobytes())


def _named(number: int) -> dict[str, object]:
    return {"SOPInstanceUID": f"1.2.826.0.1.3680043.8.498.7.{number}", "InstanceNumber": number}


def _made(dataset: Dataset, pixels: bytes) -> Dataset:
    return dcmread(BytesIO(encode(dataset, pixels=pixels)))


def blocks(shape: tuple[int, ...], segments: int = 2) -> LabelMap:
    """A label map of rectangles that do not touch, of other heights on the next plane."""
    labels = np.zeros(shape, dtype=np.uint8)
    planes = labels[None] if labels.ndim == 2 else labels
    columns = planes.shape[2]
    for plane, picture in enumerate(planes):
        grown = plane % 4
        for number in range(segments):
            left = 2 + number * columns // segments
            picture[2 : 5 + grown, left : left + 3 + number] = number + 1
    return labels
