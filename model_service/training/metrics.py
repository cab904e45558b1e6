"""Metrics of a binary score, in plain NumPy, and their patient-level bootstrap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Metric = Callable[[Labels, Scores], float]

_CALIBRATION_BINS = 15
_NEWTON_STEPS = 50


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
    gaps = np.bincount(_bins(probabilities), weights=probabilities - labels, minlength=_CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def reliability(labels: Labels, probabilities: Scores) -> list[dict[str, float]]:
    """Return count, mean probability and share of positives of each bin that holds anything."""
    bins = _bins(probabilities)
    return [
        {
            "images": int((bins == number).sum()),
            "predicted": float(probabilities[bins == number].mean()),
            "observed": float(labels[bins == number].mean()),
        }
        for number in np.unique(bins)
    ]


def _bins(probabilities: Scores) -> npt.NDArray[np.int64]:
    return np.minimum((probabilities * _CALIBRATION_BINS).astype(np.int64), _CALIBRATION_BINS - 1)


def sigmoid(logits: Scores) -> Scores:
    """Logistic function, without overflow."""
    return np.exp(-np.logaddexp(0.0, -logits))


def softmax(logits: Scores) -> Scores:
    """Normalised exponentials of N x classes logits, without overflow."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)


def fit_platt(labels: Labels, logits: Scores) -> tuple[float, float]:
    """Return the temperature and bias that minimise the negative log-likelihood of a binary label.

    The probability is logistic(logit / temperature + bias). A bias is needed where the share of positives or
    the look of the images differs from training: it is a shift, which no temperature removes. The labels are
    Platt's targets, so that separable scores do not ask for an infinite slope.

    Parameters
    ----------
    labels, logits : numpy.ndarray
        Of the validation split.

    Returns
    -------
    tuple of float
        Temperature and bias.

    Raises
    ------
    ValueError
        If larger logits do not mean more positives.
    """
    positives = int(labels.sum())
    negatives = len(labels) - positives
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    scale = float(np.std(logits)) or 1.0
    design = np.column_stack([logits / scale, np.ones_like(logits)])

    def loss(weights: Scores) -> float:
        margin = design @ weights
        return float(np.mean(np.logaddexp(0.0, margin) - targets * margin))

    weights = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        probabilities = sigmoid(design @ weights)
        gradient = design.T @ (probabilities - targets)
        hessian = (design * (probabilities * (1 - probabilities))[:, None]).T @ design
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), gradient)
        while loss(weights - step) > loss(weights) and np.abs(step).max() > 1e-9:
            step /= 2
        weights = weights - step
    weights[0] /= scale
    if weights[0] <= 0:
        raise ValueError("the scores do not rise with the label")
    return float(1 / weights[0]), float(weights[1])


def fit_temperature(labels: Labels, logits: Scores) -> float:
    """Return the temperature by which dividing N x classes logits minimises the negative log-likelihood.

    The likelihood has one minimum in the inverse temperature, so a golden-section search over its logarithm
    finds it.
    """
    low, high, ratio = -3.0, 3.0, (5**0.5 - 1) / 2
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return float(-np.log(softmax(logits / np.exp(log_temperature))[rows, labels] + 1e-300).mean())

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
        Label per image.
    scores : numpy.ndarray
        Score, or row of scores, per image.
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
        if labels[rows].min() < labels[rows].max():
            for name, metric in metrics.items():
                draws[name].append(metric(labels[rows], scores[rows]))
    estimates = {}
    for name, metric in metrics.items():
        low, high = np.percentile(draws[name], [2.5, 97.5])
        estimates[name] = Estimate(metric(labels, scores), float(low), float(high))
    return estimates


def estimates(
    labels: Labels,
    scores: Scores,
    groups: Sequence[str],
    wanted: Mapping[str, Metric],
    repeats: int,
    seed: int,
) -> dict[str, Any]:
    """Return what `bootstrap` finds, ready for JSON."""
    found = bootstrap(labels, scores, groups, wanted, repeats, seed)
    return {name: asdict(estimate) for name, estimate in found.items()}
