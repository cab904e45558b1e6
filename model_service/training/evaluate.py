"""Evaluate a trained run: ``python -m model_service.training.evaluate --config FILE --data DIR --run DIR``.

Temperature, threshold and overlay scale come from the validation split, every published figure from the test
split.
"""

import argparse
import json
import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from model_service.bundle import build_network, build_preprocessing, load_weights, read_inference_config
from model_service.manifest import load_manifest
from model_service.predict import Classifier
from model_service.preprocess import Box, content_boxes
from model_service.training import metrics
from model_service.training.baseline import baseline_scores
from model_service.training.config import TrainConfig, load_config
from model_service.training.data import Dataset, digest, load_dataset
from model_service.training.perturb import BORDER, ROBUSTNESS, SHORTCUTS, Perturbation, border_mask
from model_service.training.split import Split

_LOG = logging.getLogger(__name__)
_BATCH = 32
_DISCRIMINATION: dict[str, metrics.Metric] = {
    "auroc": metrics.auroc,
    "auprc": metrics.average_precision,
    "sensitivity_at_specificity_0.90": partial(metrics.sensitivity_at_specificity, target=0.90),
    "sensitivity_at_specificity_0.95": partial(metrics.sensitivity_at_specificity, target=0.95),
}
_TIMED = 50


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
    border_share : numpy.ndarray
        Share of the positive activation in the outer frame; not a number where there is none.
    groups : list of str
        Patient group per image.
    """

    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float64]
    peaks: npt.NDArray[np.float64]
    border_share: npt.NDArray[np.float64]
    groups: list[str]


def score(
    classifier: Classifier, data: Dataset, indices: npt.NDArray[np.int64], change: Perturbation | None = None
) -> Scored:
    """Run the classifier over images, changed or as they are."""
    logits, peaks, shares = [], [], []
    for start in range(0, len(indices), _BATCH):
        batch = data.batch(indices[start : start + _BATCH])
        values, maps = classifier.raw(batch if change is None else change(batch))
        evidence = torch.nn.functional.interpolate(maps, (100, 100), mode="bilinear").clamp_min(0)[:, 0]
        total = evidence.sum(dim=(1, 2))
        logits.append(values)
        peaks.append(maps.amax(dim=(1, 2, 3)))
        shares.append((evidence * border_mask(100, 100)).sum(dim=(1, 2)) / total)
    return Scored(
        data.labels(indices), _column(logits), _column(peaks), _column(shares), data.patients(indices)
    )


def choose_operating_point(scored: Scored, config: TrainConfig) -> dict[str, Any]:
    """Choose temperature, threshold and overlay scale on the validation split."""
    temperature = metrics.fit_temperature(scored.labels, scored.logits)
    probabilities = metrics.sigmoid(scored.logits / temperature)
    # Rounded here, so that the figures below are those of the number that is published.
    threshold = round(
        metrics.threshold_at_specificity(scored.labels, probabilities, config.min_specificity), 6
    )
    flagged = probabilities >= threshold
    return {
        "calibration": {"temperature": temperature, "chosen_on": "validation"},
        "operating_point": {
            "threshold": threshold,
            "chosen_on": "validation",
            "sensitivity": metrics.sensitivity(scored.labels, flagged),
            "specificity": metrics.specificity(scored.labels, flagged),
        },
        "overlay": {"scale": float(np.quantile(scored.peaks[flagged], config.overlay_quantile))},
    }


def describe_test(scored: Scored, chosen: Mapping[str, Any], config: TrainConfig) -> dict[str, Any]:
    """Compute the published figures, each with its interval."""
    temperature = chosen["calibration"]["temperature"]
    threshold = chosen["operating_point"]["threshold"]

    def at_threshold(metric: Any) -> metrics.Metric:  # noqa: ANN401
        return lambda labels, logits: metric(labels, metrics.sigmoid(logits / temperature) >= threshold)

    def calibrated(metric: metrics.Metric, by: float) -> metrics.Metric:
        return lambda labels, logits: metric(labels, metrics.sigmoid(logits / by))

    wanted = {
        **_DISCRIMINATION,
        "sensitivity_at_threshold": at_threshold(metrics.sensitivity),
        "specificity_at_threshold": at_threshold(metrics.specificity),
        "ece_before": calibrated(metrics.calibration_error, 1.0),
        "ece_after": calibrated(metrics.calibration_error, temperature),
        "brier_before": calibrated(metrics.brier, 1.0),
        "brier_after": calibrated(metrics.brier, temperature),
    }
    return _estimates(scored.labels, scored.logits, scored.groups, wanted, config)


def describe_baselines(data: Dataset, model: Scored, config: TrainConfig) -> dict[str, Any]:
    """Compute the trivial baselines' figures on the same test images, and the model's lead over each."""
    result: dict[str, Any] = {}
    for name, scores in baseline_scores(data, config.seed).items():
        figures = _estimates(model.labels, scores, model.groups, _DISCRIMINATION, config)
        # One resample scores both, so that the interval is that of the paired difference.
        both = np.column_stack([model.logits, scores])
        lead: metrics.Metric = lambda y, s: metrics.auroc(y, s[:, 0]) - metrics.auroc(y, s[:, 1])  # noqa: E731
        figures |= _estimates(model.labels, both, model.groups, {"auroc_lead_of_model": lead}, config)
        result[name] = figures
    return result


def describe_subgroups(
    data: Dataset, indices: npt.NDArray[np.int64], scored: Scored, chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """Compute the sensitivity by the cause that the set's file names tell."""
    temperature = chosen["calibration"]["temperature"]
    flagged = metrics.sigmoid(scored.logits / temperature) >= chosen["operating_point"]["threshold"]
    result = {}
    for cause in ("bacteria", "virus"):
        members = np.array([f"_{cause}_" in data.samples[i].path.name for i in indices])
        if members.any():
            result[cause] = {"images": int(members.sum()), "sensitivity": float(flagged[members].mean())}
    return result


