"""How closely the pixels of an object must be looked at before they may be passed on, from its header alone.

Burned In Annotation (0028,0301) is believed when it says YES and never when it says NO.
"""

from enum import StrEnum

from pydicom.dataset import Dataset

from firstread.dicom.metadata import text
from firstread.dicom.reader import DicomFile

_PROJECTION_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
        "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
        "1.2.840.10008.5.1.4.1.1.1.1.1",  # Digital X-Ray, for processing
        "1.2.840.10008.5.1.4.1.1.1.2",  # Digital Mammography X-Ray, for presentation
        "1.2.840.10008.5.1.4.1.1.1.2.1",  # Digital Mammography X-Ray, for processing
    }
)
DETECTOR_CLASSES = _PROJECTION_CLASSES | frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4",  # MR
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.20",  # Nuclear Medicine
        "1.2.840.10008.5.1.4.1.1.128",  # PET
        "1.2.840.10008.5.1.4.1.1.130",  # Enhanced PET
    }
)
"""SOP classes whose pixels come from a detector: text in them is the exception, not the habit (PS3.4 B.5)."""

# Made by software, of labels or doses: no screen, no camera, and no habit of text either.
_COMPUTED_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
        "1.2.840.10008.5.1.4.1.1.481.2",  # RT Dose
    }
)
# Values of Image Type (0008,0008) that vendors give to screens and reports stored under a detector's class.
_SCREENS = frozenset({"SCREEN SAVE", "SCREENSHOT", "REPORT", "POSDISP", "SECONDARY CAPTURE", "PROTOCOL"})
_GRAYSCALE = frozenset({"MONOCHROME1", "MONOCHROME2"})


class Look(StrEnum):
    """How closely pixels must be looked at.

    `NOTHING_TO_SEE`: no pixels. `PREFILTER`: text would be an exception; the cheap look
    at every frame decides, and the detector of text sees what it stops. `DETECTOR`: the detector sees every frame.
    """

    NOTHING_TO_SEE = "nothing_to_see"
    PREFILTER = "prefilter"
    DETECTOR = "detector"


def look(file: DicomFile) -> Look:
    """Decide how closely the pixels of an object must be looked at.

    Parameters
    ----------
    file
        As it arrived.
    """
    if not file.has_pixels:
        return Look.NOTHING_TO_SEE
    return Look.PREFILTER if is_acquired(file.dataset) else Look.DETECTOR


def is_acquired(dataset: Dataset) -> bool:
    """Tell whether the pixels of an object come from a detector, and not from a screen of any kind.

    Parameters
    ----------
    dataset
        The header.

    Returns
    -------
    bool
        True for grayscale images of `DETECTOR_CLASSES`, segmentations and doses, unless Image Type names a screen or
        a secondary capture, or Burned In Annotation says YES.
    """
    kind = {part.strip() for part in text(dataset, "ImageType").upper().split("\\")}
    return (
        text(dataset, "SOPClassUID") in DETECTOR_CLASSES | _COMPUTED_CLASSES
        and text(dataset, "BurnedInAnnotation").upper() != "YES"
        and not kind & _SCREENS
        and text(dataset, "PhotometricInterpretation").upper() in _GRAYSCALE
    )


def is_projection(dataset: Dataset) -> bool:
    """Tell whether an image is a radiograph: those are turned after acquisition, text included.

    Parameters
    ----------
    dataset
        The header.
    """
    return text(dataset, "SOPClassUID") in _PROJECTION_CLASSES
