"""Regions as the viewer gets them: on frames of images, voxel by voxel, or refused."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from firstread.dicomweb.held import Place
from firstread.imaging.masks.mask import Mask
from firstread.imaging.masks.segments import SegmentationType
from firstread.imaging.masks.written import to_segmentation
from firstread.imaging.series import load
from portal.folder.files import Made
from portal.folder.found import look
from portal.folder.masks import NOT_HERE, RESAMPLED, Masks, Shown
from tests.support.folders import BOX, CT, SMALL, TILTED, Written, regions, save, write_folder, write_series
from tests.support.phantoms import planes

Voxels = npt.NDArray[np.bool_]


def made_of(path: Path) -> tuple[dict[str, list[Shown]], Made]:
    """Return the regions of the one study of a folder by the class of their object and number."""
    made = Made()
    folder = look(path)
    (study,) = folder.studies.values()
    masks = Masks(folder, made)
    found: dict[str, list[Shown]] = {}
    for each in masks.of(study):
        found.setdefault(each.key, []).append(each)
    assert masks.of(study) is masks.of(study)
    return found, made


def voxels(shown: Shown, made: Made, images: list[Dataset]) -> Voxels:
    """Return what a segmentation draws on each image, by its own words."""
    assert shown.held
    assert shown.held.place is Place.RESULTS
    with made.open(shown.held.key) as file:
        dataset = dcmread(file)
    places = {image.SOPInstanceUID: number for number, image in enumerate(images)}
    found = np.zeros((len(images), images[0].Rows, images[0].Columns), np.bool_)
    pixels = dataset.pixel_array.reshape(-1, images[0].Rows, images[0].Columns)
    for group, frame in zip(dataset.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        place = (
            group if "SegmentIdentificationSequence" in group else dataset.SharedFunctionalGroupsSequence[0]
        )
        assert place.SegmentIdentificationSequence[0].ReferencedSegmentNumber == shown.segment
        source = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        found[places[source]] |= frame > 0
    return found


def box(place: tuple[slice, slice, slice]) -> Voxels:
    found = np.zeros((28, 48, 64), np.bool_)
    found[place] = True
    return found


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return write_folder(tmp_path)


def test_contours_become_the_voxels_that_they_surround(written: Written) -> None:
    found, made = made_of(written.path)
    for number, place in ((1, BOX), (2, SMALL)):
        (shown,) = found[f"2.25.32.1#{number}"]
        assert not shown.reason
        assert np.array_equal(voxels(shown, made, list(written.images)), box(place))


def test_a_segmentation_on_the_images_is_served_as_it_is(written: Written) -> None:
    found, _ = made_of(written.path)
    for number in (1, 2):
        (shown,) = found[f"2.25.31.1#{number}"]
        assert shown.held
        assert (shown.held.place, shown.held.key, shown.segment) == (Place.STUDIES, "masks/seg.dcm", number)


@pytest.mark.parametrize("kind", [SegmentationType.FRACTIONAL, SegmentationType.LABELMAP])
def test_other_segmentations_become_binary(written: Written, kind: SegmentationType) -> None:
    images = list(written.images)
    masks = regions(images)
    if kind is SegmentationType.FRACTIONAL:
        masks = [Mask(each.name, each.values.astype(np.float32)) for each in masks]
    save(to_segmentation(masks, load(images), images, kind), written.path / "masks" / "seg.dcm")
    (written.path / "masks" / "rt.dcm").unlink()
    found, made = made_of(written.path)
    assert len(found) == 2
    for (shown,), place in zip(found.values(), (BOX, SMALL), strict=True):
        assert np.array_equal(voxels(shown, made, images), box(place))


def test_a_segmentation_of_another_grid_is_put_on_the_images(written: Written) -> None:
    one = dcmread(written.path / "masks" / "seg.dcm")
    for group in one.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence
        position = group.PlanePositionSequence[0]
        position.ImagePositionPatient = [
            position.ImagePositionPatient[0] + 1.5,
            *position.ImagePositionPatient[1:],
        ]
    save(one, written.path / "masks" / "seg.dcm")
    found, made = made_of(written.path)
    (shown,) = found["2.25.31.1#1"]
    moved = (BOX[0], BOX[1], slice(BOX[2].start + 1, BOX[2].stop + 1))
    assert np.array_equal(voxels(shown, made, list(written.images)), box(moved))


def test_what_is_not_drawn_has_its_reason(written: Written, tmp_path: Path) -> None:
    path = written.path / "masks" / "rt.dcm"
    one = dcmread(path)
    one.ROIContourSequence[1].ContourSequence[0].ContourData = ["1", "2"]
    save(one, path)
    found, _ = made_of(written.path)
    assert [each.reason for each in found["2.25.32.1#2"]] == ["contour malformed"]
    assert [each.reason for each in found["2.25.32.1#1"]] == [""]

    referenced = (
        one.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    )
    referenced.SeriesInstanceUID, referenced.ContourImageSequence = TILTED, []
    save(one, path)
    found, _ = made_of(written.path)
    assert {each.reason for each in found["2.25.32.1#1"]} == {RESAMPLED}

    alone = tmp_path / "alone"
    save(one, alone / "rt.dcm")
    found, _ = made_of(alone)
    assert {shown.reason for each in found.values() for shown in each} == {NOT_HERE}


def test_images_without_uids_of_their_own_take_no_masks(tmp_path: Path) -> None:
    written = write_folder(tmp_path)
    write_series(tmp_path / "ct", planes(), CT, SOPInstanceUID="", StudyInstanceUID="2.25.1")
    (tmp_path / "copy.dcm").unlink()
    found, _ = made_of(written.path)
    assert all(shown.reason for each in found.values() for shown in each)
