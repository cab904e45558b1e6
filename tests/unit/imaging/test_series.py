"""What is read: types, samples, planes without a place, and files as well as data sets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread, examples
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

import firstread.imaging
from firstread.imaging import MEND, Volume, VolumeError, load, load_all
from firstread.imaging.reading import InMemory, OnDisk
from firstread.imaging.verdict import Act, Geometry, VolumeReason
from tests.support.phantoms import image, planes, series


def sample(name: str) -> Path:
    found = get_testdata_file(name, download=False)
    assert isinstance(found, str)
    return Path(found)


NATIVE = ("CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "image_dfl.dcm")
CODED = ("693_J2KI.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPEG-LL.dcm", "emri_small.dcm")


@pytest.mark.parametrize("name", [*NATIVE, *CODED])
def test_a_file_gives_the_values_that_pydicom_gives(name: str) -> None:
    path = sample(name)
    header = dcmread(path)
    disk, memory = OnDisk([path]), InMemory([header])
    for frame in range(int(header.get("NumberOfFrames", 1))):
        pixels = header.pixel_array
        expected = pixels[frame] if pixels.ndim == 3 else pixels
        assert np.array_equal(disk.stored(0, frame), expected)
        assert np.array_equal(memory.stored(0, frame), expected)


def test_bits_that_are_not_stored_do_not_count(tmp_path: Path) -> None:
    for sign, raw, expected in ((0, 0xF123, 0x123), (1, 0x0FFF, -1), (1, 0xF7FF, 0x7FF)):
        one = image(planes()[0], 1)
        one.BitsStored, one.HighBit, one.PixelRepresentation = 12, 11, sign
        one.RescaleIntercept = 0
        one.PixelData = np.full(one.Rows * one.Columns, raw, "<u2").tobytes()
        one.save_as(tmp_path / "one.dcm")
        assert (load(tmp_path / "one.dcm").values == expected).all()
        assert (load([one]).values == expected).all()


def test_a_folder_its_files_and_its_data_sets_are_the_same(tmp_path: Path) -> None:
    images = series()
    files = [tmp_path / f"{number:03}.dcm" for number in range(len(images))]
    for file, each in zip(files, images, strict=True):
        each.save_as(file, enforce_file_format=True)
    found = [load(tmp_path), load(files), load(images), load([str(file) for file in reversed(files)])]
    for one in found:
        assert np.array_equal(one.values, found[0].values) and np.array_equal(one.affine, found[0].affine)
        assert one.frames == found[0].frames


@pytest.mark.parametrize(
    ("slope", "intercept", "stored", "kind"),
    [
        (1, -1024, 3000, np.int16),
        (1, 0, 40000, np.uint16),
        (1, -1024, 60000, np.int32),
        (2, -1, 30000, np.int32),
        (0.5, 0, 11, np.float32),
        (1, 100000, 1, np.float32),
        (30000, 0, 65535, np.int32),
    ],
)
def test_the_smallest_type_that_holds_the_values(
    slope: float, intercept: float, stored: int, kind: type
) -> None:
    images = series(planes([0.0, 3.0]))
    for each, value in zip(images, (0, stored), strict=True):
        each.RescaleSlope, each.RescaleIntercept = slope, intercept
        each.PixelData = np.full(each.Rows * each.Columns, value, "<u2").tobytes()
    values = load(images).values
    assert values.dtype == kind
    assert values[:, 0, 0].tolist() == [intercept, stored * slope + intercept]


def test_a_type_grows_with_the_slices() -> None:
    images = series(planes([0.0, 3.0, 6.0]))
    for each, slope in zip(images, (1, 1, 0.25), strict=True):
        each.RescaleSlope, each.RescaleIntercept = slope, 0
        each.PixelData = np.full(each.Rows * each.Columns, 40001, "<u2").tobytes()
    images[0].PixelData, images[0].RescaleIntercept = bytes(len(images[0].PixelData)), -5
    assert load(images[:2]).values[:, 0, 0].tolist() == [-5, 40001]
    assert load(images[:2]).values.dtype == np.int32
    assert load(images).values[:, 0, 0].tolist() == [-5, 40001, 10000.25]


def test_a_cine_in_colour() -> None:
    volume = load([examples.ybr_color])
    assert volume.values.shape == (30, 240, 320, 3) and volume.is_colour and not volume.is_in_time
    assert volume.verdict.geometry is Geometry.PLANAR and volume.modality == "US"
    assert [each.number for each in volume.frames] == list(range(1, 31))


def test_a_radiograph_knows_its_detector() -> None:
    one = image(planes()[0], 1)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        del one[keyword]
    one.Modality, one.ImagerPixelSpacing = "DX", [0.2, 0.1]
    volume = load([one])
    assert volume.spacing_mm == (1.0, 0.2, 0.1) and volume.verdict.geometry is Geometry.PLANAR
    del one.ImagerPixelSpacing
    region = Dataset()
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, -0.03
    one.SequenceOfUltrasoundRegions = [region]
    assert load([one]).spacing_mm == pytest.approx((1.0, 0.3, 0.2))


def test_pictures_among_slices_are_set_aside() -> None:
    images = series()
    flat = image(planes()[0], 40)
    del flat.ImagePositionPatient
    volume = load([*images, flat])
    assert volume.verdict.done[0].to_json() == {
        "act": "localizer_removed",
        "count": 1,
        "by": "ImagePositionPatient",
    }
    with pytest.raises(VolumeError) as caught:
        load([*images, flat], firstread.imaging.STRICT)
    assert caught.value.reason is VolumeReason.NO_GEOMETRY


def test_pictures_of_two_sizes_are_two() -> None:
    images: list[Dataset] = []
    for number, rows in enumerate((48, 48, 40)):
        one = image(planes()[0], number)
        del one.ImagePositionPatient
        one.Rows = rows
        one.PixelData = one.PixelData[: rows * one.Columns * 2]
        images.append(one)
    assert [each.values.shape for each in load_all(images)] == [(2, 48, 64), (1, 40, 64)]


def test_nothing_is_no_series() -> None:
    with pytest.raises(VolumeError):
        load([])


def test_other_libraries_have_it_in_the_same_place() -> None:
    volume = load(series())
    taken = volume.to_sitk()
    assert taken.GetSize() == (64, 48, 28) and taken.GetPixel(5, 6, 7) == volume.values[7, 6, 5]
    point = taken.TransformIndexToPhysicalPoint((5, 6, 7))
    assert point == pytest.approx((volume.affine @ [7, 6, 5, 1])[:3])
    assert volume.to_torch().shape == (28, 48, 64) and volume.to_numpy() is volume.values


def test_several_times_are_vectors_to_simpleitk() -> None:
    images = [*series(planes([0.0, 3.0])), *series(planes([0.0, 3.0]))]
    for number, each in enumerate(images):
        each.TemporalPositionIdentifier = 1 + number // 2
    volume = load(images)
    assert volume.verdict.has(Act.SPLIT_IN_TIME)
    assert volume.to_sitk().GetNumberOfComponentsPerPixel() == 2


def test_the_package_says_what_it_has() -> None:
    assert firstread.imaging.load is load and firstread.imaging.MEND is MEND
    assert firstread.imaging.Volume is Volume
    unknown: Any = firstread.imaging
    with pytest.raises(AttributeError, match="no attribute 'save'"):
        unknown.save  # noqa: B018
