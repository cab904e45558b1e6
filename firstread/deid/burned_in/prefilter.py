"""A cheap look that tells frames without any trace of text from those an expensive detector must see.

Letters are many small steps of brightness beside each other: up and down again within a few pixels, several times
in a row. Anatomy has edges too, but few such strokes close together.
"""

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from firstread.deid.burned_in.boxes import Image
from firstread.dicom.metadata import text

# SOP classes whose pixels come from a detector (PS3.4 B.5). Ultrasound, secondary capture, visible light, and
# whatever else is made on a screen are always looked at.
_DETECTOR_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
        "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
        "1.2.840.10008.5.1.4.1.1.1.1.1",  # Digital X-Ray, for processing
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4",  # MR
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.128",  # PET
    }
)
_STEP = 16  # of 255: a fainter text is not seen by the detector either
_WIDEST_STROKE = 6
_CELL_ROWS, _CELL_COLUMNS = 6, 24
_STROKES = 20


def may_skip(dataset: Dataset) -> bool:
    """Tell whether frames of an object may be passed over: acquired by a detector, and no screen of any kind.

    Parameters
    ----------
    dataset
        The header.
    """
    kind = {part.strip() for part in text(dataset, "ImageType").upper().split("\\")}
    return (
        text(dataset, "SOPClassUID") in _DETECTOR_CLASSES
        and text(dataset, "BurnedInAnnotation").upper() != "YES"
        and {"ORIGINAL", "PRIMARY"} <= kind
        and text(dataset, "PhotometricInterpretation").upper() in ("MONOCHROME1", "MONOCHROME2")
    )


def may_have_text(image: Image) -> bool:
    """Tell whether a frame has anything like a line of letters.

    Parameters
    ----------
    image
        8 bit, rows x columns or rows x columns x 3.
    """
    gray = image if image.ndim == 2 else image.max(axis=2)
    return _densest(gray) >= _STROKES or _densest(gray.T) >= _STROKES


def _densest(gray: Image) -> int:
    """Return the most strokes found in one cell of the size of a few small letters."""
    return int(_cells(_strokes(gray)).max(initial=0))


def _strokes(gray: Image) -> npt.NDArray[np.bool_]:
    """Return where brightness rises or falls, and does the opposite within the width of a stroke."""
    found = np.zeros(gray.shape, dtype=bool)
    if gray.shape[1] <= _WIDEST_STROKE + 2:
        return found
    step = gray[:, 2:].astype(np.int16) - gray[:, :-2]
    for up, down in ((step >= _STEP, step <= -_STEP), (step <= -_STEP, step >= _STEP)):
        for width in range(2, _WIDEST_STROKE + 1):
            found[:, 2 : step.shape[1] - width + 2] |= up[:, :-width] & down[:, width:]
    return found


def _cells(found: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Count in cells that overlap by half, so that no text lies between two."""
    total = np.zeros((found.shape[0] + 1, found.shape[1] + 1), dtype=np.int64)
    total[1:, 1:] = found.cumsum(axis=0).cumsum(axis=1)
    rows = np.arange(0, found.shape[0], _CELL_ROWS // 2)
    columns = np.arange(0, found.shape[1], _CELL_COLUMNS // 2)
    last_rows = np.minimum(rows + _CELL_ROWS, found.shape[0])
    last_columns = np.minimum(columns + _CELL_COLUMNS, found.shape[1])
    return np.asarray(
        total[np.ix_(last_rows, last_columns)]
        - total[np.ix_(rows, last_columns)]
        - total[np.ix_(last_rows, columns)]
        + total[np.ix_(rows, columns)]
    )
