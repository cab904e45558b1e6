"""Real images that pip brings: other vendors' headers, compressed and colour pixels."""

import io

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from firstread.imaging.pixels import frame_count
from firstread.imaging.render import grayscale, to_png


def sample(name: str) -> Dataset:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return dcmread(str(path))


@pytest.mark.parametrize(
    ("name", "mode", "size"),
    [
        ("CT_small.dcm", "L", (128, 128)),
        ("MR_small.dcm", "L", (64, 64)),
        ("693_J2KI.dcm", "L", (512, 512)),
        ("RG1_J2KI.dcm", "L", (1841, 1955)),
        ("US1_J2KI.dcm", "RGB", (640, 480)),
        ("examples_ybr_color.dcm", "RGB", (320, 240)),
        ("examples_palette.dcm", "RGB", (800, 350)),
        ("emri_small.dcm", "L", (64, 64)),
    ],
)
def test_png(name: str, mode: str, size: tuple[int, int]) -> None:
    dataset = sample(name)
    picture = Image.open(io.BytesIO(to_png(dataset, frame_count(dataset) - 1)))
    assert (picture.format, picture.mode, picture.size) == ("PNG", mode, size)
    assert np.asarray(picture).std() > 5


def test_lungs_of_a_monochrome1_chest_are_dark() -> None:
    chest = grayscale(sample("RG1_J2KI.dcm"), window="full")
    rows, columns = chest.shape
    lung = chest[int(rows * 0.32) : int(rows * 0.4), int(columns * 0.25) : int(columns * 0.35)]
    spine = chest[int(rows * 0.6) : int(rows * 0.7), int(columns * 0.48) : int(columns * 0.52)]
    assert lung.mean() < spine.mean() - 0.1


def test_lossless_and_uncompressed_look_the_same() -> None:
    assert np.array_equal(grayscale(sample("693_J2KR.dcm")), grayscale(sample("693_UNCR.dcm")))


def test_an_image_through_a_table_looks_like_the_plain_one() -> None:
    # Both show the SMPTE pattern; in vlut_04 a VOI LUT with slope +1 maps 8 bits onto themselves.
    dataset = sample("vlut_04.dcm")
    plain = dataset.pixel_array.astype(np.float32) / 255
    assert np.abs(grayscale(dataset) - plain).max() < 0.01
