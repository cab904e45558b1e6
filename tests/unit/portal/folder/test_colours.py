"""Colours of regions: as the object has them, whatever it has."""

import pytest
from pydicom.dataset import Dataset

from portal.folder.colours import colours_of, from_cielab


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 0, 0), (54.29, 80.81, 69.89)),
        ((0, 255, 0), (87.82, -79.29, 80.99)),
        ((0, 0, 255), (29.57, 68.30, -112.03)),
        ((255, 255, 255), (100, 0, 0)),
        ((128, 128, 128), (53.59, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_cielab_of_the_white_of_icc_profiles(
    rgb: tuple[int, int, int], lab: tuple[float, float, float]
) -> None:
    value = (lab[0] / 100 * 65535, *((each + 128) / 255 * 65535 for each in lab[1:]))
    assert from_cielab(value) == pytest.approx(rgb, abs=0.5)
    segment = Dataset()
    segment.SegmentNumber, segment.RecommendedDisplayCIELabValue = 3, [round(each) for each in value]
    made = Dataset()
    made.SegmentSequence = [segment]
    assert colours_of(made) == {3: "#" + "".join(f"{each:02x}" for each in rgb)}


def contour(number: object, colour: object) -> Dataset:
    made = Dataset()
    made.ReferencedROINumber, made.ROIDisplayColor = number, colour
    return made


def test_malformed_colours_are_none() -> None:
    made = Dataset()
    made.ROIContourSequence = [
        contour(1, [1, 2, 255]),
        contour(2, [1, 2]),
        contour(3, [1, 2, 300]),
        contour(4, [-1, 2, 3]),
        contour(None, [1, 2, 3]),
    ]
    assert colours_of(made) == {1: "#0102ff"}
    assert colours_of(Dataset()) == {}
    made.ROIContourSequence = None
    assert colours_of(made) == {}
