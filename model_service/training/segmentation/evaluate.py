"""Evaluate a trained run.

``python -m model_service.training.segmentation.evaluate --config FILE --data DIR --run DIR``

Temperature, threshold and whether small parts are dropped come from the validation split, every published figure
from the test split.
"""

import argparse
import json
import logging
import statistics
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model_service.bundle import load_weights
from model_service.training import tracking
from model_service.training.data import digest
from model_service.training.segmentation import measures
from model_service.training.segmentation.baseline import Baseline
from model_service.training.segmentation.config import SegmentationConfig, load_config
from model_service.training.segmentation.data import (
    Case,
    SegmentationData,
    load_data,
    read_field,
    read_label,
    read_second,
)
from model_service.training.segmentation.network import BundleParts
from model_service.training.segmentation.predict import Predicted, fit_temperature, predict_case
from model_service.training.segmentation.series import describe_series
from model_service.training.split import Split

_LOG = logging.getLogger(__name__)
_SPLITS = (Split.TRAIN, Split.VALIDATION, Split.TEST)
_THRESHOLDS = np.round(np.arange(0.10, 0.91, 0.02), 2)
# A part of the voxels is enough for one number.
_TEMPERATURE_STRIDE = 7
# Voxels far from anything are easy: calibration is told for all, and for those that are given some probability.
_DOUBTFUL = 0.05


def choose_operating_point(validation: Sequence[Predicted], config: SegmentationConfig) -> dict[str, Any]:
    """Choose temperature, threshold of a sigmoid, and whether only the largest part stays, on validation cases."""
    thresholds = _THRESHOLDS if config.activation == "sigmoid" else np.array([0.5])
    # Vessels are many parts by nature.
    largest = (False, True) if config.activation == "softmax" else (False,)
    tried = {
        (float(threshold), keep): float(np.mean([_mean_dice(p, float(threshold), keep) for p in validation]))
        for threshold in thresholds
        for keep in largest
    }
    threshold, keep = max(tried, key=lambda key: (tried[key], -abs(key[0] - 0.5), not key[1]))
    return {
        "calibration": {
            "temperature": fit_temperature(list(validation), _TEMPERATURE_STRIDE),
            "chosen_on": "validation",
        },
        "operating_point": {
            "threshold": threshold if config.activation == "sigmoid" else None,
            "keep_largest": keep,
            "mean_dice": tried[threshold, keep],
            "chosen_on": "validation",
        },
    }


def _mean_dice(predicted: Predicted, threshold: float, keep: bool) -> float:
    found = predicted.decide(threshold, keep_largest=keep)
    return statistics.fmean(
        measures.dice(mask & predicted.field, (predicted.label == number) & predicted.field)
        for number, mask in enumerate(found, start=1)
    )


def score_masks(
    found: Sequence[npt.NDArray[np.bool_]], predicted: Predicted, config: SegmentationConfig
) -> dict[str, float]:
    """Return the figures of decided masks of one case: Dice, and of a volume HD95 and volumes in mm3."""
    values: dict[str, float] = {}
    voxel = float(np.prod(predicted.spacing))
    for number, (name, mask) in enumerate(zip(config.classes, found, strict=True), start=1):
        reference = (predicted.label == number) & predicted.field
        inside = mask & predicted.field
        values[f"dice_{name}"] = measures.dice(inside, reference)
        if config.data.kind == "hippocampus":
            values[f"hd95_mm_{name}"] = measures.hausdorff95(inside, reference, predicted.spacing)
            values[f"volume_mm3_{name}"] = float(inside.sum()) * voxel
            values[f"reference_mm3_{name}"] = float(reference.sum()) * voxel
        else:
            values[f"sensitivity_{name}"] = float(inside[reference].mean())
            values[f"specificity_{name}"] = float(1 - inside[predicted.field & ~reference].mean())
    return values


def score_model(
    predicted: Predicted, chosen: dict[str, Any], config: SegmentationConfig
) -> measures.CaseScores:
    """Return everything that one case contributes to the model's figures."""
    point = chosen["operating_point"]
    found = predicted.decide(point["threshold"] or 0.5, keep_largest=point["keep_largest"])
    histograms = {}
    for kind, temperature in (("before", 1.0), ("after", chosen["calibration"]["temperature"])):
        for number, (name, values) in enumerate(
            zip(config.classes, predicted.probabilities(temperature), strict=True), start=1
        ):
            reference = predicted.label[predicted.field] == number
            histograms[f"{kind}_{name}"] = measures.histogram(values[predicted.field], reference)
    case = predicted.case
    return measures.CaseScores(case.source, case.group, score_masks(found, predicted, config), histograms)


