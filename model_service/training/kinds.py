"""What the evaluation of kinds of images (more than two classes, one of them for what is none) reports.

An image is answered where the largest calibrated probability reaches a threshold and the class is not the last
one, which stands for everything else; what is not answered is "unknown". The threshold is the highest that still
answers a given share of the validation images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from model_service.preprocess import Preprocess
from model_service.training import metrics
from model_service.training.baseline import baseline_scores
from model_service.training.config import TrainConfig
from model_service.training.data import Dataset
from model_service.training.perturb import CHANGED, ROBUSTNESS, SHORTCUTS, UNCHANGED, Perturbation
from model_service.training.split import Split
from model_service.training.train import predict_logits

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Chosen:
    """What the validation split decides.

    Parameters
    ----------
    temperature : float
        Logits are divided by it before the softmax.
    threshold : float
        Least calibrated probability of an answer.
    reject : int
        The class that stands for everything else.
    """

    temperature: float
    threshold: float
    reject: int

    def probabilities(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return N x classes calibrated probabilities."""
        return metrics.softmax(logits / self.temperature)

    def answers(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the class of each image; the rejecting one for unknown."""
        probabilities = self.probabilities(logits)
        best = probabilities.argmax(axis=1)
        return np.where(probabilities.max(axis=1) >= self.threshold, best, self.reject)


def choose(labels: npt.NDArray[np.int64], logits: npt.NDArray[np.float64], config: TrainConfig) -> Chosen:
    """Choose temperature and threshold on the validation split.

    Parameters
    ----------
    labels : numpy.ndarray
        Of the validation images.
    logits : numpy.ndarray
        Images x classes.
    config : TrainConfig
        Holds the share of images that must get an answer.
    """
    reject = len(config.data.classes) - 1
    temperature = round(metrics.fit_temperature(labels, logits), 6)
    known = labels != reject
    probabilities = metrics.softmax(logits[known] / temperature)
    # Nothing rejected may count as answered.
    largest = np.where(probabilities.argmax(axis=1) == reject, 0.0, probabilities.max(axis=1))
    threshold = float(np.quantile(largest, 1 - config.min_coverage, method="lower"))
    return Chosen(temperature, float(np.floor(threshold * 1e6) / 1e6), reject)


def report(network: nn.Module, preprocess: Preprocess, data: Dataset, config: TrainConfig) -> dict[str, Any]:
    """Return everything that the model card shows of a recognition.

    Parameters
    ----------
    network : torch.nn.Module
        With the weights of the run.
    preprocess : Preprocess
        The bundle's.
    data : Dataset
        The run's data.
    config : TrainConfig
        The run's configuration.

    Returns
    -------
    dict
        Ready for JSON.
    """
    validation, test = data.indices(Split.VALIDATION), data.indices(Split.TEST)
    logits = predict_logits(network, preprocess, data, validation)
    chosen = choose(data.labels(validation), logits, config)
    tested = predict_logits(network, preprocess, data, test)
    labels = data.labels(test)
    top = chosen.probabilities(tested)
    right = (top.argmax(axis=1) == labels).astype(np.int64)
    return {
        "data": {"sources": _sources(data)},
        "calibration": {"temperature": chosen.temperature, "bias": 0.0, "chosen_on": "validation"},
        "unknown_below": chosen.threshold,
        "validation": _figures(data.labels(validation), logits, chosen),
        "test": _test(labels, tested, data.patients(test), chosen, config),
        "reliability": metrics.reliability(right, top.max(axis=1)),
        "confusion": _confusion(labels, tested, chosen, data.classes),
        "external": _external(network, preprocess, data, chosen, config),
        "baselines": _baselines(data, config),
        **_changes(network, preprocess, data, chosen),
    }


def _figures(
    labels: npt.NDArray[np.int64], logits: npt.NDArray[np.float64], chosen: Chosen
) -> dict[str, float]:
    """Return accuracy with and without the choice of saying unknown, and how often that is said.

    ``accuracy`` is of the most probable class; ``not_wrong`` counts unknown as not wrong, and is the only one that
    an image of no class can reach other than by the rejecting class.
    """
    answers = chosen.answers(logits)
    answered = answers != chosen.reject
    right = answers == labels
    return {
        "images": len(labels),
        "accuracy": float((logits.argmax(axis=1) == labels).mean()),
        "answered_share": float(answered.mean()),
        "accuracy_of_answered": float(right[answered].mean()) if answered.any() else float("nan"),
        "not_wrong": float((right | ~answered).mean()),
    }


def _test(
    labels: npt.NDArray[np.int64],
    logits: npt.NDArray[np.float64],
    groups: list[str],
    chosen: Chosen,
    config: TrainConfig,
) -> dict[str, Any]:
    def of(name: str) -> metrics.Metric:
        return lambda truth, scores: _figures(truth, scores, chosen)[name]

    def top_label(temperature: float) -> metrics.Metric:
        def error(truth: metrics.Labels, scores: metrics.Scores) -> float:
            probabilities = metrics.softmax(scores / temperature)
            right = (probabilities.argmax(axis=1) == truth).astype(np.int64)
            return metrics.calibration_error(right, probabilities.max(axis=1))

        return error

    def brier(truth: metrics.Labels, scores: metrics.Scores) -> float:
        wanted = np.eye(scores.shape[1])[truth]
        return float(((chosen.probabilities(scores) - wanted) ** 2).sum(axis=1).mean())

    wanted = {
        **{name: of(name) for name in ("accuracy", "answered_share", "accuracy_of_answered", "not_wrong")},
        "ece_before": top_label(1.0),
        "ece_after": top_label(chosen.temperature),
        "brier_after": brier,
    }
    return metrics.estimates(labels, logits, groups, wanted, config.bootstrap, config.seed)


def _confusion(
    labels: npt.NDArray[np.int64],
    logits: npt.NDArray[np.float64],
    chosen: Chosen,
    classes: tuple[str, ...],
) -> dict[str, dict[str, int]]:
    """Return how often each class got each answer."""
    names = [*classes[: chosen.reject], UNKNOWN]
    answers = chosen.answers(logits)
    return {
        classes[label]: {
            name: int(count)
            for i, name in enumerate(names)
            if (count := (answers[labels == label] == i).sum())
        }
        for label in np.unique(labels)
    }


def _external(
    network: nn.Module, preprocess: Preprocess, data: Dataset, chosen: Chosen, config: TrainConfig
) -> dict[str, Any]:
    """Return figures and answers of every source that was held out whole, and of all that show a class."""
    indices = data.indices(Split.EXTERNAL)
    labels, sources = data.labels(indices), np.array([data.samples[i].source for i in indices])
    logits = predict_logits(network, preprocess, data, indices)
    result: dict[str, Any] = {"sources": {}}
    for source in dict.fromkeys(sources):
        of = sources == source
        result["sources"][str(source)] = {
            **_figures(labels[of], logits[of], chosen),
            "answers": _confusion(labels[of], logits[of], chosen, data.classes),
        }
    known = labels != chosen.reject
    per_source = [r for r in result["sources"].values() if config.data.classes[-1] not in r["answers"]]
    result["images_with_a_class"] = _figures(labels[known], logits[known], chosen)
    result["mean_of_sources"] = {
        name: float(np.nanmean([figures[name] for figures in per_source]))
        for name in ("accuracy", "answered_share", "accuracy_of_answered", "not_wrong")
    }
    return result


def _baselines(data: Dataset, config: TrainConfig) -> dict[str, Any]:
    result: dict[str, Any] = {}
    test, external = data.indices(Split.TEST), data.indices(Split.EXTERNAL)
    external = external[data.labels(external) != len(data.classes) - 1]
    for name, scores in baseline_scores(data, config.seed, np.concatenate([test, external])).items():
        best = scores.argmax(axis=1)
        result[name] = {
            "test_accuracy": float((best[: len(test)] == data.labels(test)).mean()),
            "external_accuracy": float((best[len(test) :] == data.labels(external)).mean()),
        }
    return result


def _changes(network: nn.Module, preprocess: Preprocess, data: Dataset, chosen: Chosen) -> dict[str, Any]:
    """Score test images of a class after each change."""
    test = data.indices(Split.TEST)
    test = test[data.labels(test) != chosen.reject]
    test = test[:: -(-len(test) // CHANGED)]

    def changed(change: Perturbation) -> dict[str, float]:
        logits = predict_logits(network, lambda batch: preprocess(change(batch)), data, test)
        return _figures(data.labels(test), logits, chosen)

    kinds: Mapping[str, Mapping[str, Perturbation]] = {
        "shortcuts": UNCHANGED | SHORTCUTS,
        "robustness": ROBUSTNESS,
    }
    return {kind: {name: changed(change) for name, change in each.items()} for kind, each in kinds.items()}


def _sources(data: Dataset) -> dict[str, dict[str, dict[str, int]]]:
    """Count images per class, source and split."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for sample, split in zip(data.samples, data.splits, strict=True):
        of = counts.setdefault(data.classes[sample.label], {}).setdefault(sample.source, {})
        of[split.value] = of.get(split.value, 0) + 1
    return counts
