"""All features of a region."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce

import numpy as np

from firstread.imaging.radiomics import pairs, zones
from firstread.imaging.radiomics.codes import CODES
from firstread.imaging.radiomics.intensity import histogram, statistics
from firstread.imaging.radiomics.region import Floats, Levels, Mask, Region, region
from firstread.imaging.radiomics.settings import Aggregation, Family, Settings
from firstread.imaging.radiomics.shape import shape
from firstread.imaging.volume import Volume

_BY_DIRECTION = (Family.CO_OCCURRENCE, Family.RUN_LENGTH)
_OF_A_MATRIX = (
    *_BY_DIRECTION,
    Family.SIZE_ZONE,
    Family.DISTANCE_ZONE,
    Family.TONE_DIFFERENCE,
    Family.DEPENDENCE,
)


def codes(settings: Settings = Settings()) -> dict[str, str]:  # noqa: B008 - frozen
    """Return the names of all features that settings ask for, in order, each with its IBSI code."""
    return {
        _name(family, name, settings): code
        for family in settings.families
        for name, code in CODES[family].items()
    }


def features(volume: Volume, mask: Mask, settings: Settings = Settings()) -> dict[str, float]:  # noqa: B008 - frozen
    """Return the features of a region, named as in IBSI's compliance tables, such as ``cm_contrast_3D_comb``.

    Parameters
    ----------
    volume
        One grey image, its slices straight above one another. Texture looks at neighbouring voxels: resample to
        voxels of equal sides before.
    mask : numpy.ndarray
        Slices x rows x columns, bool; a fractional one belongs to the region from one half on.
    settings
        How.

    Returns
    -------
    dict
        In the order of `codes`. In the units of the values, mm, mm2, mm3, or none. NaN where a feature is not
        defined, as the skewness of a region of one value.

    Raises
    ------
    RadiomicsError
        If the region has no features.
    VolumeError
        If the volume is several, or its slices lie beside one another.
    """
    cut = region(volume, mask, settings)
    levels = cut.levels(settings)
    return {
        _name(family, name, settings): value
        for family in settings.families
        for name, value in _FAMILIES[family](cut, levels, settings.aggregation).items()
    }


def _name(family: Family, name: str, settings: Settings) -> str:
    if family not in _OF_A_MATRIX:
        return f"{family.value}_{name}"
    ending = settings.aggregation.value if family in _BY_DIRECTION else "3D"
    return f"{family.value}_{name}_{ending}"


def _aggregated(
    matrices: Iterable[Floats], of: Callable[[Floats], Mapping[str, float]], how: Aggregation
) -> Mapping[str, float]:
    if how is Aggregation.MERGED:
        return of(reduce(np.add, matrices))
    each = [of(matrix) for matrix in matrices if matrix.any()] or [of(np.zeros((1, 1)))]
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


def _co_occurrence(_: Region, levels: Levels, how: Aggregation) -> Mapping[str, float]:
    return _aggregated(pairs.co_occurrences(levels), pairs.co_occurrence, how)


def _run_length(_: Region, levels: Levels, how: Aggregation) -> Mapping[str, float]:
    def of(matrix: Floats) -> Mapping[str, float]:
        voxels = int((matrix.sum(axis=0) * np.arange(1, matrix.shape[1] + 1)).sum())
        return _told(Family.RUN_LENGTH, zones.emphases(matrix, voxels))

    return _aggregated(zones.run_lengths(levels), of, how)


def _size_zone(_: Region, levels: Levels, __: Aggregation) -> Mapping[str, float]:
    return _told(Family.SIZE_ZONE, zones.emphases(zones.size_zones(levels), int(np.count_nonzero(levels))))


def _distance_zone(cut: Region, levels: Levels, _: Aggregation) -> Mapping[str, float]:
    matrix = zones.distance_zones(levels, cut.shape)
    return _told(Family.DISTANCE_ZONE, zones.emphases(matrix, int(np.count_nonzero(levels))))


def _dependence(_: Region, levels: Levels, __: Aggregation) -> Mapping[str, float]:
    matrix = zones.dependences(levels)
    energy = float(((matrix / matrix.sum()) ** 2).sum())
    return _told(Family.DEPENDENCE, (*zones.emphases(matrix, int(np.count_nonzero(levels))), energy))


def _told(family: Family, values: Iterable[float]) -> Mapping[str, float]:
    return dict(zip(CODES[family], values, strict=True))


_FAMILIES: Mapping[Family, Callable[[Region, Levels, Aggregation], Mapping[str, float]]] = {
    Family.SHAPE: lambda cut, _, __: shape(cut),
    Family.INTENSITY: lambda cut, _, __: statistics(cut.intensities),
    Family.HISTOGRAM: lambda _, levels, __: histogram(levels),
    Family.CO_OCCURRENCE: _co_occurrence,
    Family.RUN_LENGTH: _run_length,
    Family.SIZE_ZONE: _size_zone,
    Family.DISTANCE_ZONE: _distance_zone,
    Family.TONE_DIFFERENCE: lambda _, levels, __: pairs.tone_difference(levels),
    Family.DEPENDENCE: _dependence,
}
