"""Which images may carry burned-in text, from the header alone.

Until pixels are looked at by `clean_pixels`, an image that may carry text is held. Burned In Annotation
(0028,0301) is believed when it says YES and never when it says NO.
"""

from collections.abc import Set

from pydicom.dataset import Dataset

from firstread.dicom.metadata import text
from firstread.errors import QuarantineError, Reason

# SOP classes whose pixels come from a detector: text in them is the exception, not the habit (PS3.4 B.5).
_DETECTOR_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
        "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
        "1.2.840.10008.5.1.4.1.1.1.1.1",  # Digital X-Ray, for processing
        "1.2.840.10008.5.1.4.1.1.1.2",  # Digital Mammography X-Ray, for presentation
        "1.2.840.10008.5.1.4.1.1.1.2.1",  # Digital Mammography X-Ray, for processing
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4",  # MR
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.20",  # Nuclear Medicine
        "1.2.840.10008.5.1.4.1.1.128",  # PET
        "1.2.840.10008.5.1.4.1.1.130",  # Enhanced PET
    }
)
# Values of Image Type (0008,0008) that vendors give to screens and reports stored under a detector's class.
_SCREENS = frozenset({"SCREEN SAVE", "SCREENSHOT", "REPORT", "POSDISP", "SECONDARY CAPTURE", "PROTOCOL"})


def check(dataset: Dataset, digest: str, inspected: Set[str]) -> None:
    """Hold an image that may carry burned-in text.

    Parameters
    ----------
    dataset
        The header as it arrived.
    digest
        `DicomFile.digest` of the object.
    inspected
        Digests of objects whose pixels a person has looked at and found free of identifying text.

    Raises
    ------
    QuarantineError
        With `Reason.MAY_CONTAIN_BURNED_IN_TEXT`.
    """
    if digest in inspected:
        return
    image_type = set(text(dataset, "ImageType").upper().split("\\"))
    if (
        text(dataset, "SOPClassUID") not in _DETECTOR_CLASSES
        or text(dataset, "BurnedInAnnotation").upper() == "YES"
        or {part.strip() for part in image_type} & _SCREENS
        or text(dataset, "PhotometricInterpretation").upper() not in ("MONOCHROME1", "MONOCHROME2")
    ):
        raise QuarantineError(Reason.MAY_CONTAIN_BURNED_IN_TEXT)
