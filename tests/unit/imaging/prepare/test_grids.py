"""Wherever a step puts voxels, the sphere stays where it is and as large as it is."""

import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from firstread.imaging.prepare import (
    CropOrPad,
    CropToForeground,
    CropToMask,
    Pipeline,
    PrepareError,
    PrepareReason,
    Reorient,
    Resample,
    ResampleLike,
    Subject,
    Window,
)
from firstread.imaging.prepare.grids import with_spacing
from firstread.imaging.prepare.pipeline import AnyStep
from firstread.imaging.verdict import Geometry, Verdict
from firstread.imaging.volume import SourceFrame, Volume
from tests.support.phantoms import CENTRE, INSIDE, OUTSIDE, RADIUS_MM, centre_and_volume
from tests.unit.imaging.prepare.support import refused, run

BALL_MM3 = 4 / 3 * math.pi * RADIUS_MM**3
CODES = [
    "".join(order)
    for order in (
        ("L", "P", "S"),
        ("R", "A", "S"),
        ("S", "R", "P"),
        ("I", "A", "L"),
        ("A", "I", "R"),
        ("P", "L", "I"),
    )
]


def check(subject: Subject, volume: float = 0.02) -> None:
    """The sphere in the values, and in both masks."""
    affine = subject.volume.affine
    masks = {name: np.where(mask, INSIDE, OUTSIDE) for name, mask in subject.masks.items()}
    for values in (subject.volume.values, *masks.values()):
        centre, size = centre_and_volume(values, affine)
        assert np.linalg.norm(centre - CENTRE) < 0.25
        assert size == pytest.approx(BALL_MM3, rel=volume)
    assert set(np.unique(subject.masks["labels"])) == {0, 3} and subject.masks["ball"].dtype == np.bool_


STEPS: list[AnyStep] = [
    Resample(spacing_mm=2.0),
    Resample(spacing_mm=(2.0, 2.0, 2.0), interpolation="bspline"),
    Resample(spacing_mm=(1.5, 1.0, 0.75)),
    Resample(spacing_mm=(None, 4.0, 3.0)),
    Resample(spacing_mm=1.0, interpolation="nearest"),
    Resample(spacing_mm=2.7),
    CropToMask(mask="ball", margin_mm=4.0),
    CropToForeground(margin_mm=2.0),
    CropOrPad(size=(40, 40, 80)),
    *(Reorient(towards=code) for code in CODES),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.kind}")
@pytest.mark.parametrize("which", ["sphere", "oblique"])
def test_a_step_keeps_the_sphere(step: AnyStep, which: str, request: pytest.FixtureRequest) -> None:
    check(run(request.getfixturevalue(which), step))


spacings = st.floats(0.9, 3.5).map(lambda each: round(each, 2))
steps = st.one_of(
    st.builds(
        Resample,
        spacing_mm=spacings | st.tuples(spacings, spacings, spacings),
    ),
    st.builds(Reorient, towards=st.sampled_from(CODES)),
    st.builds(CropToMask, mask=st.just("ball"), margin_mm=st.floats(4.0, 12.0)),
    st.builds(CropOrPad, size=st.tuples(*[st.integers(80, 90)] * 3)),
)


@given(several=st.lists(steps, min_size=1, max_size=4))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_pipelines_keep_the_values_in_their_place(oblique: Subject, several: list[AnyStep]) -> None:
    made = run(oblique, *several)
    centre, size = centre_and_volume(made.volume.values, made.volume.affine)
    assert np.linalg.norm(centre - CENTRE) < 0.25
    assert size == pytest.approx(BALL_MM3, rel=0.02)
    # A mask has no shares of a voxel, so that each new grid adds an error of its own.
    grids = sum(each.kind == "resample" for each in several)
    centre, size = centre_and_volume(np.where(made.masks["ball"], INSIDE, OUTSIDE), made.volume.affine)
    assert np.linalg.norm(centre - CENTRE) < 0.25 + 0.25 * grids
    assert size == pytest.approx(BALL_MM3, rel=0.01 + 0.04 * grids)
    assert Pipeline.from_yaml(Pipeline(steps=tuple(several)).to_yaml()).steps == tuple(several)


def places(subject: Subject) -> dict[tuple[int, ...], int]:
    """Where in the patient each voxel with a value of its own is."""
    index = np.argwhere(subject.volume.values != OUTSIDE)
    points = np.c_[index, np.ones(len(index))] @ subject.volume.affine.T
    values = subject.volume.values[tuple(index.T)]
    return {
        tuple(map(int, np.rint(point[:3] * 1000))): int(value)
        for point, value in zip(points, values, strict=True)
    }


