"""In which colours regions are drawn: their own, or ours."""

from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np
from pydicom.dataset import Dataset

from firstread.imaging.index.through_pydicom import items
from firstread.imaging.lookup import numbers

_OURS = ("#ffc400", "#5fd0ff", "#ff8fd0", "#9be564", "#ff9d5c", "#c9a7ff")
_WHITE = (0.9642, 1.0, 0.8249)  # D50
_TO_LINEAR = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)  # XYZ of D50 to linear sRGB


def palette() -> Iterator[str]:
    """Return our colours, again and again."""
    return cycle(_OURS)


def colours_of(dataset: Dataset) -> dict[int, str]:
    """Return the colours that an object gives its regions: number -> ``#rrggbb``.

    Parameters
    ----------
    dataset
        A structure set (ROI Display Color, PS3.3 C.8.8.6) or a segmentation (Recommended Display CIELab Value,
        C.10.7.1.1); of all others, and of malformed values, nothing.
    """
    found: dict[int, str] = {}
    for item in items(dataset, "ROIContourSequence"):
        number, colour = numbers(item, "ReferencedROINumber"), numbers(item, "ROIDisplayColor")
        if len(number) == 1 and len(colour) == 3 and all(0 <= each <= 255 for each in colour):
            found[int(number[0])] = _written(colour)
    for item in items(dataset, "SegmentSequence"):
        number, colour = numbers(item, "SegmentNumber"), numbers(item, "RecommendedDisplayCIELabValue")
        if len(number) == 1 and len(colour) == 3:
            found[int(number[0])] = _written(from_cielab(colour))
    return found


def from_cielab(value: Sequence[float]) -> tuple[float, float, float]:
    """Return red, green and blue (sRGB, 0 to 255) of a PCS value of 16 bits (PS3.3 C.10.7.1.1)."""
    lightness, a, b = value[0] / 65535 * 100, value[1] / 65535 * 255 - 128, value[2] / 65535 * 255 - 128
    fy = (lightness + 16) / 116
    ratios = [_cubed(each) for each in (fy + a / 500, fy, fy - b / 200)]
    linear = np.clip(_TO_LINEAR @ (np.array(ratios) * _WHITE), 0, 1)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (float(each) for each in shown * 255)
    return red, green, blue


def _cubed(value: float) -> float:
    return value**3 if value > 6 / 29 else 3 * (6 / 29) ** 2 * (value - 4 / 29)


def _written(colour: Sequence[float]) -> str:
    return "#" + "".join(f"{round(each):02x}" for each in colour)
