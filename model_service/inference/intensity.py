"""The intensities of `manifest.inputs`, on arrays of channels x spatial; numpy only."""

import numpy as np
import numpy.typing as npt

from model_service.manifest.inputs import Intensity, MinMax, Range, Rank, ZScore

Array = npt.NDArray[np.float32]

# As in `preprocess`, its twin of training.
_BINS = 16384
_UNIFORM_STD = 12**-0.5
_FLAT = 1e-6


def standardise(values: Array, intensity: Intensity) -> Array:
    """Apply an intensity of the manifest.

    Parameters
    ----------
    values : numpy.ndarray
        Channels x spatial, float32; one image or volume.
    intensity : Intensity
        What the manifest says.

    Returns
    -------
    numpy.ndarray
        Of the same shape, float32; the input itself where nothing is to be changed.
    """
    match intensity:
        case Rank():
            return _rank(values)
        case ZScore():
            return _zscore(values, intensity)
        case Range():
            low, high = intensity.low, intensity.high
            return _scale(values, low, high, intensity)
        case MinMax():
            low, high = _percentiles(values, intensity.lower_percentile, intensity.upper_percentile)
            return _scale(values, low, high, intensity)
    return values


def _rank(values: Array) -> Array:
    low, high = values.min(), values.max()
    bins = np.rint((values - low) / max(high - low, np.float32(_FLAT)) * np.float32(_BINS - 1)).astype(
        np.intp
    )
    counts = np.bincount(bins.ravel(), minlength=_BINS)
    # Values in one bin share their mean rank: a black border of any size becomes one grey value.
    ranks = (counts.cumsum() - 0.5 * counts) / values.size
    levels: Array = ((ranks - 0.5) / _UNIFORM_STD).astype(np.float32)
    return np.asarray(levels[bins])


def _zscore(values: Array, intensity: ZScore) -> Array:
    if (intensity.lower_percentile, intensity.upper_percentile) != (0.0, 100.0):
        values = values.clip(*_percentiles(values, intensity.lower_percentile, intensity.upper_percentile))
    if not intensity.channel_wise or len(values) == 1:
        return _centred(values, nonzero=intensity.nonzero)
    return np.stack([_centred(channel, nonzero=intensity.nonzero) for channel in values])


def _centred(values: Array, *, nonzero: bool) -> Array:
    used = values[values != 0] if nonzero else values
    if not used.size:
        return values
    mean, std = used.mean(dtype=np.float64), used.std(dtype=np.float64)
    centred: Array = (values - np.float32(mean)) / np.float32(std if std > _FLAT else 1.0)
    if nonzero:
        centred[values == 0] = 0
    return centred


def _scale(values: Array, low: float, high: float, to: Range | MinMax) -> Array:
    if high <= low:
        return np.full_like(values, to.to_low)
    factor = (to.to_high - to.to_low) / (high - low)
    scaled = (values - np.float32(low)) * np.float32(factor)
    scaled += np.float32(to.to_low)
    if to.clip:
        np.clip(scaled, min(to.to_low, to.to_high), max(to.to_low, to.to_high), out=scaled)
    return scaled


def _percentiles(values: Array, lower: float, upper: float) -> tuple[float, float]:
    if (lower, upper) == (0.0, 100.0):
        return float(values.min()), float(values.max())
    low, high = np.percentile(values, [lower, upper])
    return float(low), float(high)
