"""Intensity-based statistics and the intensity histogram (IBSI UHIW, ZVCW); percentiles are interpolated linearly."""

import numpy as np

from firstread.imaging.radiomics.codes import CODES
from firstread.imaging.radiomics.region import Floats, Levels
from firstread.imaging.radiomics.settings import Family


def statistics(values: Floats) -> dict[str, float]:
    """Return the statistics of a region's values, in their units, those squared, or none."""
    low, p10, p25, median, p75, p90, high = (
        float(each) for each in np.percentile(values, [0, 10, 25, 50, 75, 90, 100])
    )
    mean, variance = float(values.mean()), float(values.var())
    middle = values[(values >= p10) & (values <= p90)]
    away = values - mean
    return {
        "mean": mean,
        "var": variance,
        "skew": ratio(float((away**3).mean()), variance**1.5),
        "kurt": ratio(float((away**4).mean()), variance**2) - 3.0,
        "median": median,
        "min": low,
        "p10": p10,
        "p90": p90,
        "max": high,
        "iqr": p75 - p25,
        "range": high - low,
        "mad": float(np.abs(away).mean()),
        "rmad": float(np.abs(middle - middle.mean()).mean()) if middle.size else np.nan,
        "medad": float(np.abs(values - median).mean()),
        "cov": ratio(variance**0.5, mean),
        "qcod": ratio(p75 - p25, p75 + p25),
        "energy": float((values**2).sum()),
        "rms": float((values**2).mean() ** 0.5),
    }


def histogram(levels: Levels) -> dict[str, float]:
    """Return the statistics of grey levels, and what their histogram has besides; 0 is outside."""
    inside = levels[levels > 0]
    counts = np.bincount(inside)
    share = counts / counts.sum()
    found = statistics(inside.astype(np.float64)) | {
        "mode": float(_mode(counts)),
        "entropy": entropy(share),
        "uniformity": float((share**2).sum()),
    }
    if counts.size > 2:  # between two levels at least
        slopes = np.gradient(counts[1:].astype(np.float64))
        steepest, falling = int(slopes.argmax()), int(slopes.argmin())
        found |= {"max_grad": float(slopes[steepest]), "max_grad_gl": float(steepest + 1)}
        found |= {"min_grad": float(slopes[falling]), "min_grad_gl": float(falling + 1)}
    return {name: found.get(name, np.nan) for name in CODES[Family.HISTOGRAM]}


def entropy(share: Floats) -> float:
    """Return the entropy of shares that add up to one, in bits."""
    some = share[share > 0]
    return float(-(some * np.log2(some)).sum())


def ratio(numerator: float, denominator: float) -> float:
    """Return a quotient; NaN where there is none, as of a region of one value."""
    return numerator / denominator if denominator else float("nan")


def _mode(counts: Levels) -> int:
    """Return the commonest level; of several the one nearest to the mean, then the lowest (IBSI AMMC)."""
    mean = (np.arange(counts.size) * counts).sum() / counts.sum()
    most = np.flatnonzero(counts == counts.max())
    return int(most[np.argmin(np.abs(most - mean))])
