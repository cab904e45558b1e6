"""Metrics of a binary score, in plain NumPy, and their patient-level bootstrap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Metric = Callable[[Labels, Scores], float]

_CALIBRATION_BINS = 15


def auroc(labels: Labels, scores: Scores) -> float:
    """Area under the ROC curve: how often a positive outranks a negative, ties counting half.

    Examples
    --------
    >>> auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(labels: Labels, scores: Scores) -> float:
    """Area under the precision-recall curve, as the step-wise average precision."""
    order = np.argsort(-scores, kind="stable")
    hits, ranked = np.cumsum(labels[order]), scores[order]
    # Only the last of equal scores is a point of the curve.
    last = np.append(ranked[1:] != ranked[:-1], True)
    recall = hits[last] / hits[-1]
    precision = hits[last] / (np.flatnonzero(last) + 1)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def sensitivity(labels: Labels, flagged: npt.NDArray[np.bool_]) -> float:
    """Share of the positives that are flagged."""
    return float(flagged[labels == 1].mean())


def specificity(labels: Labels, flagged: npt.NDArray[np.bool_]) -> float:
    """Share of the negatives that are not flagged."""
    return float(1.0 - flagged[labels == 0].mean())


def threshold_at_specificity(labels: Labels, scores: Scores, target: float) -> float:
    """Return the lowest threshold whose specificity is at least ``target``.

    Flagged is ``score >= threshold``. It lies half-way between two neighbouring scores, so that rounding a
    score does not move it across.
    """
    values = np.unique(scores)
    middles = np.append((values[1:] + values[:-1]) / 2, np.nextafter(values[-1], np.inf))
    negatives = np.sort(scores[labels == 0])
    reached = np.searchsorted(negatives, middles, side="left") / len(negatives)
    return float(middles[np.argmax(reached >= target)])


def sensitivity_at_specificity(labels: Labels, scores: Scores, target: float) -> float:
    """Sensitivity at the lowest threshold of these scores themselves that reaches a specificity."""
    return sensitivity(labels, scores >= threshold_at_specificity(labels, scores, target))


def brier(labels: Labels, probabilities: Scores) -> float:
    """Mean squared difference of probability and label."""
    return float(np.mean((probabilities - labels) ** 2))


def calibration_error(labels: Labels, probabilities: Scores) -> float:
    """Return the expected calibration error over 15 bins of equal width."""
    bins = np.minimum((probabilities * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=probabilities - labels, minlength=_CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def sigmoid(logits: Scores) -> Scores:
    """Logistic function, without overflow."""
    return np.exp(-np.logaddexp(0.0, -logits))


def negative_log_likelihood(labels: Labels, logits: Scores) -> float:
    """Mean binary cross-entropy of logits."""
    return float(np.mean(np.logaddexp(0.0, np.where(labels == 1, -logits, logits))))


def fit_temperature(labels: Labels, logits: Scores) -> float:
    """Return the temperature by which dividing the logits minimises the negative log-likelihood.

    The likelihood has one minimum in the inverse temperature, so a golden-section search over its logarithm
    finds it.
    """
    low, high, ratio = -3.0, 3.0, (5**0.5 - 1) / 2

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(labels, logits / np.exp(log_temperature))

    while high - low > 1e-6:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval.

    Parameters
    ----------
    value : float
        On the images themselves.
    low, high : float
        2.5 and 97.5 percentiles of the bootstrap.
    """

    value: float
    low: float
    high: float


def bootstrap(
    labels: Labels,
    scores: Scores,
    groups: Sequence[str],
    metrics: Mapping[str, Metric],
    repeats: int,
    seed: int,
) -> dict[str, Estimate]:
    """Estimate metrics with intervals from resampling whole patients.

    Images of one patient resemble each other, so resampling images would make the intervals too narrow.

    Parameters
    ----------
    labels : numpy.ndarray
        0 or 1 per image.
    scores : numpy.ndarray
        Score per image.
    groups : sequence of str
        Patient group per image.
    metrics : mapping of str to callable
        Each takes labels and scores.
    repeats : int
        Number of resamples.
    seed : int
        Seed of the resampling.

    Returns
    -------
    dict of str to Estimate
        One per metric.
    """
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    parts = [np.array(rows) for rows in members.values()]
    generator = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {name: [] for name in metrics}
    for _ in range(repeats):
        rows = np.concatenate([parts[i] for i in generator.integers(len(parts), size=len(parts))])
        if 0 < labels[rows].sum() < len(rows):
            for name, metric in metrics.items():
                draws[name].append(metric(labels[rows], scores[rows]))
    estimates = {}
    for name, metric in metrics.items():
        low, high = np.percentile(draws[name], [2.5, 97.5])
        estimates[name] = Estimate(metric(labels, scores), float(low), float(high))
    return estimates
