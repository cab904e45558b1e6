"""What the evaluation of a finding (two classes, one logit) reports.

Calibration, threshold and overlay scale come from the validation split, every published figure from the test
split.
"""

import logging
import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from model_service.predict import Classifier
from model_service.preprocess import Box, content_boxes
from model_service.training import metrics
from model_service.training.baseline import baseline_scores
from model_service.training.config import TrainConfig
from model_service.training.data import Dataset
from model_service.training.perturb import (
    CHANGED,
    ROBUSTNESS,
    SHORTCUTS,
    SPECIAL,
    UNCHANGED,
    Perturbation,
    border_mask,
    lung_fields,
)
from model_service.training.split import Split

_LOG = logging.getLogger(__name__)
_BATCH = 32
_GRID = (100, 100)
_DISCRIMINATION: dict[str, metrics.Metric] = {
    "auroc": metrics.auroc,
    "auprc": metrics.average_precision,
    "sensitivity_at_specificity_0.90": partial(metrics.sensitivity_at_specificity, target=0.90),
    "sensitivity_at_specificity_0.95": partial(metrics.sensitivity_at_specificity, target=0.95),
}
_LUNGS = "lung_fields"
_REGIONS: dict[str, Callable[[int, int], Tensor]] = {"outer_frame": border_mask, _LUNGS: lung_fields}


@dataclass(frozen=True)
class Scored:
    """Scores of one split.

    Parameters
    ----------
    labels : numpy.ndarray
        0 or 1 per image.
    logits : numpy.ndarray
        Uncalibrated output per image.
    peaks : numpy.ndarray
        Largest raw activation per image.
    shares : mapping of str to numpy.ndarray
        Share of the positive activation in each region of the image; not a number where there is none.
    groups : list of str
        Patient group per image.
    """

    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float64]
    peaks: npt.NDArray[np.float64]
    shares: Mapping[str, npt.NDArray[np.float64]]
    groups: list[str]


