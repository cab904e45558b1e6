"""Intervals from resampling whole patients."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from model_service.evaluation.report import Estimate

Rows = npt.NDArray[np.intp]
Statistics = Callable[[Rows], Mapping[str, float]]
"""Figures of some rows, which may repeat; not a number where a figure is not defined."""

REPEATS = 1000
SEED = 0


def estimate(
    statistics: Statistics, rows: Rows, patients: Sequence[str], repeats: int = REPEATS, seed: int = SEED
) -> dict[str, Estimate]:
    """Compute figures with the 2.5 and 97.5 percentiles of a bootstrap of patients.

    Cases of one patient resemble each other, so resampling cases would make the intervals too narrow. Resamples in
    which a figure is not defined are left out of its interval.

    Parameters
    ----------
    statistics : callable
        The figures of some rows.
    rows : numpy.ndarray
        The rows.
    patients : sequence of str
        Whose each row is; indexed by row.
    repeats, seed : int
        Number and seed of the resamples.

    Returns
    -------
    dict of str to Estimate
        Without interval where there are fewer than two patients.

    Examples
    --------
    >>> mean = lambda rows: {"mean": float(np.array([1.0, 1.0, 1.0])[rows].mean())}
    >>> estimate(mean, np.arange(3), ["a", "b", "c"])["mean"]
    Estimate(value=1.0, low=1.0, high=1.0)
    """
    members: dict[str, list[int]] = {}
    for row in rows:
        members.setdefault(patients[row], []).append(int(row))
    parts = [np.array(each, dtype=np.intp) for each in members.values()]
    values = statistics(rows)
    if len(parts) < 2:
        return {name: Estimate(value=_number(value)) for name, value in values.items()}
    generator = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(repeats):
        drawn = np.concatenate([parts[i] for i in generator.integers(len(parts), size=len(parts))])
        for name, value in statistics(drawn).items():
            if np.isfinite(value):
                draws[name].append(value)
    return {name: _estimate(value, draws[name]) for name, value in values.items()}


def _estimate(value: float, draws: Sequence[float]) -> Estimate:
    if not draws or not np.isfinite(value):
        return Estimate(value=_number(value))
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value=float(value), low=float(low), high=float(high))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
