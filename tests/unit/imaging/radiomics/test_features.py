"""Regions at the edges: grey levels, ranges, regions of one voxel, of no thickness, of no difference, and none."""

import math

import numpy as np
import pytest

from firstread.imaging import load
from firstread.imaging.radiomics import (
    Aggregation,
    BinNumber,
    BinSize,
    Family,
    RadiomicsError,
    Settings,
    codes,
    features,
)
from firstread.imaging.radiomics.region import region
from firstread.imaging.verdict import VolumeError
from firstread.imaging.volume import Volume
from tests.support import ibsi, phantoms

EVEN = np.diag([2.0, 2.0, 2.0, 1.0])
SHAPE_ONLY = Settings(families=(Family.SHAPE,))


def row(*values: float) -> Volume:
    return Volume(np.array([[values]], dtype=np.float64), EVEN, ())


def levels(settings: Settings, *values: float) -> list[int]:
    volume = row(*values)
    found: list[int] = region(volume, np.isfinite(volume.values), settings).levels(settings)[0, 0].tolist()
    return found


def test_a_fixed_number_of_bins_has_the_highest_value_in_the_last() -> None:
    assert levels(Settings(BinNumber(4)), 0.0, 24.9, 25.0, 99.0, 100.0) == [1, 1, 2, 4, 4]
    assert levels(Settings(BinNumber(4)), 7.0, 7.0) == [1, 1]


def test_bins_of_a_fixed_size_begin_at_the_range_else_at_the_lowest_value() -> None:
    assert levels(Settings(BinSize(25.0)), -10.0, 14.9, 15.0, 90.0) == [1, 1, 2, 5]
    assert levels(Settings(BinSize(25.0), (-1000, 400)), -10.0, 15.0, 390.0) == [40, 41, 56]


def test_a_range_leaves_out_values_but_not_shape() -> None:
    inside = np.ones((1, 1, 4), dtype=bool)
    found = features(row(-2000.0, 10.0, 30.0, 3000.0), inside, Settings(intensity_range=(-100, 100)))
    assert (found["stat_min"], found["stat_max"], found["stat_mean"]) == (10, 30, 20)
    assert found["morph_vol_approx"] == 4 * 8
    assert found["ngl_dc_perc_3D"] == 1.0
    with pytest.raises(RadiomicsError, match="empty_region"):
        features(row(-2000.0, 3000.0), inside[..., :2], Settings(intensity_range=(-100, 100)))


def test_a_range_adds_nothing_that_is_outside_the_region() -> None:
    inside = np.array([[[True, False, True]]])
    found = features(row(1.0, 2.0, 6.0), inside, Settings(intensity_range=(0, 9)))
    assert found["stat_mean"] == 3.5


def test_directions_without_a_pair_are_not_averaged() -> None:
    inside = np.ones((1, 1, 4), dtype=bool)
    found = features(
        row(1.0, 2.0, 1.0, 1.0), inside, Settings(BinSize(1.0), aggregation=Aggregation.AVERAGED)
    )
    assert found["cm_contrast_3D_avg"] == pytest.approx(2 / 3)  # along the row; there is no other neighbour


def test_a_place_and_what_lies_around_a_region_change_nothing() -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(size=(12, 13, 14)).astype(np.float32)
    mask = np.zeros(values.shape, dtype=bool)
    mask[4:8, 3:8, 5:9] = ibsi.PHANTOM.transpose(0, 2, 1)[:, :, :4] > 0
    values[4:8, 3:8, 5:9] = ibsi.PHANTOM.transpose(0, 2, 1)
    turn = phantoms.rotated(40)
    affine = np.eye(4)
    affine[:3, :3] = 2 * np.stack([np.cross(turn[0], turn[1]), turn[1], turn[0]], axis=1)
    affine[:3, 3] = [9, -80, 300]
    found = features(Volume(values, affine, ()), mask, Settings(BinSize(1.0)))
    expected = features(ibsi.phantom(), ibsi.PHANTOM > 0, Settings(BinSize(1.0)))
    assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_the_shape_of_a_sphere_of_a_series() -> None:
    volume = load(phantoms.series())
    found = features(volume, volume.values > 0, SHAPE_ONLY)
    radius = phantoms.RADIUS_MM
    assert found["morph_volume"] == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.01)
    assert 2 * radius < found["morph_diam"] < 2 * radius + phantoms.GAP  # voxels have a size
    assert found["morph_pca_maj_axis"] == pytest.approx(2 * radius * (4 / 5) ** 0.5, rel=0.02)
    assert 0.85 < found["morph_sphericity"] < 1.0  # less than 1 by the steps of the voxels
    assert found["morph_vol_dens_aabb"] == pytest.approx(math.pi / 6, rel=0.05)


