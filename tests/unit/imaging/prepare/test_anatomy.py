"""Registration and classical masks, on shapes whose place is known; and where they are known to fail."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from firstread.imaging.prepare import (
    BodyMask,
    BrainMask,
    LungMask,
    Pipeline,
    PrepareReason,
    Register,
    Subject,
)
from firstread.imaging.series import load
from firstread.imaging.slices import Matrix
from firstread.imaging.volume import Volume
from tests.unit.imaging.prepare.support import refused

SPACING = np.diag([4.0, 4.0, 4.0, 1.0])
POINTS = np.moveaxis(np.mgrid[0:40, 0:48, 0:64], 0, -1) * 4.0  # slice, row, column in mm


def ellipsoid(centre: tuple[float, ...], radii: tuple[float, ...], points: np.ndarray = POINTS) -> np.ndarray:
    found: np.ndarray = (((points - centre) / radii) ** 2).sum(-1) < 1
    return found


TRUNK = ellipsoid((80, 96, 128), (400, 70, 100))
LUNGS = ellipsoid((80, 90, 85), (60, 40, 32)) | ellipsoid((80, 90, 171), (60, 40, 32))
TRACHEA = ellipsoid((0, 90, 128), (60, 8, 8))
TABLE = np.broadcast_to((abs(POINTS[..., 1] - 178) < 3), TRUNK.shape)


def chest(table: np.ndarray = TABLE) -> Volume:
    values = np.full(TRUNK.shape, -1000, np.int16)
    values[TRUNK] = 40
    values[LUNGS] = -850
    values[LUNGS & ellipsoid((80, 90, 85), (60, 5, 5))] = 30  # a vessel
    values[TRACHEA] = -1000
    values[table] = 200
    return Volume(values, SPACING, (), modality="CT")


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def test_a_body_is_found_without_its_table_and_with_its_lungs() -> None:
    made = Pipeline(steps=(BodyMask(),)).run(chest())
    assert dice(made.masks["body"], TRUNK) > 0.99
    assert not (made.masks["body"] & TABLE).any()
    figures = made.record["steps"][0]["figures"]
    assert figures["volume_ml"] == pytest.approx(TRUNK.sum() * 0.064, rel=0.02)


def test_a_thin_bridge_to_the_table_is_cut_and_a_thick_one_is_not() -> None:
    touching = np.broadcast_to(abs(POINTS[..., 1] - 168) < 3, TRUNK.shape)
    thin = Pipeline(steps=(BodyMask(opening_mm=6.0),)).run(chest(touching)).masks["body"]
    assert dice(thin, TRUNK) > 0.98
    assert Pipeline(steps=(BodyMask(opening_mm=0.0),)).run(chest(touching)).masks["body"][20, 42, 0]


def test_lungs_are_found_with_their_vessels_and_without_the_trachea() -> None:
    lungs = Pipeline(steps=(LungMask(closing_mm=8.0),)).run(chest()).masks["lungs"]
    assert dice(lungs, LUNGS) > 0.97
    assert lungs[20, 22, 21] and not (lungs & TRACHEA).any()  # in the vessel


def head(bridge: float = 0.0, bridge_value: int = 700) -> tuple[Volume, np.ndarray]:
    middle = (80, 96, 128)
    scalp = ellipsoid(middle, (75, 85, 95)) & ~ellipsoid(middle, (67, 77, 87))
    brain = ellipsoid(middle, (54, 64, 74))
    joined = np.linalg.norm(POINTS[..., :2] - [80, 96], axis=-1) < bridge
    joined &= ellipsoid(middle, (75, 85, 95)) & (POINTS[..., 2] > 128)
    values = np.zeros(brain.shape, np.int16)
    values[joined] = bridge_value
    values[scalp] = 700
    values[brain] = 500
    values[ellipsoid(middle, (15, 15, 15))] = 60  # a ventricle
    return Volume(values, SPACING, (), modality="MR"), brain


@pytest.mark.parametrize(("bridge", "value"), [(0.0, 700), (30.0, 700), (5.0, 500)])
def test_a_brain_is_cut_loose_and_filled(bridge: float, value: int) -> None:
    volume, brain = head(bridge, value)
    assert dice(Pipeline(steps=(BrainMask(cut_mm=8.0),)).run(volume).masks["brain"], brain) > 0.97


def test_a_brain_that_hangs_together_with_what_is_as_bright_is_too_large() -> None:
    volume, brain = head(30.0, 500)
    found = Pipeline(steps=(BrainMask(cut_mm=2.0, scalp_mm=2.0),)).run(volume).masks["brain"]
    assert found.sum() > 1.02 * brain.sum()


def test_a_brain_without_fat_around_it_keeps_its_white_matter() -> None:
    volume, brain = head()
    values = np.where(brain, volume.values, 0)
    values[ellipsoid((80, 96, 128), (40, 50, 60)) & (values == 500)] = 800
    found = Pipeline(steps=(BrainMask(),)).run(replace(volume, values=values)).masks["brain"]
    assert dice(found, brain) > 0.97


@pytest.mark.slow
def test_real_brains_have_the_size_of_brains() -> None:
    series = sorted(Path(__file__).resolve().parents[5].glob("shared/data/mr-brain-dicom/Study1/*T1*"))
    if not series:
        pytest.skip("the shared data is not there")
    for folder in series:  # with and without contrast; of a man, 143 mm from the neck up
        volume = load(folder)
        found = Pipeline(steps=(BrainMask(),)).run(volume).masks["brain"]
        assert 1150 < found.sum() * volume.voxel_mm3 / 1000 < 1550
        assert not found[:, :, :60].any() and not found[:, :, -60:].any()  # ears and cheeks


def test_masks_that_cannot_be_made() -> None:
    air = replace(chest(), values=np.full((8, 8, 8), -1000, np.int16))
    refused(PrepareReason.EMPTY_MASK, air, BodyMask())
    refused(PrepareReason.EMPTY_MASK, air, LungMask())
    refused(PrepareReason.FLAT, replace(air, modality="MR"), BrainMask())
    refused(PrepareReason.EMPTY_MASK, head()[0], BrainMask(cut_mm=50.0))
    refused(PrepareReason.WRONG_MODALITY, chest(), BrainMask())
    refused(PrepareReason.WRONG_MODALITY, head()[0], LungMask())
    refused(PrepareReason.MASK_EXISTS, chest(), BodyMask(), BodyMask())


def anatomy(way: Matrix) -> Subject:
    """A head with parts in it; `way` takes a point of the anatomy to where it is in this image."""
    shape = (30, 40, 40)
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, 3], [0, 3, 0], [4, 0, 0]]  # (slice, row, column) to x, y, z
    affine[:3, 3] = -58.0, -58.0, -58.0
    index = np.moveaxis(np.indices(shape), 0, -1)
    points = np.concatenate([index, np.ones((*shape, 1))], -1) @ affine.T @ np.linalg.inv(way).T
    place = points[..., :3]
    values = np.zeros(shape, np.float64)
    for centre, radii, value in (
        ((0, 0, 0), (32, 42, 26), 500),
        ((-14, 5, -6), (12, 8, 8), 400),
        ((14, -15, 8), (9, 9, 9), -300),
        ((8, 22, 2), (8, 8, 14), 700),
    ):
        depth = 1 - np.sqrt((((place - centre) / radii) ** 2).sum(-1))
        values += value * np.clip(depth * min(radii) / 4 + 0.5, 0, 1)
    mask = np.linalg.norm(place - (14, -15, 8), axis=-1) < 9
    return Subject(Volume(values.astype(np.int16), affine, (), modality="MR"), {"small": mask})


def moved() -> Matrix:
    angle = np.radians(8)
    way = np.eye(4)
    way[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    way[:3, 3] = 6.0, -4.0, 5.0
    return way


@pytest.mark.parametrize(
    "step",
    [
        Register(reference="atlas"),
        Register(reference="atlas", transform="affine", metric="correlation", start="moments"),
    ],
    ids=["rigid", "affine"],
)
def test_a_volume_that_moved_comes_back_with_its_masks(step: Register) -> None:
    atlas, subject = anatomy(np.eye(4)), anatomy(moved())
    atlas = replace(atlas, volume=replace(atlas.volume, frame_of_reference="2.25.4"))
    made, again = (
        Pipeline(steps=(step,)).run(subject.volume, subject.masks, {"atlas": atlas.volume}) for _ in range(2)
    )
    assert np.array_equal(made.volume.affine, atlas.volume.affine)
    figures = made.record["steps"][0]["figures"]
    points = np.array([[-14, 5, -6, 1.0], [14, -15, 8, 1], [8, 22, 2, 1]]).T
    assert abs(np.array(figures["matrix"]) @ points - moved() @ points).max() < 0.5  # mm
    assert (
        dice(made.masks["small"], atlas.masks["small"])
        > 0.9
        > dice(subject.masks["small"], atlas.masks["small"])
    )
    difference = abs(made.volume.values.astype(float) - atlas.volume.values)[4:-4, 6:-6, 6:-6]
    assert difference.mean() < 12
    assert np.array_equal(made.volume.values, again.volume.values) and made.record == again.record
    assert made.volume.frame_of_reference == "2.25.4"
    assert figures["metric"] < 0 and len(figures["reference_sha256"]) == 64


def test_what_cannot_be_registered() -> None:
    subject = anatomy(np.eye(4))
    step = Register(reference="atlas")
    sheared = subject.volume.affine.copy()
    sheared[0, 0] = 1.0
    refused(PrepareReason.NO_SUCH_REFERENCE, subject.volume, step)
    refused(PrepareReason.SHEARED, replace(subject.volume, affine=sheared), step)
    refused(
        PrepareReason.SHEARED,
        subject.volume,
        step,
        references={"atlas": replace(subject.volume, affine=sheared)},
    )
    thin = replace(subject.volume, values=subject.volume.values[:3])
    refused(PrepareReason.NOT_REGISTERED, thin, step, references={"atlas": subject.volume})
    dark = replace(subject.volume, values=np.zeros_like(subject.volume.values))
    moments = Register(reference="atlas", start="moments")
    refused(PrepareReason.NOT_REGISTERED, dark, moments, references={"atlas": subject.volume})
