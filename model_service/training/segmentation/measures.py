"""Per-case and pooled figures of a segmentation, and their bootstrap by patient.

Empty masks: a class that is empty in both prediction and reference has Dice 1 and distance 0; one that is empty
in only one of them has Dice 0 and, as its distance, the diagonal of the image.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice

from model_service.training.metrics import Estimate

Histogram = npt.NDArray[np.float64]
"""Bins x (voxels, positives, sum of probabilities)."""

_BINS = 1000
_RELIABILITY_BINS = 10


@dataclass(frozen=True)
class CaseScores:
    """What one case contributes.

    Parameters
    ----------
    source, group : str
        Set and patient.
    values : dict of str to float
        Figures whose mean over cases is published.
    histograms : dict of str to numpy.ndarray
        Of probabilities, whose sum over cases is evaluated.
    """

    source: str
    group: str
    values: dict[str, float]
    histograms: dict[str, Histogram] = field(default_factory=dict)


def dice(prediction: npt.NDArray[np.bool_], reference: npt.NDArray[np.bool_]) -> float:
    """Return the Dice coefficient of two masks, by `monai.metrics`."""
    if not reference.any():
        return float(not prediction.any())
    return float(compute_dice(_batch(prediction), _batch(reference), ignore_empty=False)[0, 0])


def hausdorff95(
    prediction: npt.NDArray[np.bool_], reference: npt.NDArray[np.bool_], spacing: Sequence[float]
) -> float:
    """Return the 95th percentile of the symmetric surface distance, by `monai.metrics`, in units of the spacing."""
    if not reference.any() and not prediction.any():
        return 0.0
    if not reference.any() or not prediction.any():
        return float(np.linalg.norm(np.array(reference.shape) * np.array(spacing)))
    with warnings.catch_warnings():
        # MONAI 1.6 warns of an argument that it passes to itself.
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy", category=FutureWarning)
        distance = compute_hausdorff_distance(
            _batch(prediction),
            _batch(reference),
            include_background=True,
            percentile=95,
            spacing=list(spacing),
        )
    return float(distance[0, 0])


def _batch(mask: npt.NDArray[np.bool_]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(mask))[None, None].float()


def histogram(probabilities: npt.NDArray[np.float64], positives: npt.NDArray[np.bool_]) -> Histogram:
    """Count voxels, positives and probability per bin of equal width.

    Parameters
    ----------
    probabilities, positives : numpy.ndarray
        One per voxel, flat.
    """
    bins = np.minimum((probabilities * _BINS).astype(np.int64), _BINS - 1)
    weights = (None, positives.astype(np.float64), probabilities)
    return np.stack([np.bincount(bins, w, _BINS).astype(np.float64) for w in weights], axis=1)


def auroc(counts: Histogram) -> float:
    """Area under the ROC curve of binned scores; a shared bin counts half."""
    positive, negative = counts[:, 1], counts[:, 0] - counts[:, 1]
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))


def average_precision(counts: Histogram) -> float:
    """Area under the precision-recall curve of binned scores, as the step-wise average precision."""
    positive, total = counts[::-1, 1].cumsum(), counts[::-1, 0].cumsum()
    precision = np.divide(positive, total, out=np.ones_like(positive), where=total > 0)
    return float((np.diff(positive, prepend=0.0) * precision).sum() / positive[-1])


def calibration_error(counts: Histogram, above: float = 0.0) -> float:
    """Return the expected calibration error over bins of 0.1, of voxels with a probability of ``above`` or more."""
    rows = _coarse(counts[round(above * _BINS) :])
    return float(np.abs(rows[:, 1] - rows[:, 2]).sum() / rows[:, 0].sum())


def reliability(counts: Histogram) -> list[dict[str, float]]:
    """Return, per tenth of the probability, the mean probability, the share of positives and the voxels."""
    return [
        {"predicted": float(p / n), "observed": float(k / n), "voxels": int(n)}
        for n, k, p in _coarse(counts)
        if n > 0
    ]


def _coarse(counts: Histogram) -> Histogram:
    size = _BINS // _RELIABILITY_BINS
    padded = np.concatenate([np.zeros((_BINS - len(counts), 3)), counts])
    return np.asarray(padded.reshape(_RELIABILITY_BINS, size, 3).sum(axis=1))


def sensitivity(counts: Histogram, threshold: float) -> float:
    """Share of the positives at or above a threshold."""
    return float(counts[round(threshold * _BINS) :, 1].sum() / counts[:, 1].sum())


def specificity(counts: Histogram, threshold: float) -> float:
    """Share of the negatives below a threshold."""
    negative = counts[:, 0] - counts[:, 1]
    return float(negative[: round(threshold * _BINS)].sum() / negative.sum())


def bootstrap(
    cases: Sequence[CaseScores],
    pooled: Mapping[str, tuple[str, Callable[[Histogram], float]]],
    repeats: int,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Estimate means over cases and pooled figures, with 95 % intervals from resampling whole patients.

    Parameters
    ----------
    cases : sequence of CaseScores
        All with the same values and histograms.
    pooled : mapping of str to (str, callable)
        Name of a figure: which histogram, and what to compute of its sum.
    repeats, seed : int
        Of the resampling.

    Returns
    -------
    dict of str to dict
        ``value``, ``low`` and ``high`` per figure.
    """
    groups = sorted({case.group for case in cases})
    members = [np.array([i for i, c in enumerate(cases) if c.group == group]) for group in groups]
    table = {name: np.array([case.values[name] for case in cases]) for name in cases[0].values}
    sums = {
        name: np.stack([case.histograms[name] for case in cases]) for name in {h for h, _ in pooled.values()}
    }

    def figures(rows: npt.NDArray[np.int64]) -> dict[str, float]:
        weights = np.bincount(rows, minlength=len(cases)).astype(np.float64)
        found = {name: float(weights @ column / weights.sum()) for name, column in table.items()}
        total = {name: np.tensordot(weights, parts, axes=1) for name, parts in sums.items()}
        return found | {name: compute(total[which]) for name, (which, compute) in pooled.items()}

    generator = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {}
    for _ in range(repeats):
        rows = np.concatenate([members[i] for i in generator.integers(len(members), size=len(members))])
        for name, value in figures(rows).items():
            draws.setdefault(name, []).append(value)
    result = {}
    for name, value in figures(np.arange(len(cases))).items():
        low, high = np.percentile(draws[name], [2.5, 97.5])
        result[name] = asdict(Estimate(value, float(low), float(high)))
    return result