def describe_model(scores: Sequence[measures.CaseScores], config: SegmentationConfig) -> dict[str, Any]:
    """Compute the published figures of the test cases, each with its interval."""
    pooled: dict[str, tuple[str, Any]] = {}
    doubtful = partial(measures.calibration_error, above=_DOUBTFUL)
    for name in config.classes:
        if config.activation == "sigmoid":
            pooled[f"auroc_{name}"] = (f"before_{name}", measures.auroc)
            pooled[f"auprc_{name}"] = (f"before_{name}", measures.average_precision)
        for kind in ("before", "after"):
            pooled[f"ece_{kind}_{name}"] = (f"{kind}_{name}", measures.calibration_error)
            pooled[f"ece_doubtful_{kind}_{name}"] = (f"{kind}_{name}", doubtful)
    figures = measures.bootstrap(scores, pooled, config.bootstrap, config.seed)
    return {"cases": len(scores), "groups": len({s.group for s in scores}), **figures}


def describe_volumes(scores: Sequence[measures.CaseScores], config: SegmentationConfig) -> dict[str, Any]:
    """Compare the volumes with those of the reference, per class and of the whole."""
    result = {}
    groups = [s.group for s in scores]
    for name, parts in {**{c: (c,) for c in config.classes}, "total": config.classes}.items():
        volumes, reference = (
            [sum(s.values[f"{kind}_{part}"] for part in parts) for s in scores]
            for kind in ("volume_mm3", "reference_mm3")
        )
        agreement = measures.bland_altman(volumes, reference, groups, config.bootstrap, config.seed)
        result[name] = {
            **agreement,
            "points": [[round(a), round(b)] for a, b in zip(volumes, reference, strict=True)],
        }
    return result


def describe_baselines(
    data: SegmentationData, test: Sequence[Predicted], config: SegmentationConfig
) -> dict[str, Any]:
    """Compute the baselines' figures on the same test cases; a threshold comes from validation, too."""
    baseline = Baseline(data.of(Split.TRAIN), config)
    result: dict[str, Any] = {}
    if baseline.atlas is not None:
        atlas = baseline.atlas
        found = [_argmax_masks(atlas.probabilities(p.label.shape)) for p in test]
        result["atlas"] = _baseline_figures(found, test, config)
        found = [_argmax_masks(baseline.probabilities(p.case)) for p in test]
    else:
        threshold = _baseline_threshold(baseline, data.of(Split.VALIDATION), config)
        found = [[baseline.probabilities(p.case)[1] >= threshold] for p in test]
    result["logistic_regression"] = _baseline_figures(found, test, config)
    return result


def _argmax_masks(probabilities: npt.NDArray[np.float32]) -> list[npt.NDArray[np.bool_]]:
    chosen = probabilities.argmax(axis=0)
    return [chosen == number for number in range(1, len(probabilities))]


def _baseline_threshold(baseline: Baseline, cases: Sequence[Case], config: SegmentationConfig) -> float:
    totals = np.zeros(len(_THRESHOLDS))
    for case in cases:
        probability = baseline.probabilities(case)[1]
        reference, inside = _reference(case, config)
        totals += [measures.dice((probability >= t) & inside, reference) for t in _THRESHOLDS]
    return float(_THRESHOLDS[totals.argmax()])


def _reference(case: Case, config: SegmentationConfig) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    inside = read_field(case)
    return (read_label(case, config) > 0) & inside, inside


def _baseline_figures(
    found: Sequence[Sequence[npt.NDArray[np.bool_]]], test: Sequence[Predicted], config: SegmentationConfig
) -> dict[str, Any]:
    scores = [
        measures.CaseScores(p.case.source, p.case.group, score_masks(masks_, p, config))
        for masks_, p in zip(found, test, strict=True)
    ]
    return measures.bootstrap(scores, {}, config.bootstrap, config.seed)


def describe_observers(test: Sequence[Predicted], config: SegmentationConfig) -> dict[str, Any]:
    """Score the second observer against the first as if it were a model, where the set has one."""
    scores = []
    for predicted in test:
        second = read_second(predicted.case)
        if second is not None:
            case = predicted.case
            values = score_masks([second], predicted, config)
            scores.append(measures.CaseScores(case.source, case.group, values))
    if not scores:
        return {}
    return {"cases": len(scores), **measures.bootstrap(scores, {}, config.bootstrap, config.seed)}


