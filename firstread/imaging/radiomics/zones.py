"""Features of what voxels of one grey level make: runs, zones, dependences (IBSI TP0I, 9SAK, VMDZ, REK0)."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from firstread.imaging.radiomics.intensity import entropy
from firstread.imaging.radiomics.neighbours import DIRECTIONS, Flat
from firstread.imaging.radiomics.region import Bools, Floats, Levels

_ALL_26 = np.ones((3, 3, 3), dtype=bool)


def run_lengths(levels: Levels) -> Iterator[Floats]:
    """Yield the matrix of each of 13 directions: how many runs of each level (rows) and length (columns)."""
    flat = Flat.of(levels)
    for direction in DIRECTIONS:
        step = flat.step(direction)
        at = flat.inside[flat.values[flat.inside - step] != flat.values[flat.inside]]
        columns = []
        while at.size:
            goes_on = flat.values[at + step] == flat.values[at]
            columns.append(_counts(flat.values[at[~goes_on]], levels))
            at = at[goes_on] + step
        columns += [np.zeros(len(columns[0]))] * (max(levels.shape) - len(columns))
        yield np.stack(columns, axis=1)


def size_zones(levels: Levels) -> Floats:
    """Return how many zones of each level (rows) and number of voxels (columns) there are; 26 neighbours."""
    of_level, sizes, _ = _zones(levels, levels)
    return _matrix(of_level, sizes)


def distance_zones(levels: Levels, shape: Bools) -> Floats:
    """Return how many zones of each level (rows) and distance from the region's border (columns) there are.

    The distance of a zone is the least number of faces to cross from a voxel of it to leave the region as drawn.
    """
    depth = ndimage.distance_transform_cdt(np.pad(shape, 1), metric="taxicab")[1:-1, 1:-1, 1:-1]
    of_level, _, depths = _zones(levels, depth)
    return _matrix(of_level, depths)


def dependences(levels: Levels) -> Floats:
    """Return how many voxels of each level (rows) have how many like ones about them (columns), themselves included."""
    level, alike = Flat.of(levels).alike()
    return _matrix(level, alike + 1)


def emphases(matrix: Floats, voxels: int) -> tuple[float, ...]:
    """Return the 16 features that these matrices have in common, as IBSI orders them.

    Parameters
    ----------
    matrix : numpy.ndarray
        Counts by grey level, 1 first, and by length, size, distance or dependence, 1 first.
    voxels
        How many voxels were counted, over all directions.
    """
    total = float(matrix.sum())
    share = matrix / total
    level, size = np.arange(1.0, len(matrix) + 1), np.arange(1.0, matrix.shape[1] + 1)
    by_level, by_size = matrix.sum(axis=1), matrix.sum(axis=0)
    low, high, short, long = level**-2, level**2, size**-2, size**2
    return (
        float(by_size @ short) / total,
        float(by_size @ long) / total,
        float(by_level @ low) / total,
        float(by_level @ high) / total,
        float(low @ share @ short),
        float(high @ share @ short),
        float(low @ share @ long),
        float(high @ share @ long),
        float((by_level**2).sum()) / total,
        float((by_level**2).sum()) / total**2,
        float((by_size**2).sum()) / total,
        float((by_size**2).sum()) / total**2,
        total / voxels,
        _variance(level, by_level / total),
        _variance(size, by_size / total),
        entropy(share),
    )


def _variance(at: Floats, share: Floats) -> float:
    return float(((at - (at * share).sum()) ** 2 * share).sum())


def _counts(found: Levels, levels: Levels) -> Floats:
    return np.bincount(found - 1, minlength=int(levels.max())).astype(np.float64)


def _matrix(rows: Levels, columns: Levels) -> Floats:
    made = np.zeros((int(rows.max()), int(columns.max())))
    np.add.at(made, (rows - 1, columns - 1), 1.0)
    return made


def _zones(levels: Levels, depth: Levels) -> tuple[Levels, Levels, Levels]:
    """Return of each zone: its level, its number of voxels, and the least depth of them."""
    of_level, sizes, depths = [], [], []
    for level in np.unique(levels[levels > 0]):
        zones, count = ndimage.label(levels == level, _ALL_26)
        inside = zones > 0
        sizes.append(np.bincount(zones[inside] - 1, minlength=count))
        least = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(least, zones[inside] - 1, depth[inside])
        depths.append(least)
        of_level.append(np.full(count, level))
    return np.concatenate(of_level), np.concatenate(sizes), np.concatenate(depths)
