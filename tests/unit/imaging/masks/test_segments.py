"""Segmentations of every type on a volume, and masks written and read back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.filewriter import dcmwrite
from pydicom.sr.coding import Code

from firstread.dicom.silence import quiet
from firstread.imaging.masks.mask import Mask, MaskError, MaskReason
from firstread.imaging.masks.segments import SegmentationType, read_segmentation, segment_masks
from firstread.imaging.masks.structures import read_structures, structure_masks
from firstread.imaging.masks.written import to_segmentation, to_structures
from firstread.imaging.series import load
from firstread.imaging.verdict import VolumeError
from firstread.imaging.volume import Volume
from tests.support.phantoms import CENTRE, Matrix, planes, rotated, series

MOMENT = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)


def images(directions: Matrix | None = None) -> list[Dataset]:
    made = series(planes(directions=rotated(0.0) if directions is None else directions))
    for each in made:
        each.PatientID, each.PatientName, each.PatientBirthDate, each.PatientSex = "P1", "Phantom", "", "O"
        each.StudyDate, each.StudyTime, each.StudyID, each.AccessionNumber = "20260301", "101500", "1", "A1"
        each.ReferringPhysicianName, each.Manufacturer, each.SeriesNumber = "", "none", 1
    return made


def ball(reference: Volume, radius: float, offset: float = 0.0) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, reference.grid), indexing="ij"), axis=-1)
    points = index @ reference.affine[:3, :3].T + reference.affine[:3, 3]
    found: np.ndarray = np.linalg.norm(points - CENTRE - [offset, 0, 0], axis=-1) < radius
    return found


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def balls(reference: Volume, *, overlap: bool = True) -> list[Mask]:
    outer, inner = ball(reference, 20.0), ball(reference, 9.0, 3.0)
    return [Mask("Liver", outer if overlap else outer & ~inner), Mask("Tumour", inner)]


def reread(dataset: Dataset) -> Dataset:
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)


def shuffled(dataset: Dataset) -> Dataset:
    """Return a segmentation with its frames in another order."""
    count = int(dataset.NumberOfFrames)
    order = np.random.default_rng(4).permutation(count)
    frames = dataset.pixel_array[order]
    groups = [dataset.PerFrameFunctionalGroupsSequence[int(each)] for each in order]
    dataset.PerFrameFunctionalGroupsSequence = groups
    if dataset.SegmentationType == "BINARY":
        dataset.PixelData = np.packbits(frames.ravel().astype(bool), bitorder="little").tobytes()
        if len(dataset.PixelData) % 2:
            dataset.PixelData += b"\0"
    else:
        dataset.PixelData = frames.tobytes()
    return dataset


@pytest.mark.parametrize("directions", [rotated(0.0), rotated(35.0)], ids=["axial", "oblique"])
@pytest.mark.parametrize("kind", SegmentationType)
def test_there_and_back(kind: SegmentationType, directions: Matrix) -> None:
    sources = images(directions)
    reference = load(sources)
    masks = balls(reference, overlap=kind is not SegmentationType.LABELMAP)
    codes = {"Liver": (Code("123037004", "SCT", "Anatomical Structure"), Code("10200004", "SCT", "Liver"))}
    dataset = shuffled(reread(to_segmentation(masks, reference, sources, kind, codes)))
    segmented = read_segmentation(dataset)
    assert int(dataset.NumberOfFrames) < 2 * len(sources)  # frames without a segment are left out
    assert [each.concept for each in segmented.segments] == ["SCT 10200004", "SCT 85756007"]
    found = segment_masks(segmented, reference)
    assert [each.name for each in found.masks] == ["Liver", "Tumour"] and not found.refused
    for made, given_ in zip(found.masks, masks, strict=True):
        assert made.values.dtype == (np.float32 if kind is SegmentationType.FRACTIONAL else np.bool_)
        assert np.array_equal(made.values, given_.values)
        ((_, how),) = made.how.items()
        assert isinstance(how, dict) and how["resampled"] is False and how["type"] == kind.value


def test_fractions() -> None:
    sources = images()
    reference = load(sources)
    half = Mask("half", ball(reference, 20.0) * np.float32(0.4))
    dataset = reread(to_segmentation([half], reference, sources, SegmentationType.FRACTIONAL))
    found = segment_masks(read_segmentation(dataset), reference)["half"]
    assert found.values.max() == pytest.approx(0.4, abs=1e-6)
    assert found.values == pytest.approx(half.values, abs=1 / 255)
    dataset.MaximumFractionalValue = 101  # its voxels have 102 of 255
    with pytest.raises(MaskError, match=MaskReason.BAD_SEGMENTS.value):
        segment_masks(read_segmentation(dataset), reference)


@pytest.mark.parametrize("kind", SegmentationType)
def test_on_another_grid(kind: SegmentationType) -> None:
    sources = images()
    reference = load(sources)
    masks = balls(reference)[:1]
    segmented = read_segmentation(reread(to_segmentation(masks, reference, sources, kind)))
    axes = np.stack([np.cross(*rotated(20)), rotated(20)[1], rotated(20)[0]], axis=1) * [2.5, 1.2, 1.1]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, CENTRE - axes @ [15.0, 30.0, 31.0]
    other = Volume(np.zeros((30, 60, 62)), affine, (), frame_of_reference="2.25.3")
    found = segment_masks(segmented, other)["Liver"]
    assert dice(found.values >= 0.5, ball(other, 20.0)) > 0.97
    assert [each["resampled"] for each in found.how.values()] == [True]  # type: ignore[index]


def test_part_of_the_volume() -> None:
    sources = images()
    reference = load(sources)
    segmented = read_segmentation(reread(to_segmentation(balls(reference), reference, sources)))
    affine = reference.affine.copy()
    affine[:3, 3] = (reference.affine @ [12, 20, 25, 1])[:3]
    part = Volume(reference.values[12:, 20:, 25:], affine, (), frame_of_reference="2.25.3")
    found = segment_masks(segmented, part)
    assert np.array_equal(found["Liver"].values, balls(reference)[0].values[12:, 20:, 25:])


def test_names_and_empty_segments() -> None:
    sources = images()
    reference = load(sources)
    nothing = Mask("Nothing", np.zeros(reference.grid, bool))
    dataset = reread(to_segmentation([*balls(reference), nothing], reference, sources))
    segmented = read_segmentation(dataset)
    names = {"whole": "liver|tumour", "spleen": "spleen", "nothing": "nothing"}
    found = segment_masks(segmented, reference, names)
    assert [each.name for each in found.masks] == ["whole"]
    assert np.array_equal(found["whole"].values, ball(reference, 20.0) | ball(reference, 9.0, 3.0))
    assert found.absent == ("spleen",) and found.refused == {"Nothing": MaskReason.NO_VOXELS}


def broken(change: Callable[[Dataset], object]) -> Dataset:
    sources = images()
    reference = load(sources)
    dataset = reread(to_segmentation(balls(reference), reference, sources))
    with quiet():
        change(dataset)
    return dataset


def unnamed(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[3].SegmentIdentificationSequence


def unknown_segment(dataset: Dataset) -> None:
    item = dataset.PerFrameFunctionalGroupsSequence[3].SegmentIdentificationSequence[0]
    item.ReferencedSegmentNumber = 9


def twice_the_number(dataset: Dataset) -> None:
    dataset.SegmentSequence[1].SegmentNumber = 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda each: setattr(each, "SOPClassUID", "1.2.3"), MaskReason.NOT_SEGMENTATION),
        (lambda each: setattr(each, "SegmentationType", "OTHER"), MaskReason.BAD_SEGMENTS),
        (lambda each: delattr(each, "SegmentSequence"), MaskReason.BAD_SEGMENTS),
        (unnamed, MaskReason.BAD_SEGMENTS),
        (unknown_segment, MaskReason.BAD_SEGMENTS),
        (twice_the_number, MaskReason.BAD_SEGMENTS),
    ],
)
def test_malformed(change: Callable[[Dataset], object], reason: MaskReason) -> None:
    with pytest.raises(MaskError) as error:
        read_segmentation(broken(change))
    assert error.value.reason is reason


def test_a_frame_without_a_place() -> None:
    with pytest.raises(VolumeError):
        read_segmentation(
            broken(lambda each: delattr(each.PerFrameFunctionalGroupsSequence[2], "PlanePositionSequence"))
        )


def test_elsewhere_and_uneven() -> None:
    reference = load(images())
    with pytest.raises(MaskError, match="region_elsewhere"):
        segment_masks(
            read_segmentation(broken(lambda _: None)), replace(reference, frame_of_reference="2.25.9")
        )

    def moved(dataset: Dataset) -> None:
        place = dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
        place.ImagePositionPatient = [
            *place.ImagePositionPatient[:2],
            float(place.ImagePositionPatient[2]) + 1.1,
        ]

    with pytest.raises(MaskError, match="segment_frames_uneven"):
        segment_masks(read_segmentation(broken(moved)), reference)


def test_what_cannot_be_written() -> None:
    sources = images()
    reference = load(sources)
    none: list[Mask] = []
    for masks in (none, [Mask("x", np.zeros((2, 3, 4), bool))]):
        with pytest.raises(MaskError, match="masks_of_another_grid"):
            to_segmentation(masks, reference, sources)
        with pytest.raises(MaskError, match="masks_of_another_grid"):
            to_structures(masks, reference, sources, MOMENT)
    with pytest.raises(MaskError, match="images_without_uids"):
        to_segmentation(balls(reference), reference, [])
    with pytest.raises(MaskError, match="segments_malformed"):
        to_segmentation(balls(reference), reference, sources, SegmentationType.LABELMAP)


@pytest.mark.parametrize("directions", [rotated(0.0), rotated(35.0)], ids=["axial", "oblique"])
def test_structures_there_and_back(directions: Matrix) -> None:
    sources = images(directions)
    reference = load(sources)
    shell = ball(reference, 22.0) & ~ball(reference, 12.0, 4.0) & ~ball(reference, 5.0, -14.0)
    masks = [*balls(reference), Mask("shell", shell | ball(reference, 4.0, 4.0))]
    dataset = reread(to_structures(masks, reference, sources, MOMENT))
    structures = read_structures(dataset)
    assert structures.series == ("2.25.2",)
    assert (dataset.PatientID, dataset.StudyInstanceUID, dataset.StructureSetDate) == (
        "P1",
        "2.25.1",
        "20260301",
    )
    contour = dataset.ROIContourSequence[0].ContourSequence[0]
    assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID in {
        each.SOPInstanceUID for each in sources
    }
    found = structure_masks(structures, reference)
    for made, given_ in zip(found.masks, masks, strict=True):
        assert made.name == given_.name
        assert np.array_equal(made.values, given_.values)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**36 - 1))
def test_any_mask_comes_back_from_structures(bits: int) -> None:
    values = np.array([bits >> each & 1 for each in range(36)], bool).reshape(1, 6, 6)
    affine = np.diag([3.0, 2.0, 2.0, 1.0])[[2, 1, 0, 3]]
    reference = Volume(np.zeros(values.shape), affine, (), frame_of_reference="2.25.3")
    written = to_structures([Mask("any", values)], reference, images()[:1], MOMENT)
    found = structure_masks(read_structures(written), reference)
    if values.any():
        assert np.array_equal(found["any"].values, values)
    else:
        assert found.refused == {"any": MaskReason.NO_CONTOURS}


@pytest.mark.slow
def test_a_real_torso_there_and_back() -> None:
    paths = sorted(Path(__file__).resolve().parents[5].glob("shared/data/ct-torso/example_ct_dicom/*"))
    if not paths:
        pytest.skip("the shared data is not there")
    sources = [dcmread(path) for path in paths]
    for number, each in enumerate(sources, 1):  # the series has no UIDs of its own
        with quiet():
            each.SOPClassUID, each.SOPInstanceUID = each.file_meta.MediaStorageSOPClassUID, f"2.25.5{number}"
            each.StudyInstanceUID, each.SeriesInstanceUID = "2.25.1", "2.25.2"
    reference = load(sources)
    masks = [Mask("body", reference.values > -300), Mask("bone", reference.values > 300)]
    outlined = to_structures(masks, reference, sources, MOMENT)
    segmented = to_segmentation(masks, reference, sources)
    for found in (
        structure_masks(read_structures(outlined), reference),
        segment_masks(read_segmentation(segmented), reference),
    ):
        assert [np.array_equal(found[each.name].values, each.values) for each in masks] == [True, True]
