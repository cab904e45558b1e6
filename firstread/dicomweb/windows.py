"""Fills in Window Center and Width where CT and MR lack them: viewers else show the full range, a grey image."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from firstread.dicomweb.dicom_json import Json
from firstread.dicomweb.errors import CannotRenderError
from firstread.dicomweb.frames import ObjectFrames
from firstread.dicomweb.header import Header
from firstread.dicomweb.layout import layout_of
from firstread.imaging.pixels import PixelError
from firstread.imaging.render import modality_values

_Member = TypeVar("_Member")
_SOFT_TISSUE = (40.0, 400.0)  # Hounsfield units
_INSIDE = (1.0, 99.0)  # percentiles
_CENTER, _WIDTH, _VOI_LUT, _FRAME_VOI = "00281050", "00281051", "00283010", "00289132"
_SHARED, _PER_FRAME = "52009229", "52009230"


def middle(members: Sequence[_Member]) -> _Member:
    """Return the member of a series whose pixels say which window all of it gets."""
    return members[len(members) // 2]


def add_window(datasets: Sequence[Json], header: Callable[[], Header]) -> None:
    """Add a window to the metadata of images of one series that have none; the objects stay as they are.

    CT gets the soft tissue window. MR has no units: the range of its middle image, less the outermost hundredth at
    either end, becomes the window of the whole series, so that slices do not flicker.

    Parameters
    ----------
    datasets
        The metadata; changed in place.
    header
        Gives that of the `middle` object of the series, whose pixels are looked at.
    """
    bare = [each for each in datasets if _lacks_window(each)]
    if not bare:
        return
    if _modality(bare[0]) == "CT":
        window: tuple[float, float] | None = _SOFT_TISSUE
    else:
        window = _range_of(header())
    if window is None:
        return
    for each in bare:
        _put(each, *window)


def _modality(dataset: Json) -> str:
    values = dataset.get("00080060", {}).get("Value") or [""]
    return str(values[0])


def _lacks_window(dataset: Json) -> bool:
    if _modality(dataset) not in ("CT", "MR") or "00280010" not in dataset:
        return False
    if _has_value(dataset, _CENTER) or _has_value(dataset, _VOI_LUT):
        return False
    groups = [*_items(dataset, _SHARED), *_items(dataset, _PER_FRAME)]
    return not any(_has_value(group, _FRAME_VOI) for group in groups)


def _has_value(dataset: Json, tag: str) -> bool:
    return bool(dataset.get(tag, {}).get("Value"))


def _items(dataset: Json, tag: str) -> list[Json]:
    return list(dataset.get(tag, {}).get("Value") or [])


def _put(dataset: Json, center: float, width: float) -> None:
    shared = _items(dataset, _SHARED)
    window = {_CENTER: {"vr": "DS", "Value": [center]}, _WIDTH: {"vr": "DS", "Value": [width]}}
    if shared:
        shared[0][_FRAME_VOI] = {"vr": "SQ", "Value": [window]}
    else:
        dataset.update(window)


def _range_of(header: Header) -> tuple[float, float] | None:
    """Return the window of an image, in the units of its modality; None where it has no pixels to tell."""
    try:
        frames = ObjectFrames(layout_of(header), header.read)
        dataset = frames.alone((frames.layout.frames + 1) // 2)
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            if keyword in header.dataset:
                dataset[keyword] = header.dataset[keyword]
        values = modality_values(dataset)
    except (CannotRenderError, PixelError):
        return None
    low, high = (float(each) for each in np.percentile(values, _INSIDE))
    if high <= low:
        return None
    return round((low + high) / 2, 1), round(max(high - low, 1.0), 1)