def describe_data(data: SegmentationData) -> dict[str, Any]:
    """Count cases and patients per split and source."""
    result: dict[str, Any] = {
        "unpaired": list(data.unpaired),
        "near_duplicates_dropped": data.duplicates,
        "closest_hash_distance": data.closest,
        "split_sha256": digest(data.manifest()),
    }
    for split in _SPLITS:
        cases = data.of(split)
        result[split.value] = {
            "cases": len(cases),
            "groups": len({case.group for case in cases}),
            "sources": {s: sum(c.source == s for c in cases) for s in sorted({c.source for c in cases})},
        }
    return result


def describe_training(run: Path, config: SegmentationConfig) -> dict[str, Any]:
    """Sum up the history of the run."""
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    validated = [row for row in rows if any(key.startswith("validation_") for key in row)]
    return {
        "epochs": len(rows),
        "scheduled_epochs": config.epochs,
        "steps_per_epoch": config.steps,
        "batch_size": config.batch_size,
        "patch": list(config.patch),
        "wall_seconds": sum(row["seconds"] for row in rows),
        "threads": rows[-1]["threads"],
        "validation": [
            {k: v for k, v in row.items() if k not in {"seconds", "threads"}} for row in validated
        ],
    }


def evaluate(
    config: SegmentationConfig, data: SegmentationData, run: Path, series: dict[str, Path]
) -> dict[str, Any]:
    """Evaluate the weights of a run.

    Parameters
    ----------
    config : SegmentationConfig
        The run's configuration.
    data : SegmentationData
        The run's data; its split must be the run's.
    run : pathlib.Path
        Folder that the training wrote.
    series : dict of str to pathlib.Path
        Folders of DICOM series without a reference, by name.

    Returns
    -------
    dict
        Everything that the model card shows, ready for JSON.
    """
    if (run / "split.csv").read_text(encoding="utf-8") != data.manifest():
        raise ValueError("the data folder does not give the split that this run was trained on")
    parts = BundleParts(config.bundle)
    network, preprocessing, inferer = parts.network(), parts.preprocessing(), parts.inferer()
    load_weights(network, run / "model.safetensors")
    validation = [predict_case(c, network, preprocessing, inferer, config) for c in data.of(Split.VALIDATION)]
    chosen = choose_operating_point(validation, config)
    _LOG.info("chosen on validation: %s", chosen)
    test, seconds = [], []
    for case in data.of(Split.TEST):
        begun = time.perf_counter()
        test.append(predict_case(case, network, preprocessing, inferer, config))
        seconds.append(time.perf_counter() - begun)
    scores = [score_model(p, chosen, config) for p in test]
    report: dict[str, Any] = {
        "data": describe_data(data),
        **chosen,
        "test": describe_model(scores, config),
        "sources": _per_source(scores, config),
        "reliability": {
            name: measures.reliability(sum(s.histograms[f"after_{name}"] for s in scores))  # type: ignore[arg-type]
            for name in config.classes
        },
        "baselines": describe_baselines(data, test, config),
        "training": describe_training(run, config)
        | {"parameters": sum(p.numel() for p in network.parameters())},
        "speed": {"median_seconds_per_case": statistics.median(seconds), "threads": torch.get_num_threads()},
    }
    if config.data.kind == "hippocampus":
        report["volumes"] = describe_volumes(scores, config)
    observers = describe_observers(test, config)
    if observers:
        report["second_observer"] = observers
    report["series"] = {
        name: describe_series(folder, network, parts, chosen, config) for name, folder in series.items()
    }
    return report


def _per_source(scores: Sequence[measures.CaseScores], config: SegmentationConfig) -> dict[str, Any]:
    sources = sorted({s.source for s in scores})
    if len(sources) < 2:
        return {}
    return {s: describe_model([c for c in scores if c.source == s], config) for s in sources}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Evaluate a trained run and write its metrics.json.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder that the training wrote")
    parser.add_argument(
        "--series", action="append", default=[], metavar="NAME=DIR", help="DICOM series without a reference"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config = load_config(options.config)
    torch.set_num_threads(config.threads)
    series = {name: Path(folder) for name, _, folder in (item.partition("=") for item in options.series)}
    report = evaluate(config, load_data(options.data, config.data, config.seed), options.run, series)
    text = json.dumps(report, indent=2) + "\n"
    (options.run / "metrics.json").write_text(text, encoding="utf-8")
    with tracking.run(config.bundle.name, config.model_dump(mode="json"), options.run) as tracked:
        tracked.metrics({f"test_{k}": v["value"] for k, v in report["test"].items() if isinstance(v, dict)})
        tracked.artifact(options.run / "metrics.json")
    for name in config.classes:
        _LOG.info("test Dice %s %s", name, report["test"][f"dice_{name}"])


if __name__ == "__main__":
    main()
