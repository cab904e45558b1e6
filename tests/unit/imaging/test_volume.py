"""A series becomes a volume, or says why it does not."""

import math
import random

import numpy as np
import pytest
from pydicom import examples
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from firstread.imaging.series import load_volume
from firstread.imaging.verdict import VolumeError, VolumeReason
from firstread.imaging.volume import Volume

STEP = np.array([0.0, 0.0, 3.0])


def slices(count: int = 5, step: np.ndarray = STEP, rows: int = 4, columns: int = 6) -> list[Dataset]:
    """Return axial slices whose values tell slice, row and column."""
    made = []
    for number in range(count):
        image = Dataset()
        image.file_meta = Dataset()  # type: ignore[assignment]
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPInstanceUID = f"2.25.{number + 1}"
        image.FrameOfReferenceUID = "2.25.99"
        image.Rows, image.Columns = rows, columns
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 15, 0, 1
        image.PhotometricInterpretation = "MONOCHROME2"
        image.PixelSpacing = [2.0, 0.5]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.ImagePositionPatient = [float(part) for part in np.array([10.0, 20.0, 30.0]) + number * step]
        grid = np.arange(rows)[:, None] * 10 + np.arange(columns)[None]
        image.PixelData = (number * 100 + grid).astype("<u2").tobytes()
        made.append(image)
    return made


def test_slices_are_sorted_by_position_and_the_affine_leads_to_the_patient() -> None:
    images = slices()
    shuffled = images[:]
    random.Random(3).shuffle(shuffled)  # noqa: S311 - to be repeated
    volume = load_volume(shuffled)
    assert [each.sop_uid for each in volume.frames] == [image.SOPInstanceUID for image in images]
    assert volume.values[3, 2, 5] == 325
    assert volume.spacing_mm == (3.0, 2.0, 0.5) and volume.voxel_mm3 == pytest.approx(3.0)
    # Row 2 lies 4 mm further along the column direction, column 5 2.5 mm along the row direction.
    assert (volume.affine @ [3, 2, 5, 1])[:3] == pytest.approx([12.5, 24.0, 39.0])


def test_rescaled_values_are_in_the_units_of_the_modality() -> None:
    images = slices(2)
    for image in images:
        image.RescaleSlope, image.RescaleIntercept = 2, -1024
    assert load_volume(images).values[1, 0, 0] == 2 * 100 - 1024


MENDED = {VolumeReason.MISSING_SLICES, VolumeReason.SEVERAL_VOLUMES}
"""Where something may be mended, but not this."""


def broken(reason: VolumeReason) -> list[Dataset]:
    """Return slices with one thing wrong."""
    images = slices(6)
    middle = images[2]
    if reason is VolumeReason.TOO_FEW:
        return images[:1]
    if reason is VolumeReason.NO_GEOMETRY:
        del middle.ImagePositionPatient
    if reason is VolumeReason.NO_FRAME_OF_REFERENCE:
        del middle.FrameOfReferenceUID
    if reason is VolumeReason.DIFFERENT_FRAMES_OF_REFERENCE:
        middle.FrameOfReferenceUID = "2.25.98"
    if reason is VolumeReason.DIFFERENT_SIZES:
        middle.PixelSpacing = [2.0, 0.6]
    if reason is VolumeReason.DIFFERENT_ORIENTATIONS:
        middle.ImageOrientationPatient = [1, 0, 0, 0, math.cos(0.1), math.sin(0.1)]
    if reason is VolumeReason.SAME_POSITION:
        middle.ImagePositionPatient = images[1].ImagePositionPatient
    if reason is VolumeReason.UNEVEN_SPACING:
        return images[:2] + images[3:]
    if reason is VolumeReason.TILTED:
        return slices(6, np.array([0.0, 0.6, 3.0]))
    return images


@pytest.mark.parametrize("reason", [each for each in VolumeReason if each not in MENDED])
def test_what_is_no_volume_says_why(reason: VolumeReason) -> None:
    with pytest.raises(VolumeError) as caught:
        load_volume(broken(reason))
    assert caught.value.reason is reason and str(caught.value) == reason.value


def test_a_slice_that_lies_beside_the_others_is_no_stack() -> None:
    images = slices(6)
    images[3].ImagePositionPatient = [11.0, 20.0, 39.0]
    with pytest.raises(VolumeError) as caught:
        load_volume(images)
    assert caught.value.reason is VolumeReason.TILTED


def enhanced() -> Volume:
    image = slices(1)[0]
    image.NumberOfFrames = 3
    image.PixelData = np.arange(3 * 24).astype("<u2").tobytes()
    shared, frames = Dataset(), []
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, orientation.ImageOrientationPatient = [1, 1], [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    for number in (2, 0, 1):
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, number * 5.0]
        group.PlanePositionSequence = [position]
        frames.append(group)
    image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = [shared], frames
    return load_volume([image])


def test_frames_of_an_enhanced_image_are_slices() -> None:
    volume = enhanced()
    assert [each.number for each in volume.frames] == [2, 3, 1]
    assert volume.spacing_mm == (5.0, 1.0, 1.0)
    assert volume.values[:, 0, 0].tolist() == [24, 48, 0]


def test_a_real_slice_alone_is_none() -> None:
    with pytest.raises(VolumeError):
        load_volume([examples.ct])