def test_one_voxel_has_what_is_defined_and_no_more() -> None:
    found = features(row(5.0), np.ones((1, 1, 1), dtype=bool))
    assert list(found) == list(codes())
    assert found["stat_mean"] == 5.0
    assert found["morph_volume"] == pytest.approx(8 / 6)  # an octahedron between the six neighbours
    assert found["morph_pca_maj_axis"] == 0.0
    undefined = {name for name, value in found.items() if not math.isfinite(value)}
    expected = "stat_skew stat_kurt morph_vol_dens_aee morph_pca_flatness cm_contrast_3D_comb ngt_busyness_3D"
    assert set(expected.split()) <= undefined


def test_a_region_of_one_value_is_uniform_and_has_no_correlation() -> None:
    volume = Volume(np.full((4, 5, 6), 7, dtype=np.int16), EVEN, ())
    found = features(volume, np.ones((4, 5, 6), dtype=bool))
    assert (found["ih_uniformity"], found["cm_energy_3D_comb"], found["szm_z_perc_3D"]) == (1.0, 1.0, 1 / 120)
    assert found["ngt_coarseness_3D"] == 1e6
    assert math.isnan(found["cm_corr_3D_comb"])
    assert math.isnan(found["stat_skew"])


def test_a_flat_region_has_no_thickness() -> None:
    mask = np.zeros((3, 9, 9), dtype=bool)
    mask[1, 2:7, 2:7] = True
    found = features(Volume(np.zeros((3, 9, 9)), EVEN, ()), mask, SHAPE_ONLY)
    assert (found["morph_pca_least_axis"], found["morph_pca_flatness"]) == (0.0, 0.0)
    assert math.isnan(found["morph_vol_dens_aee"])
    assert math.isnan(found["morph_com"])  # of values that add up to nothing


def test_what_has_no_features_says_why() -> None:
    phantom, inside = ibsi.phantom(), ibsi.PHANTOM > 0
    colour = Volume(np.zeros((4, 4, 5, 3)), EVEN, (), is_colour=True)
    broken = Volume(np.where(inside, np.nan, 0.0), EVEN, ())
    fine = Settings(BinSize(0.001))
    for volume, mask, settings, reason in (
        (phantom, np.zeros_like(inside), Settings(), "empty_region"),
        (phantom, inside[1:], Settings(), "region_of_another_grid"),
        (colour, inside, Settings(), "not_scalar_values"),
        (broken, inside, Settings(), "values_not_finite"),
        (phantom, inside, fine, "too_many_grey_levels"),
    ):
        with pytest.raises(RadiomicsError, match=reason):
            features(volume, mask, settings)
    sheared = EVEN.copy()
    sheared[1, 0] = 0.7
    with pytest.raises(VolumeError, match="tilted_gantry"):
        features(Volume(ibsi.PHANTOM, sheared, ()), inside)
    with pytest.raises(VolumeError, match="several_volumes"):
        features(Volume(np.zeros((2, 4, 4, 5)), EVEN, ()), inside)


@pytest.mark.parametrize("wrong", [0, -3, float("nan"), float("inf")])
def test_settings_that_are_none_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="width"):
        BinSize(wrong)
    with pytest.raises(ValueError, match="grey levels"):
        BinNumber(0 if wrong <= 0 else 1025)
    with pytest.raises(ValueError, match="range"):
        Settings(intensity_range=(5.0, min(wrong, 5.0)))
