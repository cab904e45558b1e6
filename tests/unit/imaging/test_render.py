"""Values known by hand, through every step from stored values to brightness."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from firstread.imaging.pixels import PixelError, PixelReason, frame_count
from firstread.imaging.render import grayscale, modality_values, to_png

Array = npt.NDArray[Any]


def image(pixels: Array, photometric: str = "MONOCHROME2", bits: int = 0, **more: object) -> Dataset:
    """Return an uncompressed image; pixels are rows x columns, or frames before or samples after."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    samples = 3 if photometric in {"RGB", "YBR_FULL"} else 1
    shape = pixels.shape[:-1] if samples == 3 else pixels.shape
    if len(shape) == 3:
        dataset.NumberOfFrames = shape[0]
    dataset.Rows, dataset.Columns = shape[-2:]
    dataset.SamplesPerPixel = samples
    if samples == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    data = pixels.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    for name, value in more.items():
        setattr(dataset, name, value)
    return dataset


def table(first: int, bits: int, entries: list[int]) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return Sequence([item])


def shown(dataset: Dataset) -> list[list[float]]:
    result = grayscale(dataset)
    assert result.dtype == np.float32
    return [[round(float(value), 4) for value in row] for row in result]


def opened(png: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(png)))


RAMP8 = np.array([[0, 85], [170, 255]], np.uint8)


def test_without_window_the_full_range_is_shown() -> None:
    third = round(1 / 3, 4)
    got = grayscale(image(RAMP8))
    assert np.allclose(got, [[0, third], [2 * third, 1]], atol=2e-3)


def test_monochrome1_is_inverted() -> None:
    assert np.allclose(grayscale(image(RAMP8, "MONOCHROME1")), 1 - grayscale(image(RAMP8)))


def test_signed_12_bit_with_rescale_and_window() -> None:
    # Hounsfield units -1024, 39.5, 240, 1000 with the soft tissue window.
    stored = np.array([[-512, 20], [120, 500]], np.int16)
    dataset = image(stored, bits=12, RescaleSlope=2, RescaleIntercept=0, WindowCenter=40, WindowWidth=400)
    assert modality_values(dataset).tolist() == [[-1024, 40], [240, 1000]]
    # PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5), so 240 is beyond the upper end.
    assert shown(dataset) == [[0.0, round(0.5 / 399 + 0.5, 4)], [1.0, 1.0]]


def test_linear_exact() -> None:
    dataset = image(RAMP8, WindowCenter=127.5, WindowWidth=255, VOILUTFunction="LINEAR_EXACT")
    assert shown(dataset) == [[0.0, round(1 / 3, 4)], [round(2 / 3, 4), 1.0]]


def test_sigmoid() -> None:
    dataset = image(RAMP8, WindowCenter=85, WindowWidth=100, VOILUTFunction="SIGMOID")
    expected = [[1 / (1 + np.exp(-4 * (x - 85) / 100)) for x in row] for row in RAMP8.astype(float)]
    assert np.allclose(grayscale(dataset), expected, atol=1e-6)


def test_width_of_one_is_a_threshold() -> None:
    assert shown(image(RAMP8, WindowCenter=100, WindowWidth=1)) == [[0, 0], [1, 1]]


@pytest.mark.parametrize("width", [0, -5])
def test_a_window_without_width_is_passed_over(width: int) -> None:
    dataset = image(RAMP8, WindowCenter=100, WindowWidth=width)
    assert np.array_equal(grayscale(dataset), grayscale(image(RAMP8)))


def test_the_first_of_several_windows_counts() -> None:
    one = image(RAMP8, WindowCenter=100, WindowWidth=50)
    two = image(RAMP8, WindowCenter=[100, 10], WindowWidth=[50, 20])
    assert np.array_equal(grayscale(one), grayscale(two))


def test_full_ignores_windows_and_tables() -> None:
    plain = grayscale(image(RAMP8))
    windowed = image(RAMP8, WindowCenter=10, WindowWidth=5)
    tabled = image(RAMP8, VOILUTSequence=table(0, 8, [255, 0]))
    assert np.array_equal(grayscale(windowed, window="full"), plain)
    assert np.array_equal(grayscale(tabled, window="full"), plain)


