"""Every way in which a series can be wrong: the volume is right, or it is refused; and the verdict says which."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataset import Dataset

from firstread.imaging.series import load, load_all
from firstread.imaging.verdict import STRICT, Act, Geometry, VolumeError, VolumeReason
from firstread.imaging.volume import Volume
from tests.support.phantoms import (
    CENTRE,
    RADIUS_MM,
    STEPS,
    Plane,
    centre_and_volume,
    image,
    planes,
    rotated,
    series,
)

BALL_MM3 = 4 / 3 * math.pi * RADIUS_MM**3


def tilted(degrees: float = 20.0) -> list[Dataset]:
    """Return slices of a gantry that leans: each a little further down than the one before."""
    return series(planes(lean=np.array([0.0, math.tan(math.radians(degrees)), 1.0])))


def two_times(*keywords: str) -> list[Dataset]:
    made: list[Dataset] = []
    for time in range(2):
        for number, each in enumerate(planes(), 1):
            one = image(each, number + 28 * time, intercept=-1024.0)
            for keyword in keywords:
                setattr(one, keyword, time + 1)
            if time:  # other pixels: contrast has come
                one.PixelData = (np.frombuffer(one.PixelData, "<u2") + 7).astype("<u2").tobytes()
            made.append(one)
    return made


def with_localizer(*, labelled: bool) -> list[Dataset]:
    coronal = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    scout = image(Plane(CENTRE + np.array([-48.0, 0.0, 48.0]), coronal), 0)
    if labelled:
        scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return [scout, *series()]


def duplicated() -> list[Dataset]:
    again = image(planes()[9], 29)
    return [*series(), again]


def upside_down() -> list[Dataset]:
    made = series()
    for number, each in enumerate(reversed(made), 1):
        each.InstanceNumber = number
    return made


CASES: dict[str, tuple[Callable[[], list[Dataset]], Act | None]] = {
    "regular": (series, None),
    "oblique": (lambda: series(planes(directions=rotated(35))), None),
    "reversed instance numbers": (upside_down, None),
    "a slope for each slice": (lambda: series(slope=lambda number: 1 + number % 3), None),
    "one slice missing": (
        lambda: [each for number, each in enumerate(series()) if number != 11],
        Act.MISSING_INTERPOLATED,
    ),
    "two distances": (
        lambda: series(planes([-40 + 2 * each for each in range(20)] + [3 + 5 * each for each in range(8)])),
        Act.RESAMPLED,
    ),
    "one distance and its double": (
        lambda: series(planes([-40 + 2 * each for each in range(20)] + [2 + 4 * each for each in range(10)])),
        Act.RESAMPLED,
    ),
    "gantry tilt": (tilted, Act.TILT_CORRECTED),
    "gantry tilt the other way": (lambda: tilted(-12), Act.TILT_CORRECTED),
    "one duplicate": (duplicated, Act.DUPLICATES_DROPPED),
    "localizer": (lambda: with_localizer(labelled=True), Act.SET_ASIDE),
    "unlabelled localizer": (lambda: with_localizer(labelled=False), Act.SET_ASIDE),
    "tilt and a missing slice": (
        lambda: [each for number, each in enumerate(tilted()) if number != 11],
        Act.MISSING_INTERPOLATED,
    ),
}


def check(values: np.ndarray, volume: Volume) -> None:
    centre, size = centre_and_volume(values, volume.affine)
    assert np.linalg.norm(centre - CENTRE) < 0.25
    assert size == pytest.approx(BALL_MM3, rel=0.015)


@pytest.mark.parametrize("case", CASES)
def test_the_sphere_is_where_it_is_and_as_large(case: str) -> None:
    make, act = CASES[case]
    images = make()
    random.Random(5).shuffle(images)  # noqa: S311 - to be repeated
    volume = load(images)
    check(volume.values, volume)
    assert [each.act for each in volume.verdict.done][:1] == ([act] if act else [])
    assert volume.verdict.geometry is (Geometry.MENDED if act else Geometry.REGULAR)
    assert volume.values.dtype == np.int16 and volume.units == "[hnsf'U]"
    if act in (None, Act.DUPLICATES_DROPPED, Act.SET_ASIDE):
        assert len(volume.frames) == len(volume.values) == 28
    else:
        assert volume.frames == ()
    if act is not None:
        with pytest.raises(VolumeError):
            load(images, STRICT)


@pytest.mark.parametrize(
    ("keyword", "by"),
    [
        ("TemporalPositionIdentifier", "TemporalPositionIdentifier"),
        ("AcquisitionNumber",) * 2,
        ("", "InstanceNumber"),
    ],
)
def test_two_times_are_two_volumes_of_one_place(keyword: str, by: str) -> None:
    images = two_times(*filter(None, [keyword]))
    random.Random(5).shuffle(images)  # noqa: S311 - to be repeated
    volume = load(images)
    assert volume.values.shape == (2, 28, 48, 64) and volume.is_in_time
    check(volume.values[0], volume)
    assert (volume.values[1] - volume.values[0] == 7).all()
    (done,) = volume.verdict.done
    assert (done.act, done.count, done.by) == (Act.SPLIT_IN_TIME, 2, by)


def test_what_is_missing_and_what_is_not_is_told_apart() -> None:
    volume = load([each for number, each in enumerate(series()) if number != 11])
    whole = load(series())
    assert volume.verdict.done[0].slices == (11,)
    assert np.array_equal(np.delete(volume.values, 11, 0), np.delete(whole.values, 11, 0))
    assert np.allclose(volume.affine, whole.affine)


def test_too_many_missing_are_not_guessed() -> None:
    for gone in ({9, 10, 11}, {5, 9, 14, 20}):
        with pytest.raises(VolumeError) as caught:
            load([each for number, each in enumerate(series()) if number not in gone])
        assert caught.value.reason is VolumeReason.MISSING_SLICES


def test_across_a_long_way_nothing_is_interpolated() -> None:
    with pytest.raises(VolumeError) as caught:
        load(series(planes([0, 1, 2, 3, 4, 5.5, 7, 9.2, 11, 17.3])))
    assert caught.value.reason is VolumeReason.UNEVEN_SPACING


def test_other_pixels_at_one_position_are_refused() -> None:
    images = duplicated()
    images[-1].PixelData = bytes(len(images[-1].PixelData))
    with pytest.raises(VolumeError) as caught:
        load(images)
    assert caught.value.reason is VolumeReason.SAME_POSITION


def test_one_that_lies_beside_the_others_is_refused() -> None:
    images = series(
        [
            *planes()[:9],
            replace(planes()[9], position=planes()[9].position + np.array([4.0, 0.0, 0.0])),
            *planes()[10:],
        ]
    )
    with pytest.raises(VolumeError) as caught:
        load(images)
    assert caught.value.reason is VolumeReason.TILTED


def test_two_orientations_are_two_volumes() -> None:
    images = [*series(), *series(planes(STEPS[5:20], directions=rotated(90)))]
    with pytest.raises(VolumeError) as caught:
        load(images)
    assert caught.value.reason is VolumeReason.SEVERAL_VOLUMES
    first, second = load_all(images)
    assert (len(first.values), len(second.values)) == (28, 15)
    assert first.verdict.done[0].to_json() == {"act": "split", "count": 2, "by": "ImageOrientationPatient"}


def test_acquisitions_of_other_extent_are_told_apart_by_their_number() -> None:
    images = [*series(), *series(planes(STEPS[5:20]))]
    for number, each in enumerate(images):
        each.AcquisitionNumber = 1 + (number >= 28)
        each.PixelData = np.frombuffer(each.PixelData, "<u2").__add__(number >= 28).astype("<u2").tobytes()
    first, second = load_all(images)
    assert (len(first.values), len(second.values)) == (28, 15)
    check(first.values, first)
    assert first.verdict.done[0].by == "AcquisitionNumber"


def test_tilted_slices_keep_all_that_they_show() -> None:
    volume = load(tilted())
    assert volume.is_upright and volume.values.shape[1] > 48
    (done,) = volume.verdict.done
    assert done.to_json() == {"act": "tilt_corrected", "count": 28, "degrees": 20.0}
    sheared = load(tilted(1.5), STRICT)
    assert not sheared.is_upright and len(sheared.frames) == 28
    check(sheared.values, sheared)
    with pytest.raises(VolumeError):
        sheared.to_sitk()
