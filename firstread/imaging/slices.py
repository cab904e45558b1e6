"""One frame of one image, and where it lies in the patient (PS3.3 C.7.6.2.1.1)."""

from collections.abc import Iterator, MutableSequence, Sequence
from dataclasses import dataclass
from operator import mul
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firstread.imaging.lookup import functional_item, numbers
from firstread.imaging.verdict import VolumeError, VolumeReason

if TYPE_CHECKING:  # the index reads most headers without pydicom, and starts in half the time
    from pydicom.dataset import Dataset

Matrix = npt.NDArray[np.float64]
Keys = dict[str, float | str]

SAME_DIRECTION = 1e-3
"""Direction cosines differ by less where they are meant to be the same; what headers round to."""
_APART: tuple[tuple[str, str], ...] = (
    ("TemporalPositionIndex", "FrameContentSequence"),
    ("TemporalPositionIdentifier", ""),
    ("DiffusionBValue", "MRDiffusionSequence"),
    ("EchoTime", "MREchoSequence"),
    ("EffectiveEchoTime", "MREchoSequence"),
    ("EchoNumbers", ""),
    ("NominalPercentageOfCardiacPhase", "CardiacSynchronizationSequence"),
    ("TriggerTime", ""),
    ("InversionTime", ""),
    ("StackID", "FrameContentSequence"),
    ("AcquisitionNumber", ""),
    ("FrameType", "MRImageFrameTypeSequence"),
    ("ImageType", ""),
    ("FrameReferenceTime", ""),
    ("AcquisitionTime", ""),
    ("ContentTime", ""),
)
"""What tells images at one position apart, and the functional group that holds it; what says most comes first."""


@dataclass(frozen=True)
class Slice:
    """One plane.

    Parameters
    ----------
    source, frame
        Which image of the series, and which of its frames; 0 first.
    sop_uid
        SOP Instance UID of the image.
    size
        Rows and columns.
    position
        Image Position (Patient), millimetres: the centre of the first pixel.
    directions : numpy.ndarray
        2 x 3: along a row, along a column.
    spacing
        Millimetres between rows, between columns.
    frame_of_reference
        Its UID; "" where there is none.
    number
        Instance Number, or the frame's number.
    is_localizer
        Whether Image Type says so.
    tile
        First row and column within the frame, where a frame holds several planes.
    is_colour
        Whether its pixels are red, green and blue once they are decoded.
    """

    source: int
    frame: int
    sop_uid: str
    size: tuple[int, int]
    position: Matrix
    directions: Matrix
    spacing: tuple[float, float]
    frame_of_reference: str = ""
    number: int = 0
    is_localizer: bool = False
    tile: tuple[int, int] | None = None
    is_colour: bool = False

    @property
    def normal(self) -> Matrix:
        """Return the unit vector that is perpendicular to the plane."""
        found: Matrix = np.cross(self.directions[0], self.directions[1])
        return found / np.linalg.norm(found)


def slices_of(image: "Dataset", source: int, frames: int) -> Iterator[Slice]:
    """Return the planes of an image.

    Parameters
    ----------
    image
        With or without its pixels.
    source, frames
        Which image of the series it is; how many frames it has.

    Raises
    ------
    VolumeError
        If the image does not say where a frame lies.
    """
    for frame in range(frames):
        yield _slice(image, source, frame)


def _slice(image: "Dataset", source: int, frame: int) -> Slice:
    def attribute(sequence: str, keyword: str, count: int) -> tuple[float, ...]:
        item = functional_item(image, frame, sequence)
        found = numbers(item, keyword) or numbers(image, keyword)
        if len(found) != count:
            raise VolumeError(VolumeReason.NO_GEOMETRY)
        return found

    position = attribute("PlanePositionSequence", "ImagePositionPatient", 3)
    directions = attribute("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    rows, columns = attribute("PixelMeasuresSequence", "PixelSpacing", 2)
    if not is_plane(directions, (rows, columns)):
        raise VolumeError(VolumeReason.NO_GEOMETRY)
    number = numbers(image, "InstanceNumber")
    return Slice(
        source=source,
        frame=frame,
        sop_uid=str(image.get("SOPInstanceUID", "")),
        size=_size(image),
        position=np.array(position),
        directions=np.array(directions).reshape(2, 3),
        spacing=(rows, columns),
        frame_of_reference=str(image.get("FrameOfReferenceUID") or ""),
        number=frame if frame or not number else int(number[0]),
        is_localizer=bool({"LOCALIZER", "SCOUT"} & set(_words(image, "ImageType"))),
        is_colour=is_colour(
            next(iter(numbers(image, "SamplesPerPixel")), None),
            str(image.get("PhotometricInterpretation") or ""),
        ),
    )


def is_colour(samples: float | None, photometric: str) -> bool:
    """Return whether pixels are red, green and blue once they are decoded.

    Parameters
    ----------
    samples, photometric
        Samples per Pixel, None where it is not said; Photometric Interpretation.
    """
    return samples == 3 or photometric == "PALETTE COLOR"


def is_plane(directions: Sequence[float], spacing: Sequence[float]) -> bool:
    """Return whether a plane can be meant: two directions at a right angle, and distances between pixels.

    Parameters
    ----------
    directions
        Six numbers: along a row, along a column.
    spacing
        Millimetres between rows, between columns.
    """
    row, column = directions[:3], directions[3:]
    apart = (_product(row, row) - 1, _product(column, column) - 1, _product(row, column))
    return max(map(abs, apart)) < 10 * SAME_DIRECTION and min(spacing) > 0


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    found: float = sum(map(mul, one, other))
    return found


def _size(image: "Dataset") -> tuple[int, int]:
    rows, columns = (numbers(image, keyword) for keyword in ("Rows", "Columns"))
    if len(rows) != 1 or len(columns) != 1:
        raise VolumeError(VolumeReason.NO_GEOMETRY)
    return int(rows[0]), int(columns[0])


def keys_of(image: "Dataset", frame: int) -> Keys:
    """Return what may tell a frame from another one at the same position, what says most first."""
    found: Keys = {}
    for keyword, sequence in _APART:
        group = functional_item(image, frame, sequence) if sequence else image
        item = group if keyword in group else image
        if words := _words(item, keyword):
            figures = numbers(item, keyword)
            found[keyword] = figures[0] if len(figures) == 1 else "\\".join(words)
    return found


def _words(item: "Dataset", keyword: str) -> list[str]:
    value = item.get(keyword)
    if value is None or value == "":
        return []
    return [str(part) for part in value] if isinstance(value, MutableSequence) else [str(value)]