@pytest.mark.parametrize(
    "step",
    [
        *(Reorient(towards=code) for code in CODES),
        CropToMask(mask="ball", margin_mm=6),
        CropOrPad(size=(33, 45, 90)),
    ],
)
def test_turning_and_cropping_change_no_voxel(oblique: Subject, step: AnyStep) -> None:
    before, made = places(oblique), run(oblique, step)
    after = places(made)
    assert after and after.items() <= before.items()
    if step.kind == "reorient":
        assert len(after) == len(before) and made.volume.values.dtype == oblique.volume.values.dtype


@pytest.mark.parametrize("code", CODES)
def test_an_orientation_is_what_itk_calls_so(oblique: Subject, code: str) -> None:
    made = run(oblique, Reorient(towards=code)).volume
    theirs = SimpleITK.DICOMOrient(oblique.volume.to_sitk(), code)
    assert np.array_equal(SimpleITK.GetArrayFromImage(theirs), made.values)
    assert np.allclose(theirs.GetOrigin(), made.affine[:3, 3])
    assert np.allclose(theirs.GetDirection(), made.to_sitk().GetDirection())


@pytest.mark.parametrize("code", ["LPX", "LRS", "LP", "lps", "LPSS", "SSS"])
def test_an_orientation_has_each_axis_once(code: str) -> None:
    with pytest.raises(ValidationError):
        Reorient(towards=code)


def test_frames_follow_their_slices(sphere: Subject) -> None:
    frames = sphere.volume.frames
    assert run(sphere, Reorient(towards="LPI")).volume.frames == frames[::-1]
    assert run(sphere, Reorient(towards="SLP")).volume.frames == ()
    first = (28 - 20) // 2
    assert run(sphere, CropOrPad(size=(20, 48, 99))).volume.frames == frames[first : first + 20]
    assert run(sphere, CropOrPad(size=(30, 48, 64))).volume.frames == ()
    assert run(sphere, Resample(spacing_mm=(None, 2.0, 1.5))).volume.frames == frames
    assert run(sphere, Resample(spacing_mm=1.5)).volume.frames == ()


def test_a_grid_that_is_there_already_is_not_touched(sphere: Subject) -> None:
    made = run(sphere, Resample(spacing_mm=sphere.volume.spacing_mm))
    assert made.volume.values is sphere.volume.values


@pytest.mark.parametrize(
    ("size", "spacing"), [(28, 6.0), (27, 6.0), (28, 2.0), (31, 4.5), (9, 12.0), (10, 5.0), (1, 9.0)]
)
def test_a_coarse_grid_covers_every_voxel_and_favours_no_side(size: int, spacing: float) -> None:
    affine, shape = with_spacing(np.diag([3.0, 1.0, 1.0, 1.0]), (size, 1, 1), (spacing, None, None))
    samples = (affine[0, 3] + spacing * np.arange(shape[0])) / 3
    assert -0.5 <= samples[0] <= spacing / 6 and size - 1 - spacing / 6 <= samples[-1] < size - 0.5
    many = samples[0] + spacing / 3 * np.arange(60)
    assert abs((np.floor(many + 0.5) - many).mean()) < 0.02


def test_whole_numbers_are_rounded_and_end_where_their_type_ends(sphere: Subject) -> None:
    values = np.full((6, 6, 6), 253, np.uint8)
    values[:, :, :2] = 0
    made = Pipeline(steps=(Resample(spacing_mm=0.5, interpolation="bspline"),)).run(
        Volume(values, np.eye(4), ())
    )
    assert made.volume.values.dtype == np.uint8 and made.volume.values[:, :, 5:].min() > 200
    linear = (
        Pipeline(steps=(Resample(spacing_mm=(1.0, 1.0, 0.8)),))
        .run(Volume(values, np.eye(4), ()))
        .volume.values
    )
    assert linear[3, 3].tolist() == [0, 0, 51, 253, 253, 253, 253, 253]  # 50.6, and not cut off
    wavy = run(sphere, Resample(spacing_mm=1.1, interpolation="bspline")).volume.values
    assert wavy.dtype == np.int16 and wavy.max() > INSIDE  # a spline swings over an edge


def test_a_mask_is_not_made_larger_by_a_row_that_counts_twice(oblique: Subject) -> None:
    """Where a grid is a little finer than the old one, as here, the nearest voxel is the same twice."""

    def error(spacing: tuple[float, float, float], *, nearest: bool) -> float:
        ball = oblique.masks["ball"]
        volume = replace(oblique.volume, values=ball.astype(np.int16)) if nearest else oblique.volume
        step = Resample(spacing_mm=spacing, interpolation="nearest")
        made = Pipeline(steps=(step,)).run(volume, {"ball": ball})
        found = made.volume.values if nearest else made.masks["ball"]
        return float(found.sum() * made.volume.voxel_mm3 / BALL_MM3 - 1)

    finer, coarser = (0.99, 1.97, 1.42), (2.84, 3.08, 2.62)
    assert error(finer, nearest=True) > 0.06 and abs(error(finer, nearest=False)) < 0.02
    assert error(coarser, nearest=True) < -0.04 and abs(error(coarser, nearest=False)) < 0.036


