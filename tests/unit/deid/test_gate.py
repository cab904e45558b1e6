"""How closely pixels are looked at, from the header alone."""

from io import BytesIO

import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID

from firstread.deid.gate import DETECTOR_CLASSES, Look, is_acquired, look
from firstread.dicom.pixels import PixelSpan
from firstread.dicom.reader import DicomFile
from tests.support.dicoms import header

NOWHERE = BytesIO()
CT = "1.2.840.10008.5.1.4.1.1.2"


def _look(dataset: Dataset, pixels: int = 9) -> Look:
    return look(DicomFile(FileDataset("", dataset), NOWHERE, UID(""), 0, PixelSpan(0, pixels, pixels)))


def test_without_pixels_there_is_nothing_to_see() -> None:
    assert _look(header(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11"), pixels=0) is Look.NOTHING_TO_SEE


@pytest.mark.parametrize("uid", sorted(DETECTOR_CLASSES))
def test_images_of_a_detector_get_the_cheap_look(uid: str) -> None:
    assert _look(header(SOPClassUID=uid, BurnedInAnnotation="NO")) is Look.PREFILTER


@pytest.mark.parametrize(
    "values",
    [
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "BurnedInAnnotation": "NO"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"BurnedInAnnotation": "YES"},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
        {"PhotometricInterpretation": "RGB"},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"SOPClassUID": ""},
    ],
)
def test_everything_else_is_shown_to_the_detector(values: dict[str, object]) -> None:
    dataset = header(**({"SOPClassUID": CT} | values))
    assert _look(dataset) is Look.DETECTOR
    assert not is_acquired(dataset)
