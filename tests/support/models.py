"""Models that say what is plain to see in an image, one of every task, for tests of what surrounds a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from firstread.imaging.volume import Volume
from model_service.manifest import BundleManifest
from model_service.prediction import Box, Classified, Detected, Engine, Image, Prediction, Segmented

SHA256 = "0" * 64
_CODE = {"value": "1", "scheme": "99TEST", "meaning": "Something bright"}
_POINT = {"threshold": 0.5, "chosen_on": "validation", "sensitivity": 0.9, "specificity": 0.9}
_RISK = {"flagged": "high", "unflagged": "none"}
_CALIBRATION = {"temperature": 1.0, "chosen_on": "validation"}
_IMAGE: dict[str, Any] = {"kind": "image", "intensity": {"kind": "unchanged"}}


def _finding(label: str) -> dict[str, Any]:
    return {"label": label, "concept": _CODE, "site": _CODE}


def _scored(channel: int, label: str) -> dict[str, Any]:
    return {"channel": channel, "finding": _finding(label), "operating_point": _POINT, "risk": _RISK}


def _segment(number: int, label: str) -> dict[str, Any]:
    return {"number": number, "label": label, "category": _CODE, "concept": _CODE}


def manifest(output: dict[str, Any], **settings: Any) -> BundleManifest:  # noqa: ANN401
    """Return a manifest with an output; `settings` are those of an image, or say that it is a volume."""
    volume = settings.get("kind") == "volume"
    return BundleManifest.model_validate(
        {
            "name": "bright",
            "version": "1.2.3",
            "title": "Bright things",
            "research_use_only": True,
            "intended_use": "Research use only. Tests.",
            "routing": {"series": {}} if volume else {},
            "input": {**_IMAGE, **settings},
            "output": output,
            "weights": {"file": "models/model.safetensors", "sha256": SHA256, "bytes": 1},
            "data": {"source": "none", "licence": "none"},
        }
    )


@dataclass
class FakeEngine:
    """Computes nothing."""

    name: str = "fake"
    precision: str = "fp32"

    def run(self, batch: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        raise NotImplementedError


@dataclass
class FakeModel:
    """A model of one rule."""

    manifest: BundleManifest
    rule: Callable[[Any], Prediction]
    bundle_sha256: str = SHA256
    engine: Engine = field(default_factory=FakeEngine)
    size_bytes: int = 0
    batches: list[int] = field(default_factory=list)

    def predict(self, inputs: Sequence[Image | Volume]) -> list[Prediction]:
        self.batches.append(len(inputs))
        return [self.rule(each) for each in inputs]


def classifier(**settings: Any) -> FakeModel:  # noqa: ANN401
    """Whose probability is the mean brightness, and whose map is the image."""
    output = {
        "task": "classification",
        "activation": "sigmoid",
        "calibration": _CALIBRATION,
        "classes": [_scored(0, "Brightness")],
    }
    return FakeModel(
        manifest(output, **settings), lambda image: Classified((float(image.mean()),), (_grey(image),))
    )


def two_classes() -> FakeModel:
    """Whose classes are a bright left and a bright right half; their channels are the other way round."""
    output = {
        "task": "classification",
        "activation": "sigmoid",
        "calibration": _CALIBRATION,
        "classes": [_scored(1, "Left side"), _scored(0, "Right side")],
    }

    def rule(image: Image) -> Classified:
        middle = image.shape[1] // 2
        return Classified((float(image[:, :middle].mean()), float(image[:, middle:].mean())))

    return FakeModel(manifest(output), rule)


def recognition() -> FakeModel:
    """Which tells dark from bright images, and does not know the grey ones."""
    kinds = [
        {"channel": i, "label": label, "modalities": ["OT"], "body_parts": []}
        for i, label in enumerate(("Dark CT", "Bright MR"))
    ]
    output = {"task": "recognition", "calibration": _CALIBRATION, "classes": kinds, "unknown_below": 0.7}
    return FakeModel(
        manifest(output), lambda image: Classified((1 - float(image.mean()), float(image.mean())))
    )


def segmenter(segments: int = 1, **settings: Any) -> FakeModel:  # noqa: ANN401
    """Whose segments are steps of brightness: above 0.5 is the first of one; of two, the thirds."""
    output = {
        "task": "segmentation",
        "activation": "softmax",
        "segments": [_segment(number, f"Part {number}") for number in range(1, segments + 1)],
    }

    def rule(image: Image | Volume) -> Segmented:
        values = image.values if isinstance(image, Volume) else _grey(image)
        return Segmented(np.minimum(values * (segments + 1), segments).astype(np.uint8))

    return FakeModel(manifest(output, **settings), rule)


def detector() -> FakeModel:
    """Whose boxes are the connected bright parts, each with its largest brightness."""
    output = {
        "task": "detection",
        "finding": _finding("Spot"),
        "candidate_threshold": 0.1,
        "calibration": _CALIBRATION,
        "operating_point": _POINT,
        "risk": _RISK,
    }

    def rule(image: Image) -> Detected:
        grey = _grey(image)
        parts, _ = ndimage.label(grey > 0.1)
        boxes = [
            Box(float(grey[rows, cols].max()), rows.start, rows.stop, cols.start, cols.stop)
            for rows, cols in ndimage.find_objects(parts)
        ]
        ordered = tuple(sorted(boxes, key=lambda box: -box.probability))
        return Detected(ordered, float(grey.max()))

    return FakeModel(manifest(output), rule)


def _grey(image: Image) -> npt.NDArray[np.float32]:
    return image if image.ndim == 2 else np.asarray(image.mean(axis=2), dtype=np.float32)