def test_full_range_passes_over_hot_pixels() -> None:
    pixels = np.tile(np.arange(100, dtype=np.uint16), (100, 1))
    pixels[0, 0] = 65535
    got = grayscale(image(pixels), window="full")
    assert got[50, 99] == 1.0
    assert got[50, 50] == pytest.approx(50 / 99, abs=0.01)


def test_a_flat_image_is_black() -> None:
    assert shown(image(np.full((2, 2), 7, np.uint8))) == [[0, 0], [0, 0]]


def test_few_different_pixels_are_still_seen() -> None:
    pixels = np.zeros((100, 100), np.uint8)
    pixels[3, 3] = 9
    assert grayscale(image(pixels))[3, 3] == 1.0


def test_voi_lut_of_16_bit_entries_ends_at_both_sides() -> None:
    dataset = image(
        np.array([[0, 10], [11, 200]], np.uint16), VOILUTSequence=table(10, 16, [0, 32768, 65535])
    )
    assert shown(dataset) == [[0.0, 0.0], [round(32768 / 65535, 4), 1.0]]


def test_voi_lut_of_8_bits_with_more_than_256_entries() -> None:
    # pydicom 3.0's own apply_voi wraps the index here.
    dataset = image(np.array([[0, 511]], np.uint16), VOILUTSequence=table(0, 8, [i // 2 for i in range(512)]))
    assert shown(dataset) == [[0.0, 1.0]]


def test_voi_lut_comes_before_window() -> None:
    dataset = image(RAMP8, VOILUTSequence=table(0, 8, [255, 0]), WindowCenter=0, WindowWidth=1)
    assert shown(dataset) == [[1, 0], [0, 0]]


def test_modality_lut_with_negative_first_value() -> None:
    dataset = image(np.array([[-5, -2], [-1, 0]], np.int16), ModalityLUTSequence=table(-2, 16, [7, 8, 900]))
    assert modality_values(dataset).tolist() == [[7, 7], [8, 900]]


def test_padding_is_left_out_of_the_range_and_black() -> None:
    pixels = np.array([[-2000, 0], [50, 100]], np.int16)
    assert shown(image(pixels, PixelPaddingValue=-2000)) == [[0.0, 0.0], [0.5, 1.0]]
    inverted = grayscale(image(pixels, "MONOCHROME1", PixelPaddingValue=-2000))
    assert inverted[0, 0] == 0.0
    assert inverted[0, 1] == pytest.approx(1.0, abs=2e-3)


def test_padding_range() -> None:
    pixels = np.array([[5000, 4990], [0, 10]], np.uint16)
    dataset = image(pixels, PixelPaddingValue=5000, PixelPaddingRangeLimit=4990)
    assert grayscale(dataset)[0].tolist() == [0.0, 0.0]
    assert grayscale(dataset)[1, 1] == pytest.approx(1.0, abs=2e-3)


def test_frames_are_decoded_one_by_one() -> None:
    pixels = np.stack([np.full((2, 3), value, np.uint8) for value in (0, 100, 200)])
    dataset = image(pixels, WindowCenter=100.5, WindowWidth=201)
    assert frame_count(dataset) == 3
    assert [grayscale(dataset, frame)[0, 0] for frame in range(3)] == [0.0, 0.5, 1.0]
    for frame in (-1, 3):
        with pytest.raises(PixelError, match="no_such_frame"):
            grayscale(dataset, frame)


def test_windows_per_frame_of_enhanced_objects() -> None:
    def groups(center: float) -> Dataset:
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = center, 1
        group.FrameVOILUTSequence = Sequence([window])
        return group

    shared, rescale = Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, 1000
    shared.PixelValueTransformationSequence = Sequence([rescale])
    dataset = image(np.full((2, 2, 2), 10, np.uint8))
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence([groups(1005), groups(1015)])
    assert modality_values(dataset)[0, 0] == 1010
    assert (grayscale(dataset, 0)[0, 0], grayscale(dataset, 1)[0, 0]) == (1.0, 0.0)


def test_rgb_becomes_luminance_and_stays_colour_as_png() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    assert shown(image(pixels, "RGB")) == [[0.299, 0.587], [0.114, 1.0]]
    assert opened(to_png(image(pixels, "RGB"))).tolist() == pixels.tolist()


def test_rgb_of_16_bits() -> None:
    pixels = np.array([[[4095, 0, 0], [4095, 4095, 4095]]], np.uint16)
    assert opened(to_png(image(pixels, "RGB", bits=12))).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_ybr_becomes_rgb() -> None:
    pixels = np.array([[[76, 85, 255], [255, 128, 128]]], np.uint8)
    red, white = opened(to_png(image(pixels, "YBR_FULL")))[0].astype(int)
    assert np.abs(red - [254, 0, 0]).max() <= 2
    assert np.abs(white - 255).max() <= 1


@pytest.mark.parametrize("wide", [False, True])
def test_palette(wide: bool) -> None:
    dataset = image(np.array([[0, 10], [11, 255]], np.uint8), "PALETTE COLOR")
    for name, entries in (("Red", [0, 255]), ("Green", [10, 0]), ("Blue", [20, 255])):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [2, 10, 16 if wide else 8])
        values = np.array(entries, np.uint16) * 257 if wide else np.array(entries, np.uint8)
        setattr(dataset, f"{name}PaletteColorLookupTableData", values.tobytes())
    first, last = [0, 10, 20], [255, 0, 255]
    assert opened(to_png(dataset)).tolist() == [[first, first], [last, last]]


def test_explicit_window() -> None:
    dataset = image(RAMP8, WindowCenter=0, WindowWidth=1)
    assert opened(to_png(dataset, window=(127.5, 1))).tolist() == [[0, 0], [255, 255]]


@pytest.mark.parametrize("window", [(0.0, 0.0), (0.0, -1.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_an_impossible_window_is_refused(window: tuple[float, float]) -> None:
    with pytest.raises(PixelError, match="bad_window"):
        to_png(image(RAMP8), window=window)


@pytest.mark.parametrize(
    ("more", "size"),
    [
        ({}, (40, 20)),
        ({"PixelSpacing": [2, 1]}, (40, 40)),
        ({"PixelSpacing": [1, 2]}, (80, 20)),
        ({"PixelAspectRatio": [2, 1]}, (40, 40)),
        ({"ImagerPixelSpacing": [0.1, 0.1], "PixelAspectRatio": [2, 1]}, (40, 20)),
        ({"PixelSpacing": [0, 0]}, (40, 20)),
        ({"PixelSpacing": [1000, 1]}, (40, 20)),
    ],
)
def test_pixels_become_square(more: dict[str, object], size: tuple[int, int]) -> None:
    dataset = image(np.zeros((20, 40), np.uint8))
    for name, value in more.items():
        setattr(dataset, name, value)
    png = to_png(dataset)
    assert Image.open(io.BytesIO(png)).size == size


def test_large_images_are_reduced() -> None:
    png = to_png(image(np.zeros((300, 100), np.uint8)), max_side=150)
    assert Image.open(io.BytesIO(png)).size == (50, 150)


def test_no_pixels() -> None:
    dataset = image(RAMP8)
    del dataset.PixelData
    with pytest.raises(PixelError, match="no_pixels"):
        grayscale(dataset)


def test_a_lying_header_allocates_nothing() -> None:
    dataset = image(RAMP8)
    dataset.Rows = dataset.Columns = 65535
    with pytest.raises(PixelError, match="too_large"):
        to_png(dataset)


def test_a_truncated_frame_is_refused_without_its_header() -> None:
    dataset = image(np.zeros((64, 64), np.uint16), PatientName="Secret^Name")
    dataset.PixelData = dataset.PixelData[:100]
    with pytest.raises(PixelError) as caught:
        grayscale(dataset)
    assert caught.value.reason is PixelReason.NOT_DECODED
    assert str(caught.value) == "not_decoded"
    assert caught.value.__suppress_context__


def test_wrong_transfer_syntax() -> None:
    dataset = image(RAMP8)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    with pytest.raises(PixelError, match="not_decoded"):
        grayscale(dataset)


@pytest.mark.parametrize("name", ["ModalityLUTSequence", "VOILUTSequence"])
def test_a_broken_table_is_refused(name: str) -> None:
    broken = table(0, 16, [1, 2])
    broken[0].LUTDescriptor = [9, 0, 16]
    dataset = image(RAMP8)
    setattr(dataset, name, broken)
    with pytest.raises(PixelError, match="bad_lookup_table"):
        grayscale(dataset)


def test_colour_has_no_modality_values() -> None:
    with pytest.raises(PixelError, match="unsupported"):
        modality_values(image(np.zeros((2, 2, 3), np.uint8), "RGB"))
