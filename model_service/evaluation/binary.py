"""Figures of one score against yes or no; the classification's, and of a detection whether anything is there."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from model_service.evaluation.judging import Drawn, Subject, ratio
from model_service.evaluation.report import Bin, Curve, Histogram
from model_service.evaluation.resample import Rows
from model_service.training import metrics

HEADLINE = ("auroc", "sensitivity", "specificity")
_BINS = 15  # as the expected calibration error has them
_MOST_POINTS = 400


def binary_subject(
    label: str, truths: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], threshold: float
) -> Subject:
    """Return the figures of a calibrated score.

    Parameters
    ----------
    label : str
        Of the class.
    truths : numpy.ndarray
        Whether each case is positive.
    scores : numpy.ndarray
        Calibrated probability of each case.
    threshold : float
        Flagged is at or above it.
    """
    labels = truths.astype(np.int64)

    def statistics(rows: Rows) -> Mapping[str, float]:
        return _ranked(labels[rows], scores[rows]) | _decided(labels[rows], scores[rows], threshold)

    def counts(rows: Rows) -> Mapping[str, int]:
        positive = int(labels[rows].sum())
        return {"positive": positive, "negative": len(rows) - positive}

    drawn = Drawn(
        curves=_curves(labels, scores) if 0 < labels.sum() < len(labels) else {},
        reliability=_reliability(labels, scores),
        histogram=_histogram(truths, scores),
    )
    return Subject(label, statistics, counts, HEADLINE, drawn)


def _ranked(labels: metrics.Labels, scores: metrics.Scores) -> dict[str, float]:
    wanted: dict[str, metrics.Metric] = {
        "auroc": metrics.auroc,
        "auprc": metrics.average_precision,
        "sensitivity_at_specificity_0.90": partial(metrics.sensitivity_at_specificity, target=0.90),
        "sensitivity_at_specificity_0.95": partial(metrics.sensitivity_at_specificity, target=0.95),
    }
    if not 0 < labels.sum() < len(labels):  # a resample may have one class only
        return dict.fromkeys(wanted, float("nan"))
    return {name: metric(labels, scores) for name, metric in wanted.items()}


def _decided(labels: metrics.Labels, scores: metrics.Scores, threshold: float) -> dict[str, float]:
    flagged, positive = scores >= threshold, labels == 1
    hits = int((flagged & positive).sum())
    passes = int((~flagged & ~positive).sum())
    return {
        "sensitivity": ratio(hits, positive.sum()),
        "specificity": ratio(passes, (~positive).sum()),
        "ppv": ratio(hits, flagged.sum()),
        "npv": ratio(passes, (~flagged).sum()),
        "flagged_share": ratio(flagged.sum(), len(labels)),
        "brier": metrics.brier(labels, scores),
        "ece": metrics.calibration_error(labels, scores),
    }


def _curves(labels: metrics.Labels, scores: metrics.Scores) -> dict[str, Curve]:
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    last = np.append(np.diff(scores[order]) != 0, True)  # only the last of equal scores is a point
    hits, flagged = hits[last], np.flatnonzero(last) + 1
    sensitivity = hits / hits[-1]
    false_alarms = (flagged - hits) / (len(labels) - hits[-1])
    return {
        "roc": _curve(np.append(0.0, false_alarms), np.append(0.0, sensitivity)),
        "precision_recall": _curve(sensitivity, hits / flagged),
    }


def _curve(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Curve:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).round().astype(int))
    return Curve(x=tuple(x[kept].round(6).tolist()), y=tuple(y[kept].round(6).tolist()))


def _reliability(labels: metrics.Labels, scores: metrics.Scores) -> tuple[Bin, ...]:
    place = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    bins = []
    for number in range(_BINS):
        inside = place == number
        some = bool(inside.any())
        bins.append(
            Bin(
                low=number / _BINS,
                high=(number + 1) / _BINS,
                cases=int(inside.sum()),
                mean_probability=float(scores[inside].mean()) if some else None,
                observed=float(labels[inside].mean()) if some else None,
            )
        )
    return tuple(bins)


def _histogram(truths: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> Histogram:
    positive, edges = np.histogram(scores[truths], bins=20, range=(0, 1))
    negative, _ = np.histogram(scores[~truths], bins=20, range=(0, 1))
    return Histogram(
        edges=tuple(edges.round(6).tolist()),
        positive=tuple(positive.tolist()),
        negative=tuple(negative.tolist()),
    )
