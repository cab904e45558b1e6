"""What a correction of patient or order leaves alone, as digests: the geometry and meaning, and the pixels.

A hospital corrects a name or an order and sends its images again, a PACS sends them in another transfer syntax. Both
are the same images; other pixels or another geometry under the same UID are not.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from firstread.deid.vault.modules import PATIENT_MODULE, STUDY_MODULE
from firstread.dicom.reader import DicomFile
from firstread.dicom.silence import quiet
from firstread.dicom.spans import chunks

if TYPE_CHECKING:
    from hashlib import _Hash

# Whose study it is, who ordered it, and how it travelled. The whole of group 0010 is the patient's (PS3.3 C.7.1,
# C.7.2.2), groups 0032 and 0038 are the order's and the visit's (C.3.4, C.4.11).
_OF_PATIENT_AND_ORDER = (
    PATIENT_MODULE
    | STUDY_MODULE
    | frozenset(
        Tag(keyword)
        for keyword in (
            "SpecificCharacterSet InstanceCoercionDateTime RetrieveAETitle InstitutionalDepartmentName InstitutionName "
            "InstitutionAddress InstitutionCodeSequence StationName PerformingPhysicianName OperatorsName "
            "ReferencedPerformedProcedureStepSequence OriginalAttributesSequence ModifiedAttributesSequence "
            "DigitalSignaturesSequence MACParametersSequence RequestedProcedurePriority NumberOfStudyRelatedSeries "
            "NumberOfStudyRelatedInstances NumberOfSeriesRelatedInstances DataSetTrailingPadding "
            "RequestedProcedureID ScheduledProcedureStepID"
        ).split()
    )
) - {Tag("StudyInstanceUID")}
_GROUPS = frozenset({0x0002, 0x0010, 0x0032, 0x0038})
# How pixels are encoded, which changes with the transfer syntax (PS3.5 8.2).
_ENCODING = frozenset(
    Tag(keyword)
    for keyword in (
        "SamplesPerPixel PhotometricInterpretation PlanarConfiguration BitsAllocated BitsStored HighBit "
        "PixelRepresentation LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod "
        "ExtendedOffsetTable ExtendedOffsetTableLengths SmallestImagePixelValue LargestImagePixelValue"
    ).split()
)


@dataclass(frozen=True)
class Core:
    """Two digests in hexadecimal (SHA-256).

    Parameters
    ----------
    header
        Of everything that is neither the patient's, nor the order's, nor about the encoding of pixels.
    pixels
        Of the pixel data as it is encoded, with the attributes that say how.
    """

    header: str
    pixels: str


def core_of(file: DicomFile) -> Core:
    """Return the digests of a file; its dataset as it arrived, before anything is changed in it."""
    header, encoding = hashlib.sha256(), hashlib.sha256()
    with quiet():
        for tag in sorted(file.dataset.keys()):
            if tag in _ENCODING:
                _add(encoding, file.dataset, tag)
            elif tag.group not in _GROUPS and tag.element != 0 and tag not in _OF_PATIENT_AND_ORDER:
                _add(header, file.dataset, tag)
    span = file.pixels
    start = span.start
    if span.length is None:
        encoding.update(file.transfer_syntax.encode())
    else:
        start = span.stop - span.length  # the element's head is longer where its VR is said
    for chunk in chunks(file.source, start, span.stop):
        encoding.update(chunk)
    return Core(header.hexdigest(), encoding.hexdigest())


def _add(digest: "_Hash", item: Dataset, tag: BaseTag) -> None:
    """Add an element: its tag and its value as encoded, without the VR, which implicit VR does not have."""
    element: DataElement | RawDataElement = item.get_item(tag)
    digest.update(f"({int(tag):08x}".encode())
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
        digest.update(element.value.rstrip(b" \0"))
    elif element.VR == "SQ":
        for child in item[tag].value or ():
            digest.update(b"[")
            for each in sorted(child.keys()):
                if each not in _OF_PATIENT_AND_ORDER:
                    _add(digest, child, each)
    else:
        digest.update(_encoded(element).rstrip(b" \0"))
    digest.update(b")")


def _encoded(element: DataElement | RawDataElement) -> bytes:
    """Return the value of an element that somebody has decoded, as it was encoded in Little Endian.

    In implicit VR the reader itself had to look into UIDs and the numbers of the image.
    """
    value = element.value
    if isinstance(value, bytes):
        return value
    values = list(value) if isinstance(value, MultiValue) else [] if value is None else [value]
    if element.VR == "US" and all(isinstance(each, int) for each in values):
        return struct.pack(f"<{len(values)}H", *values)
    return "\\".join(str(each) for each in values).encode()
