"""Morphological features (IBSI HCUG), of a region's mesh and of the centres of its voxels; millimetres."""

from itertools import pairwise
from math import pi

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from firstread.imaging.radiomics.intensity import ratio
from firstread.imaging.radiomics.region import Floats, Region
from firstread.imaging.surface import area, enclosed, surface

_SPHERE = 36.0 * pi


def shape(region: Region) -> dict[str, float]:
    """Return the features of a region's shape, mm, mm2, mm3 or none; and those of where its values lie in it."""
    mesh = surface(region.shape, region.spacing_mm)
    volume, skin = enclosed(mesh), area(mesh)
    points = np.argwhere(region.shape) * np.array(region.spacing_mm)
    corners = mesh.reshape(-1, 3)
    hull = ConvexHull(corners)
    sides = np.ptp(corners, axis=0)
    around = 2.0 * sum(one * other for one, other in pairwise([*sides, sides[0]]))
    return {
        "volume": volume,
        "vol_approx": float(len(points) * np.prod(region.spacing_mm)),
        "area_mesh": skin,
        "av": skin / volume,
        "comp_1": volume / (pi**0.5 * skin**1.5),
        "comp_2": _SPHERE * volume**2 / skin**3,
        "sph_dispr": skin / (_SPHERE * volume**2) ** (1 / 3),
        "sphericity": (_SPHERE * volume**2) ** (1 / 3) / skin,
        "asphericity": (skin**3 / (_SPHERE * volume**2)) ** (1 / 3) - 1.0,
        "com": _shift(region, points),
        "diam": _longest(corners[hull.vertices]),
        **_axes(points, volume, skin),
        "vol_dens_aabb": volume / float(np.prod(sides)),
        "area_dens_aabb": skin / around,
        "vol_dens_conv_hull": volume / float(hull.volume),
        "area_dens_conv_hull": skin / float(hull.area),
        "integ_int": float(region.intensities.mean()) * volume,
    }


def _longest(corners: Floats) -> float:
    """Return the longest distance between points; by parts, as hulls of large regions have ten thousand."""
    return max(float(cdist(corners[i : i + 512], corners).max()) for i in range(0, len(corners), 512))


def _shift(region: Region, points: Floats) -> float:
    """Return how far the centre of mass of the values lies from that of the region."""
    values = region.intensities
    if not values.sum():
        return float("nan")
    inside = np.argwhere(region.inside) * np.array(region.spacing_mm)
    heavy = (inside * values[:, None]).sum(axis=0) / values.sum()
    return float(np.linalg.norm(points.mean(axis=0) - heavy))


def _axes(points: Floats, volume: float, skin: float) -> dict[str, float]:
    """Return the axes of the ellipsoid with the region's second moments, and how the region fills it."""
    away = points - points.mean(axis=0)
    spread = np.clip(np.linalg.eigvalsh(away.T @ away / max(len(points) - 1, 1))[::-1], 0.0, None)
    spread[spread < 1e-9 * spread[0]] = 0.0  # a flat region has no thickness but rounding
    a, b, c = (2.0 * float(each) ** 0.5 for each in spread)
    return {
        "pca_maj_axis": 2 * a,
        "pca_min_axis": 2 * b,
        "pca_least_axis": 2 * c,
        "pca_elongation": ratio(b, a),
        "pca_flatness": ratio(c, a),
        "vol_dens_aee": ratio(3.0 * volume, 4.0 * pi * a * b * c),
        "area_dens_aee": ratio(skin, _ellipsoid(a, b, c)),
    }


def _ellipsoid(a: float, b: float, c: float) -> float:
    """Return the area of an ellipsoid by the series of the reference manual (RDD2), to its 20th term.

    It is a few percent below the true area; consensus values have it so. Legendre polynomials come by recurrence,
    multiplied by the powers that stand before them, which a sphere needs too.
    """
    if not a:
        return 0.0
    one, other = 1.0 - (b / a) ** 2, 1.0 - (c / a) ** 2
    middle, product = (one + other) / 2, one * other
    terms = [1.0, middle]
    for v in range(1, 20):
        terms.append(((2 * v + 1) * middle * terms[v] - v * product * terms[v - 1]) / (v + 1))
    return 4.0 * pi * a * b * sum(term / (1 - 4 * v * v) for v, term in enumerate(terms))