@dataclass(frozen=True)
class Chosen:
    """What the validation split decides.

    Parameters
    ----------
    temperature, bias : float
        Calibration: logistic(logit / temperature + bias).
    threshold : float
        On the calibrated probability.
    """

    temperature: float
    bias: float
    threshold: float

    def probabilities(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return calibrated probabilities."""
        return metrics.sigmoid(logits / self.temperature + self.bias)

    def flagged(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Tell which images reach the threshold."""
        return self.probabilities(logits) >= self.threshold


def score(
    classifier: Classifier, data: Dataset, indices: npt.NDArray[np.int64], change: Perturbation | None = None
) -> Scored:
    """Run the classifier over images, changed or as they are."""
    logits, peaks = [], []
    shares: dict[str, list[Tensor]] = {name: [] for name in _REGIONS}
    for start in range(0, len(indices), _BATCH):
        batch = data.batch(indices[start : start + _BATCH])
        values, maps = classifier.raw(batch if change is None else change(batch))
        evidence = torch.nn.functional.interpolate(maps, _GRID, mode="bilinear").clamp_min(0)[:, 0]
        logits.append(values)
        peaks.append(maps.amax(dim=(1, 2, 3)))
        for name, region in _REGIONS.items():
            inside = (evidence * region(*_GRID)).sum(dim=(1, 2))
            shares[name].append(inside / evidence.sum(dim=(1, 2)))
    columns = {name: _column(parts) for name, parts in shares.items()}
    return Scored(data.labels(indices), _column(logits), _column(peaks), columns, data.patients(indices))


def choose(scored: Scored, config: TrainConfig) -> tuple[Chosen, dict[str, Any]]:
    """Choose calibration, threshold and overlay scale on the validation split."""
    # Rounded here, so that the figures below are those of the numbers that are published.
    temperature, bias = (round(value, 6) for value in metrics.fit_platt(scored.labels, scored.logits))
    probabilities = metrics.sigmoid(scored.logits / temperature + bias)
    threshold = metrics.threshold_at_specificity(scored.labels, probabilities, config.min_specificity)
    chosen = Chosen(temperature, bias, round(threshold, 6))
    flagged = chosen.flagged(scored.logits)
    return chosen, {
        "calibration": {"temperature": temperature, "bias": bias, "chosen_on": "validation"},
        "operating_point": {
            "threshold": chosen.threshold,
            "chosen_on": "validation",
            "sensitivity": metrics.sensitivity(scored.labels, flagged),
            "specificity": metrics.specificity(scored.labels, flagged),
        },
        "overlay": {"scale": float(np.quantile(scored.peaks[flagged], config.overlay_quantile))},
    }


def report(
    classifier: Classifier, data: Dataset, config: TrainConfig, others: Mapping[str, Path]
) -> dict[str, Any]:
    """Return everything that the model card shows of a finding.

    Parameters
    ----------
    classifier : Classifier
        With the weights of the run.
    data : Dataset
        The run's data.
    config : TrainConfig
        The run's configuration.
    others : mapping of str to pathlib.Path
        Folders of images of other kinds, by name.

    Returns
    -------
    dict
        Ready for JSON.
    """
    validation = score(classifier, data, data.indices(Split.VALIDATION))
    chosen, published = choose(validation, config)
    indices = data.indices(Split.TEST)
    tested = score(classifier, data, indices)
    return {
        "data": _data(data),
        **published,
        "validation": {"auroc": metrics.auroc(validation.labels, validation.logits)},
        "test": _test(tested, chosen, config),
        "reliability": metrics.reliability(tested.labels, chosen.probabilities(tested.logits)),
        "baselines": _baselines(data, tested, config),
        "subgroups": _subgroups(data, indices, tested, chosen, config),
        **_changes(classifier, data, indices, chosen, config),
        "activation": _activation(tested, config),
        "other_images": {name: _folder(classifier, path, chosen) for name, path in others.items()},
    }


def _test(scored: Scored, chosen: Chosen, config: TrainConfig) -> dict[str, Any]:
    """Compute the published figures, each with its interval."""

    def at_threshold(metric: Any) -> metrics.Metric:  # noqa: ANN401
        return lambda labels, logits: metric(labels, chosen.flagged(logits))

    def calibrated(metric: metrics.Metric) -> metrics.Metric:
        return lambda labels, logits: metric(labels, chosen.probabilities(logits))

    def raw(metric: metrics.Metric) -> metrics.Metric:
        return lambda labels, logits: metric(labels, metrics.sigmoid(logits))

    wanted = {
        **_DISCRIMINATION,
        "sensitivity_at_threshold": at_threshold(metrics.sensitivity),
        "specificity_at_threshold": at_threshold(metrics.specificity),
        "ece_before": raw(metrics.calibration_error),
        "ece_after": calibrated(metrics.calibration_error),
        "brier_before": raw(metrics.brier),
        "brier_after": calibrated(metrics.brier),
    }
    return metrics.estimates(
        scored.labels, scored.logits, scored.groups, wanted, config.bootstrap, config.seed
    )


def _baselines(data: Dataset, model: Scored, config: TrainConfig) -> dict[str, Any]:
    """Compute the trivial baselines' figures on the same test images, and the model's lead over each."""
    result: dict[str, Any] = {}
    common = (model.groups, config.bootstrap, config.seed)

    def lead(labels: metrics.Labels, scores: metrics.Scores) -> float:
        return metrics.auroc(labels, scores[:, 0]) - metrics.auroc(labels, scores[:, 1])

    groups, repeats, seed = common
    for name, probabilities in baseline_scores(data, config.seed, data.indices(Split.TEST)).items():
        scores = probabilities[:, 1]
        figures = metrics.estimates(model.labels, scores, groups, _DISCRIMINATION, repeats, seed)
        # One resample scores both, so that the interval is that of the paired difference.
        both = np.column_stack([model.logits, scores])
        figures |= metrics.estimates(model.labels, both, groups, {"auroc_lead_of_model": lead}, repeats, seed)
        result[name] = figures
    return result


def _subgroups(
    data: Dataset, indices: npt.NDArray[np.int64], scored: Scored, chosen: Chosen, config: TrainConfig
) -> dict[str, Any]:
    """Compute the share flagged of the subgroups that folders and file names tell."""
    flagged = chosen.flagged(scored.logits)
    names = [f"{path.parent.name}/{path.name}" for path in (data.samples[i].path for i in indices)]
    result = {}
    for subgroup, pattern in config.subgroups.items():
        members = np.array([re.search(pattern, name) is not None for name in names])
        if members.any():
            result[subgroup] = {
                "images": int(members.sum()),
                "positive": int(scored.labels[members].sum()),
                "flagged_share": float(flagged[members].mean()),
            }
    return result


def _changes(
    classifier: Classifier,
    data: Dataset,
    indices: npt.NDArray[np.int64],
    chosen: Chosen,
    config: TrainConfig,
) -> dict[str, Any]:
    """Score test images after each change."""
    result: dict[str, Any] = {}
    indices = indices[:: -(-len(indices) // CHANGED)]
    shortcuts = SHORTCUTS | {name: SPECIAL[name] for name in config.shortcuts}
    for kind, changes in (("shortcuts", UNCHANGED | shortcuts), ("robustness", ROBUSTNESS)):
        result[kind] = {}
        for name, change in changes.items():
            scored = score(classifier, data, indices, change)
            flagged = chosen.flagged(scored.logits)
            result[kind][name] = {
                "auroc": metrics.auroc(scored.labels, scored.logits),
                "sensitivity": metrics.sensitivity(scored.labels, flagged),
                "specificity": metrics.specificity(scored.labels, flagged),
            }
            _LOG.info("%s: %s", name, result[kind][name])
    return result


def _activation(scored: Scored, config: TrainConfig) -> dict[str, Any]:
    """Say how much of the positive activation of the positives lies in a region, beside the region's area.

    The lung fields count where the configuration asks about them.
    """
    result = {}
    for name, region in _REGIONS.items():
        if name == _LUNGS and not any(_LUNGS in shortcut for shortcut in config.shortcuts):
            continue
        shares = scored.shares[name][(scored.labels == 1) & np.isfinite(scored.shares[name])]
        result[name] = {
            "median_share": float(np.median(shares)),
            "area_share": float(region(*_GRID).float().mean()),
        }
    return result


def _folder(classifier: Classifier, folder: Path, chosen: Chosen, limit: int = 200) -> dict[str, Any]:
    """Say how often images of another kind are flagged; nothing is known of their findings."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpeg", ".jpg", ".png"})
    logits = []
    for path in paths[:: max(1, len(paths) // limit)]:
        with Image.open(path) as image:
            values = np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255.0)
        logits.append(classifier.predict(values.astype(np.float32)).logit)
    scores = np.array(logits, dtype=np.float64)
    return {
        "images": len(logits),
        "flagged_share": float(chosen.flagged(scores).mean()),
        "median_probability": statistics.median(chosen.probabilities(scores).tolist()),
    }


def _data(data: Dataset) -> dict[str, Any]:
    """Say around how many images of each class there is a dark frame."""
    boxes: list[Box] = []
    for start in range(0, len(data.samples), _BATCH):
        stop = min(start + _BATCH, len(data.samples))
        boxes += content_boxes(data.batch(np.arange(start, stop)))
    height, width = data.pixels.shape[1:]
    framed = np.array([box != (0, height, 0, width) for box in boxes])
    labels = data.labels(np.arange(len(framed)))
    return {
        "dark_frame_share": {name: float(framed[labels == i].mean()) for i, name in enumerate(data.classes)}
    }


def _column(parts: list[Tensor]) -> npt.NDArray[np.float64]:
    return torch.cat(parts).double().numpy()
