"""Enhanced multi-frame CT, MR and PET: the same sphere as of single images, whatever each frame has of its own."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    RLELossless,
)

from firstread.imaging.index import Index, build
from firstread.imaging.series import load
from firstread.imaging.verdict import STRICT, Act, Geometry, VolumeError, VolumeReason
from firstread.imaging.volume import Volume
from tests.support.phantoms import CENTRE, GAP, STEPS, centre_and_volume, image, planes, rotated, series

SHUFFLED = np.random.default_rng(5).permutation(len(STEPS))
KINDS = {
    EnhancedCTImageStorage: "CT",
    LegacyConvertedEnhancedCTImageStorage: "CT",
    EnhancedMRImageStorage: "MR",
    LegacyConvertedEnhancedMRImageStorage: "MR",
    EnhancedPETImageStorage: "PT",
    LegacyConvertedEnhancedPETImageStorage: "PT",
}


def slopes(number: int) -> float:
    """Return what each frame is scaled with, as PET has it."""
    return 0.25 + 0.125 * (number % 5)


def group(**items: object) -> list[Dataset]:
    made = Dataset()
    for keyword, value in items.items():
        setattr(made, keyword, value)
    return [made]


def rescale(one: Dataset, kind: str) -> list[Dataset]:
    return group(RescaleSlope=one.RescaleSlope, RescaleIntercept=one.RescaleIntercept, RescaleType=kind)


def multiframe(
    images: Sequence[Dataset], storage: str, *, shared: bool = False, rescale_type: str = "US"
) -> Dataset:
    """Return images as frames of one; the rescaling of all is shared, or each has its own."""
    first = images[0]
    made = image(planes()[0], 1)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID(storage)
    made.Modality, made.NumberOfFrames = KINDS[UID(storage)], len(images)
    made.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    for keyword in (
        "RescaleSlope",
        "RescaleIntercept",
        "PixelSpacing",
        "ImageOrientationPatient",
        "ImagePositionPatient",
    ):
        del made[keyword]
    common = Dataset()
    common.PixelMeasuresSequence = group(PixelSpacing=first.PixelSpacing, SliceThickness=GAP)
    common.PlaneOrientationSequence = group(ImageOrientationPatient=first.ImageOrientationPatient)
    if shared:
        common.PixelValueTransformationSequence = rescale(first, rescale_type)
    made.SharedFunctionalGroupsSequence, made.PerFrameFunctionalGroupsSequence = [common], []
    for one in images:
        own = Dataset()
        own.PlanePositionSequence = group(ImagePositionPatient=one.ImagePositionPatient)
        own.FrameContentSequence = group(StackID="1", InStackPositionNumber=one.InstanceNumber)
        if not shared:
            own.PixelValueTransformationSequence = rescale(one, rescale_type)
        made.PerFrameFunctionalGroupsSequence.append(own)
    made.PixelData = b"".join(each.PixelData for each in images)
    return made


def shuffled(images: Sequence[Dataset]) -> list[Dataset]:
    return [images[each] for each in SHUFFLED]


@pytest.mark.parametrize("storage", KINDS, ids=[each.name.removesuffix(" Image Storage") for each in KINDS])
@pytest.mark.parametrize("shared", [True, False], ids=["one rescaling", "one of each frame"])
def test_frames_make_the_volume_that_images_make(storage: str, shared: bool, tmp_path: Path) -> None:
    images = series(planes(directions=rotated(25.0)), (lambda _: 0.25) if shared else slopes)
    expected, made = load(images), multiframe(shuffled(images), storage, shared=shared)
    made.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    for volume in (load([made]), load(tmp_path / "one.dcm")):
        assert volume.values.dtype == expected.values.dtype
        assert np.array_equal(volume.values, expected.values)
        assert np.allclose(volume.affine, expected.affine, atol=1e-6)
        assert [each.number for each in volume.frames] == (np.argsort(SHUFFLED) + 1).tolist()
        assert (volume.modality, volume.verdict.geometry) == (KINDS[UID(storage)], Geometry.REGULAR)
        centre, mm3 = centre_and_volume(volume.values, volume.affine)
        assert np.allclose(centre, CENTRE, atol=0.3)
        assert mm3 == pytest.approx(4 / 3 * np.pi * 26.0**3, rel=0.02)


def test_frames_are_coded_as_images_are() -> None:
    images = series(slope=slopes)
    made = multiframe(shuffled(images), EnhancedPETImageStorage)
    made.compress(RLELossless, generate_instance_uid=False)
    assert np.array_equal(load([made]).values, load(images).values)


@pytest.mark.parametrize(("rescale_type", "units"), [("HU", "[hnsf'U]"), ("US", ""), ("ED", "")])
@pytest.mark.parametrize("shared", [True, False])
def test_units_are_those_of_the_frames(rescale_type: str, units: str, shared: bool) -> None:
    made = multiframe(series(), EnhancedCTImageStorage, shared=shared, rescale_type=rescale_type)
    assert load([made]).units == units


def with_times(made: Dataset, keyword: str, sequence: str) -> Dataset:
    """Return frames twice, told apart by an attribute of theirs."""
    frames = list(made.PerFrameFunctionalGroupsSequence)
    again = []
    for value, each in ((value, each) for value in (2, 1) for each in frames):
        own = Dataset()
        own.PlanePositionSequence = each.PlanePositionSequence
        own.PixelValueTransformationSequence = group(
            RescaleSlope=1, RescaleIntercept=100 * value, RescaleType="US"
        )
        setattr(own, sequence, group(**{keyword: value}))
        again.append(own)
    made.PerFrameFunctionalGroupsSequence = again
    made.NumberOfFrames, made.PixelData = len(again), made.PixelData * 2
    return made


@pytest.mark.parametrize(
    ("storage", "keyword", "sequence"),
    [
        (EnhancedPETImageStorage, "TemporalPositionIndex", "FrameContentSequence"),
        (EnhancedMRImageStorage, "DiffusionBValue", "MRDiffusionSequence"),
        (EnhancedMRImageStorage, "EffectiveEchoTime", "MREchoSequence"),
        (EnhancedCTImageStorage, "NominalPercentageOfCardiacPhase", "CardiacSynchronizationSequence"),
    ],
)
def test_several_times_are_told_apart_by_the_frames(
    storage: str, keyword: str, sequence: str, tmp_path: Path
) -> None:
    images = series()
    made = with_times(multiframe(images, storage), keyword, sequence)
    volume = load([made])
    assert volume.is_in_time and volume.values.shape == (2, 28, 48, 64)
    assert np.array_equal(volume.values[1] - volume.values[0], np.full((28, 48, 64), 100))
    (done,) = volume.verdict.done
    assert (done.act, done.by) == (Act.SPLIT_IN_TIME, keyword)
    (tmp_path / "in").mkdir()
    made.save_as(tmp_path / "in" / "one.dcm", enforce_file_format=True)
    build(tmp_path / "in", tmp_path / "index")
    (row,) = Index.open(tmp_path / "index").query("SELECT * FROM volumes").to_pylist()
    assert (row["times"], row["slices"], row["geometry"]) == (2, 28, "mended")


def leaning() -> list[Dataset]:
    return series(planes(lean=np.array([0.0, np.tan(np.radians(15.0)), 1.0])))


def one_missing() -> list[Dataset]:
    return [each for number, each in enumerate(series()) if number != 9]


def repeated() -> list[Dataset]:
    return [*series(), series()[9]]


@pytest.mark.parametrize(
    ("make", "act"),
    [
        (leaning, Act.TILT_CORRECTED),
        (one_missing, Act.MISSING_INTERPOLATED),
        (repeated, Act.DUPLICATES_DROPPED),
    ],
)
@pytest.mark.parametrize("storage", [EnhancedCTImageStorage, EnhancedMRImageStorage, EnhancedPETImageStorage])
def test_frames_are_mended_as_images_are(storage: str, make: Callable[[], list[Dataset]], act: Act) -> None:
    images = make()
    expected: Volume = load(images)
    volume = load([multiframe(images[::-1], storage)])
    assert volume.verdict.to_json() == expected.verdict.to_json() and volume.verdict.has(act)
    assert np.array_equal(volume.values, expected.values)
    assert np.allclose(volume.affine, expected.affine)


def test_a_frame_without_a_place_is_refused() -> None:
    made = multiframe(series(), EnhancedMRImageStorage)
    placed = multiframe(series(), EnhancedMRImageStorage)
    placed.SOPInstanceUID = "2.25.4242"
    del made.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence
    with pytest.raises(VolumeError) as caught:
        load([made, placed], repairs=STRICT)
    assert caught.value.reason is VolumeReason.NO_GEOMETRY