def bland_altman(
    predicted: Sequence[float], reference: Sequence[float], groups: Sequence[str], repeats: int, seed: int
) -> dict[str, object]:
    """Return mean difference and limits of agreement of two measurements, each with its interval.

    Limits are the mean difference plus and minus 1.96 standard deviations (Bland and Altman 1986).
    """
    difference = np.array(predicted) - np.array(reference)
    members = [np.flatnonzero(np.array(groups) == group) for group in sorted(set(groups))]
    generator = np.random.default_rng(seed)

    def figures(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        mean, spread = values.mean(), 1.96 * values.std(ddof=1)
        return np.array([mean, mean - spread, mean + spread])

    draws = []
    for _ in range(repeats):
        rows = np.concatenate([members[i] for i in generator.integers(len(members), size=len(members))])
        draws.append(figures(difference[rows]))
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    names = ("mean_difference", "lower_limit", "upper_limit")
    result: dict[str, object] = {
        name: asdict(Estimate(float(v), float(a), float(b)))
        for name, v, a, b in zip(names, figures(difference), low, high, strict=True)
    }
    return result | {
        "mean_reference": float(np.mean(reference)),
        "mean_absolute_share": float(np.mean(np.abs(difference) / np.array(reference))),
        "correlation": float(np.corrcoef(predicted, reference)[0, 1]),
    }