def describe_changes(
    classifier: Classifier, data: Dataset, indices: npt.NDArray[np.int64], chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """Score the test images after each change."""
    temperature = chosen["calibration"]["temperature"]
    threshold = chosen["operating_point"]["threshold"]
    result: dict[str, Any] = {}
    for kind, changes in (("shortcuts", SHORTCUTS), ("robustness", ROBUSTNESS)):
        result[kind] = {}
        for name, change in changes.items():
            scored = score(classifier, data, indices, change)
            flagged = metrics.sigmoid(scored.logits / temperature) >= threshold
            result[kind][name] = {
                "auroc": metrics.auroc(scored.labels, scored.logits),
                "sensitivity": metrics.sensitivity(scored.labels, flagged),
                "specificity": metrics.specificity(scored.labels, flagged),
            }
            _LOG.info("%s: %s", name, result[kind][name])
    return result


def describe_folder(
    classifier: Classifier, folder: Path, chosen: Mapping[str, Any], limit: int = 200
) -> dict[str, Any]:
    """Say how often images of another kind are flagged; nothing is known of their findings."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpeg", ".jpg", ".png"})
    probabilities = []
    for path in paths[:: max(1, len(paths) // limit)]:
        with Image.open(path) as image:
            values = np.asarray(image.convert("L"), dtype=np.float32) / 255.0
        logit = classifier.predict(values.astype(np.float32)).logit
        probabilities.append(float(metrics.sigmoid(np.array(logit / chosen["calibration"]["temperature"]))))
    flagged = np.array(probabilities) >= chosen["operating_point"]["threshold"]
    return {
        "images": len(probabilities),
        "flagged_share": float(flagged.mean()),
        "median_probability": statistics.median(probabilities),
    }


def measure_speed(classifier: Classifier, data: Dataset) -> dict[str, float]:
    """Time `Classifier.predict` on single images of the set, per number of threads."""
    image = data.pixels[0].astype(np.float32) / np.float32(255.0)
    before, result = torch.get_num_threads(), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        times = []
        for _ in range(_TIMED):
            begun = time.perf_counter()
            classifier.predict(image)
            times.append(time.perf_counter() - begun)
        result[f"median_ms_{threads}_threads"] = 1000 * statistics.median(times)
    torch.set_num_threads(before)
    return result


def describe_data(data: Dataset) -> dict[str, Any]:
    """Count images and patient groups per split and class."""
    result: dict[str, Any] = {
        "near_duplicates_dropped": data.dropped,
        "pairs_linking_patients": data.linked,
        "split_sha256": digest(data.manifest()),
    }
    for split in Split:
        indices = data.indices(split)
        labels = data.labels(indices)
        result[split.value] = {
            "images": len(indices),
            "positive": int(labels.sum()),
            "negative": int(len(labels) - labels.sum()),
            "patient_groups": len(set(data.patients(indices))),
        }
    framed = _framed(data)
    labels = data.labels(np.arange(len(framed)))
    result["dark_frame_share"] = {
        "positive": float(framed[labels == 1].mean()),
        "negative": float(framed[labels == 0].mean()),
    }
    return result


def _framed(data: Dataset) -> npt.NDArray[np.bool_]:
    height, width = data.pixels.shape[1:]
    boxes: list[Box] = []
    for start in range(0, len(data.samples), _BATCH):
        stop = min(start + _BATCH, len(data.samples))
        boxes += content_boxes(data.batch(np.arange(start, stop)))
    return np.array([box != (0, height, 0, width) for box in boxes])


def evaluate(config: TrainConfig, data: Dataset, run: Path, others: Mapping[str, Path]) -> dict[str, Any]:
    """Evaluate the weights of a run.

    Parameters
    ----------
    config : TrainConfig
        The run's configuration.
    data : Dataset
        The run's data; its split must be the run's.
    run : pathlib.Path
        Folder that the training wrote.
    others : mapping of str to pathlib.Path
        Folders of images of other kinds, by name.

    Returns
    -------
    dict
        Everything that the model card shows, ready for JSON.
    """
    if (run / "split.csv").read_text(encoding="utf-8") != data.manifest():
        raise ValueError("the data folder does not give the split that this run was trained on")
    settings = read_inference_config(config.bundle)
    network = build_network(settings)
    load_weights(network, run / "model.safetensors")
    classifier = Classifier(network, build_preprocessing(settings), load_manifest(config.bundle))
    chosen = choose_operating_point(score(classifier, data, data.indices(Split.VALIDATION)), config)
    indices = data.indices(Split.TEST)
    tested = score(classifier, data, indices)
    history = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    shares = tested.border_share[(tested.labels == 1) & np.isfinite(tested.border_share)]
    report: dict[str, Any] = {
        "data": describe_data(data),
        **chosen,
        "test": describe_test(tested, chosen, config),
        "baselines": describe_baselines(data, tested, config),
        "subgroups": describe_subgroups(data, indices, tested, chosen),
        **describe_changes(classifier, data, indices, chosen),
        "other_images": {name: describe_folder(classifier, path, chosen) for name, path in others.items()},
        "speed": measure_speed(classifier, data),
        "training": {
            "epochs": len(history),
            "scheduled_epochs": config.epochs,
            "wall_seconds": sum(row["seconds"] for row in history),
            "parameters": sum(p.numel() for p in network.parameters()),
        },
    }
    report["shortcuts"]["activation_in_border"] = {
        "median_share": float(np.median(shares)),
        "area_share": 1 - (1 - 2 * BORDER) ** 2,
    }
    return report


def _column(parts: list[torch.Tensor]) -> npt.NDArray[np.float64]:
    return torch.cat(parts).double().numpy()


def _estimates(
    labels: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    groups: Sequence[str],
    wanted: Mapping[str, metrics.Metric],
    config: TrainConfig,
) -> dict[str, Any]:
    found = metrics.bootstrap(labels, scores, groups, wanted, config.bootstrap, config.seed)
    return {name: asdict(estimate) for name, estimate in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Evaluate a trained run and write its metrics.json.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder that the training wrote")
    parser.add_argument(
        "--other", action="append", default=[], metavar="NAME=DIR", help="images of another kind"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config = load_config(options.config)
    torch.set_num_threads(config.threads)
    others = {name: Path(folder) for name, _, folder in (item.partition("=") for item in options.other)}
    report = evaluate(config, load_dataset(options.data, config.data, config.seed), options.run, others)
    text = json.dumps(report, indent=2) + "\n"
    (options.run / "metrics.json").write_text(text, encoding="utf-8")
    _LOG.info("test AUROC %s", report["test"]["auroc"])


if __name__ == "__main__":
    main()
