"""Features of neighbouring grey levels: co-occurrence and tone difference (IBSI LFYI, IPET), of 26 neighbours."""

from collections.abc import Iterator

import numpy as np

from firstread.imaging.radiomics.intensity import entropy, ratio
from firstread.imaging.radiomics.neighbours import DIRECTIONS, Flat
from firstread.imaging.radiomics.region import Floats, Levels


def co_occurrences(levels: Levels) -> Iterator[Floats]:
    """Yield the symmetrical matrix of each of 13 directions: counts, level by level, the lowest (1) first."""
    flat = Flat.of(levels)
    count = int(levels.max())
    for direction in DIRECTIONS:
        one, other = flat.pairs(direction)
        matrix = np.bincount((one - 1) * count + other - 1, minlength=count * count).reshape(count, count)
        yield (matrix + matrix.T).astype(np.float64)


def co_occurrence(matrix: Floats) -> dict[str, float]:
    """Return the 25 features of a co-occurrence matrix; NaN where it has no pairs."""
    total, count = float(matrix.sum()), len(matrix)
    share = matrix / total if total else np.full_like(matrix, np.nan)
    level = np.arange(1.0, count + 1)
    row, column = level[:, None], level[None, :]
    away = np.abs(row - column)
    one = share.sum(axis=1)
    mean = float((level * one).sum())
    variance = float(((level - mean) ** 2 * one).sum())
    across, sums = _by(away, share, count), _by(row + column, share, 2 * count + 1)
    difference, total_level = np.arange(count), np.arange(2 * count + 1)
    mean_difference, mean_sum = float((difference * across).sum()), float((total_level * sums).sum())
    centred = row + column - 2 * mean
    upper = away > 0
    return {
        "joint_max": float(share.max()),
        "joint_avg": mean,
        "joint_var": variance,
        "joint_entr": _entropy(share),
        "diff_avg": mean_difference,
        "diff_var": float(((difference - mean_difference) ** 2 * across).sum()),
        "diff_entr": _entropy(across),
        "sum_avg": mean_sum,
        "sum_var": float(((total_level - mean_sum) ** 2 * sums).sum()),
        "sum_entr": _entropy(sums),
        "energy": float((share**2).sum()),
        "contrast": float((away**2 * share).sum()),
        "dissimilarity": float((away * share).sum()),
        "inv_diff": float((share / (1 + away)).sum()),
        "inv_diff_norm": float((share / (1 + away / count)).sum()),
        "inv_diff_mom": float((share / (1 + away**2)).sum()),
        "inv_diff_mom_norm": float((share / (1 + (away / count) ** 2)).sum()),
        "inv_var": float((share[upper] / away[upper] ** 2).sum()) if total else np.nan,
        "corr": ratio(float(((row - mean) * (column - mean) * share).sum()), variance),
        "auto_corr": float((row * column * share).sum()),
        "clust_tend": float((centred**2 * share).sum()),
        "clust_shade": float((centred**3 * share).sum()),
        "clust_prom": float((centred**4 * share).sum()),
        **_information(share, one),
    }


def _information(share: Floats, one: Floats) -> dict[str, float]:
    """Return the two measures of information correlation."""
    product = one[:, None] * one[None, :]
    there = product > 0
    joint, single, independent = _entropy(share), _entropy(one), _entropy(product)
    crossed = float(-(share[there] * np.log2(product[there])).sum())
    return {
        "info_corr1": ratio(joint - crossed, single),
        "info_corr2": float(np.sqrt(max(0.0, 1.0 - np.exp(-2.0 * (independent - joint))))),
    }


def _by(key: Floats, share: Floats, count: int) -> Floats:
    return np.asarray(np.bincount(key.astype(np.int64).ravel(), share.ravel(), count), dtype=np.float64)


def _entropy(share: Floats) -> float:
    return float("nan") if np.isnan(share).any() else entropy(share)


def tone_difference(levels: Levels) -> dict[str, float]:
    """Return the five features of how far levels are from the mean of their neighbours; NaN where none has any."""
    level, near, amount = Flat.of(levels).surroundings()
    there = near > 0
    level, mean = level[there], amount[there] / near[there]
    if not level.size:
        return dict.fromkeys(("coarseness", "contrast", "busyness", "complexity", "strength"), float("nan"))
    size = int(level.max()) + 1
    counts = np.bincount(level, minlength=size)
    sums = np.bincount(level, np.abs(level - mean), minlength=size)
    at = np.flatnonzero(counts)
    share, away, total = counts[at] / level.size, sums[at], float(sums.sum())
    row, column, one, other = at[:, None], at[None, :], share[:, None], share[None, :]
    squared = (row - column) ** 2
    weighted = one * away[:, None]
    busy = np.abs(row * one - column * other).sum()
    return {
        # Without any difference it is infinite; 1e6 is what IBSI says then.
        "coarseness": 1.0 / float((share * away).sum()) if total else 1e6,
        "contrast": ratio(float((one * other * squared).sum()), at.size * (at.size - 1)) * total / level.size,
        "busyness": ratio(float((share * away).sum()), float(busy)),
        "complexity": float((np.abs(row - column) * (weighted + weighted.T) / (one + other)).sum())
        / level.size,
        "strength": ratio(float(((one + other) * squared).sum()), total),
    }