def test_a_reference_gives_its_grid(sphere: Subject, oblique: Subject) -> None:
    made = run(sphere, ResampleLike(reference="other"), references={"other": oblique.volume})
    assert np.array_equal(made.volume.affine, oblique.volume.affine)
    assert made.volume.values.shape == oblique.volume.values.shape
    check(made)


def test_beyond_the_old_grid_is_what_was_asked_for(sphere: Subject) -> None:
    affine = sphere.volume.affine.copy()
    affine[0, 3] += 500.0
    far = replace(sphere.volume, affine=affine)
    made = run(sphere, ResampleLike(reference="far", outside=7.0), references={"far": far})
    assert (made.volume.values == 7).all() and not made.masks["ball"].any()
    assert run(sphere, CropOrPad(size=(30, 48, 64), outside=-2000.0)).volume.values[0, 0, 0] == -2000
    assert run(sphere, CropOrPad(size=(30, 48, 64), outside=0.5)).volume.values.dtype == np.float32


def in_time(subject: Subject) -> Volume:
    return replace(subject.volume, values=np.stack([subject.volume.values, subject.volume.values + 7]))


@pytest.mark.parametrize(
    "step",
    [
        Resample(spacing_mm=2.0),
        Reorient(towards="RAS"),
        CropToForeground(above=0),
        CropOrPad(size=(30, 30, 70)),
    ],
)
def test_several_times_stay_together(sphere: Subject, step: AnyStep) -> None:
    made = Pipeline(steps=(step,)).run(in_time(sphere), sphere.masks)
    once = run(sphere, step)
    assert np.array_equal(made.volume.values[0], once.volume.values)
    assert np.array_equal(made.volume.affine, once.volume.affine)
    assert np.array_equal(made.masks["ball"], once.masks["ball"])


def test_colour_is_turned_and_cut_but_not_mixed(sphere: Subject) -> None:
    gray = sphere.volume.values
    colour = replace(sphere.volume, values=np.stack([gray, gray + 1, gray + 2], -1), is_colour=True)
    made = Pipeline(steps=(Reorient(towards="SRP"), CropOrPad(size=(9, 50, 11)))).run(colour)
    once = run(sphere, Reorient(towards="SRP"), CropOrPad(size=(9, 50, 11)))
    assert np.array_equal(made.volume.values[..., 0], once.volume.values)
    refused(PrepareReason.COLOUR, colour, Resample(spacing_mm=1.0))


def test_what_a_step_cannot_do_has_its_reason(sphere: Subject) -> None:
    volume = sphere.volume
    sheared = volume.affine.copy()
    sheared[1, 0] = 0.4
    refused(PrepareReason.SHEARED, replace(volume, affine=sheared), Resample(spacing_mm=1.0))
    refused(
        PrepareReason.NO_PLACE, replace(volume, verdict=Verdict(Geometry.PLANAR)), Reorient(towards="RAS")
    )
    refused(PrepareReason.NO_SUCH_REFERENCE, volume, ResampleLike(reference="none"))
    refused(PrepareReason.NO_SUCH_MASK, volume, Reorient(), CropToMask(mask="none"))
    empty = {"empty": np.zeros(volume.values.shape, np.uint8)}
    refused(PrepareReason.EMPTY_MASK, volume, CropToMask(mask="empty"), masks=empty)
    refused(PrepareReason.FLAT, volume, CropToForeground(above=5000.0))
    refused(PrepareReason.TOO_LARGE, volume, Resample(spacing_mm=0.001))
    refused(PrepareReason.TOO_LARGE, volume, CropOrPad(size=(100_000, 100_000, 100_000)))
    refused(
        PrepareReason.COLOUR,
        replace(volume, is_colour=True, values=volume.values[..., None]),
        Window(preset="lung"),
    )
    with pytest.raises(PrepareError, match="bad_mask"):
        Subject(volume, {"other": np.zeros((2, 2, 2), bool)})
    with pytest.raises(PrepareError, match="bad_mask"):
        Subject(volume, {"real": np.zeros(volume.values.shape)})
    with pytest.raises(PrepareError, match="not_a_volume"):
        Subject(Volume(np.zeros((4, 4)), np.eye(4), (SourceFrame("1", 1),)))
    turned = Pipeline(steps=(Reorient(towards="RAS"), CropOrPad(size=(8, 8, 8)))).run(
        replace(volume, affine=sheared)
    )
    assert not turned.volume.is_upright  # what changes no voxel keeps a shear
