"""Images with no place in the patient: radiographs, photographs, ultrasound, and what moves."""

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firstread.imaging.lookup import functional_item, numbers
from firstread.imaging.pixels import frame_count
from firstread.imaging.reading import Images
from firstread.imaging.verdict import Geometry, Verdict, VolumeError, VolumeReason
from firstread.imaging.volume import SourceFrame, Volume
from firstread.imaging.voxels import Rescale, gather

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Array = npt.NDArray[Any]

_CENTIMETRES = 3  # Physical Units X and Y Direction, PS3.3 C.8.5.5.1.15


def planar(images: Images) -> tuple[Volume, ...]:
    """Return images that do not say where they lie: those of one size in a row, by Instance Number.

    Parameters
    ----------
    images
        Of one series.

    Raises
    ------
    VolumeError
        If there are none.
    PixelError
        If a frame cannot be decoded.
    """
    order = sorted(
        range(len(images.headers)), key=lambda each: numbers(images.headers[each], "InstanceNumber") or (0.0,)
    )
    if not order:
        raise VolumeError(VolumeReason.TOO_FEW)
    found = [
        _row(images, list(group))
        for _, group in groupby(order, key=lambda each: _alike(images.headers[each]))
    ]
    return tuple(sorted(found, key=lambda each: len(each.values), reverse=True))


def _alike(header: "Dataset") -> tuple[object, ...]:
    keywords = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation")
    return (*(header.get(each) for each in keywords), spacing_mm(header))


def _row(images: Images, numbers_of: list[int]) -> Volume:
    frames = [(each, frame) for each in numbers_of for frame in range(frame_count(images.headers[each]))]
    first = images.headers[numbers_of[0]]
    shown = images.stored(*frames[0])
    colour = shown.ndim == 3
    if colour:
        values = np.stack([images.stored(*each) for each in frames])
    else:
        planes = [lambda at=each: _plane(images, *at) for each in frames]
        values = gather((shown.shape[0], shown.shape[1]), planes)
    rows, columns = spacing_mm(first) or (1.0, 1.0)
    return Volume(
        values=values,
        affine=np.diag([1.0, rows, columns, 1.0]),
        frames=tuple(
            SourceFrame(str(images.headers[each].get("SOPInstanceUID", "")), frame + 1)
            for each, frame in frames
        ),
        verdict=Verdict(Geometry.PLANAR),
        modality=str(first.get("Modality") or ""),
        is_colour=colour,
    )


def _plane(images: Images, image: int, frame: int) -> tuple[Array, Rescale]:
    return images.stored(image, frame), Rescale(images.headers[image], frame)


def spacing_mm(header: "Dataset") -> tuple[float, float] | None:
    """Return the distances between rows and columns in millimetres; None where the image does not say.

    Of a projection it is that at the detector, unless it was calibrated (PS3.3 10.7.1.3); of ultrasound, that of its
    region, where it has one.
    """
    item = functional_item(header, 0, "PixelMeasuresSequence")
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        found = numbers(item, keyword) or numbers(header, keyword)
        if len(found) == 2 and min(found) > 0:
            return found[0], found[1]
    regions = header.get("SequenceOfUltrasoundRegions") or []
    if len(regions) != 1:
        return None
    units = [numbers(regions[0], f"PhysicalUnits{axis}Direction") for axis in "YX"]
    deltas = [numbers(regions[0], f"PhysicalDelta{axis}") for axis in "YX"]
    if units == [(float(_CENTIMETRES),)] * 2 and all(len(each) == 1 and each[0] for each in deltas):
        return 10 * abs(deltas[0][0]), 10 * abs(deltas[1][0])
    return None
