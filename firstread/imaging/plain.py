"""Headers of plain files as those who make volumes ask for them, without pydicom: its import alone takes longer.

Explicit VR Little Endian, and elements that mean the same however they are read. All else raises `NotPlainError`, and
pydicom reads the series; what this module does return is what pydicom returns.
"""

import math
import struct
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

from firstread.imaging.elements import (
    IMPLICIT_HEAD,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Head,
    NotDicomError,
    OddError,
    TruncatedError,
    elements,
    turned,
)

HEAD = 32 * 1024
"""Bytes of a file that are enough for most headers of one image."""
EXPLICIT = b"1.2.840.10008.1.2.1"
SYNTAX = 0x0002_0010
PIXELS = (0x7FE0_0008, 0x7FE0_0009, 0x7FE0_0010)
_META, _BEFORE_PIXELS, _BEFORE_DELIMITERS = 0x0002, 0x7FDF, 0xFFFD
_PREFIX_END = 132
_REFERENCES = frozenset({"ReferencedImageSequence", "ReferencedSeriesSequence", "SourceImageSequence"})
_KNOWN = {
    "AcquisitionContrast": (0x0008_9209, b"CS"),
    "AcquisitionNumber": (0x0020_0012, b"IS"),
    "AcquisitionTime": (0x0008_0032, b"TM"),
    "BitsAllocated": (0x0028_0100, b"US"),
    "BitsStored": (0x0028_0101, b"US"),
    "BodyPartExamined": (0x0018_0015, b"CS"),
    "CardiacSynchronizationSequence": (0x0018_9118, b"SQ"),
    "CineRate": (0x0018_0040, b"IS"),
    "Columns": (0x0028_0011, b"US"),
    "ComplexImageComponent": (0x0008_9208, b"CS"),
    "ContentTime": (0x0008_0033, b"TM"),
    "CorrectedImage": (0x0028_0051, b"CS"),
    "DataCollectionDiameter": (0x0018_0090, b"DS"),
    "DecayCorrection": (0x0054_1102, b"CS"),
    "DiffusionBValue": (0x0018_9087, b"FD"),
    "DistanceSourceToDetector": (0x0018_1110, b"DS"),
    "DistanceSourceToPatient": (0x0018_1111, b"DS"),
    "EchoNumbers": (0x0018_0086, b"IS"),
    "EchoTime": (0x0018_0081, b"DS"),
    "EchoTrainLength": (0x0018_0091, b"IS"),
    "EffectiveEchoTime": (0x0018_9082, b"FD"),
    "Exposure": (0x0018_1152, b"IS"),
    "ExposureTime": (0x0018_1150, b"IS"),
    "FlipAngle": (0x0018_1314, b"DS"),
    "FrameContentSequence": (0x0020_9111, b"SQ"),
    "FrameLaterality": (0x0020_9072, b"CS"),
    "FrameOfReferenceUID": (0x0020_0052, b"UI"),
    "FrameReferenceTime": (0x0054_1300, b"DS"),
    "FrameTime": (0x0018_1063, b"DS"),
    "FrameType": (0x0008_9007, b"CS"),
    "GantryDetectorTilt": (0x0018_1120, b"DS"),
    "HighBit": (0x0028_0102, b"US"),
    "ImageLaterality": (0x0020_0062, b"CS"),
    "ImageOrientationPatient": (0x0020_0037, b"DS"),
    "ImagePositionPatient": (0x0020_0032, b"DS"),
    "ImageType": (0x0008_0008, b"CS"),
    "ImagerPixelSpacing": (0x0018_1164, b"DS"),
    "ImagingFrequency": (0x0018_0084, b"DS"),
    "InPlanePhaseEncodingDirection": (0x0018_1312, b"CS"),
    "InstanceNumber": (0x0020_0013, b"IS"),
    "InversionTime": (0x0018_0082, b"DS"),
    "IssuerOfPatientID": (0x0010_0021, b"LO"),
    "KVP": (0x0018_0060, b"DS"),
    "Laterality": (0x0020_0060, b"CS"),
    "LossyImageCompression": (0x0028_2110, b"CS"),
    "MRAcquisitionType": (0x0018_0023, b"CS"),
    "MRDiffusionSequence": (0x0018_9117, b"SQ"),
    "MREchoSequence": (0x0018_9114, b"SQ"),
    "MRImageFrameTypeSequence": (0x0018_9226, b"SQ"),
    "MagneticFieldStrength": (0x0018_0087, b"DS"),
    "Modality": (0x0008_0060, b"CS"),
    "ModalityLUTSequence": (0x0028_3000, b"SQ"),
    "NominalPercentageOfCardiacPhase": (0x0020_9241, b"FL"),
    "NominalScannedPixelSpacing": (0x0018_2010, b"DS"),
    "NumberOfAverages": (0x0018_0083, b"DS"),
    "NumberOfFrames": (0x0028_0008, b"IS"),
    "PatientID": (0x0010_0020, b"LO"),
    "PatientPosition": (0x0018_5100, b"CS"),
    "PerFrameFunctionalGroupsSequence": (0x5200_9230, b"SQ"),
    "PhotometricInterpretation": (0x0028_0004, b"CS"),
    "PixelBandwidth": (0x0018_0095, b"DS"),
    "PixelMeasuresSequence": (0x0028_9110, b"SQ"),
    "PixelRepresentation": (0x0028_0103, b"US"),
    "PixelSpacing": (0x0028_0030, b"DS"),
    "PixelValueTransformationSequence": (0x0028_9145, b"SQ"),
    "PlaneOrientationSequence": (0x0020_9116, b"SQ"),
    "PlanePositionSequence": (0x0020_9113, b"SQ"),
    "PresentationIntentType": (0x0008_0068, b"CS"),
    "ReconstructionDiameter": (0x0018_1100, b"DS"),
    "ReferencedImageSequence": (0x0008_1140, b"SQ"),
    "ReferencedSOPInstanceUID": (0x0008_1155, b"UI"),
    "ReferencedSeriesSequence": (0x0008_1115, b"SQ"),
    "RepetitionTime": (0x0018_0080, b"DS"),
    "RescaleIntercept": (0x0028_1052, b"DS"),
    "RescaleSlope": (0x0028_1053, b"DS"),
    "RescaleType": (0x0028_1054, b"LO"),
    "RevolutionTime": (0x0018_9305, b"FD"),
    "Rows": (0x0028_0010, b"US"),
    "SOPClassUID": (0x0008_0016, b"UI"),
    "SOPInstanceUID": (0x0008_0018, b"UI"),
    "SamplesPerPixel": (0x0028_0002, b"US"),
    "ScanningSequence": (0x0018_0020, b"CS"),
    "SequenceOfUltrasoundRegions": (0x0018_6011, b"SQ"),
    "SequenceVariant": (0x0018_0021, b"CS"),
    "SeriesDescription": (0x0008_103E, b"LO"),
    "SeriesInstanceUID": (0x0020_000E, b"UI"),
    "SeriesNumber": (0x0020_0011, b"IS"),
    "SharedFunctionalGroupsSequence": (0x5200_9229, b"SQ"),
    "SingleCollimationWidth": (0x0018_9306, b"FD"),
    "SliceThickness": (0x0018_0050, b"DS"),
    "SourceImageSequence": (0x0008_2112, b"SQ"),
    "SpacingBetweenSlices": (0x0018_0088, b"DS"),
    "SpiralPitchFactor": (0x0018_9311, b"FD"),
    "StackID": (0x0020_9056, b"SH"),
    "StudyDate": (0x0008_0020, b"DA"),
    "StudyDescription": (0x0008_1030, b"LO"),
    "StudyInstanceUID": (0x0020_000D, b"UI"),
    "TemporalPositionIdentifier": (0x0020_0100, b"IS"),
    "TemporalPositionIndex": (0x0020_9128, b"UL"),
    "TotalCollimationWidth": (0x0018_9307, b"FD"),
    "TriggerTime": (0x0018_1060, b"DS"),
    "Units": (0x0054_1001, b"CS"),
    "ViewPosition": (0x0018_5101, b"CS"),
    "XRayTubeCurrent": (0x0018_1151, b"IS"),
}
"""Keywords that are asked for, their tags and VRs."""
_WANTED = frozenset(turned(tag) for tag, _ in _KNOWN.values())
_TEXTS = frozenset({b"CS", b"LO", b"SH", b"TM", b"UI"})
_BINARY = {b"FD": "d", b"FL": "f", b"UL": "I", b"US": "H"}


class NotPlainError(Exception):
    """What pydicom should read; it carries nothing of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the value of an element is.

    Parameters
    ----------
    vr
        Value representation.
    start, length
        Of the value; `UNDEFINED` where a delimiter ends it.
    """

    vr: bytes
    start: int
    length: int


def gather(
    head: Head,
    at: int,
    *,
    wanted: Container[int] | None = None,
    last: int = 0xFFFF,
    end: int | None = None,
) -> dict[int, Place]:
    """Return elements from an offset on by their tags; `Head.end` then says where the next one begins.

    Raises
    ------
    OddError, TruncatedError
        As `elements`, and if one comes twice.
    """
    found: dict[int, Place] = {}
    for key, code, start, length in elements(head, at, explicit=True, wanted=wanted, last=last, end=end):
        tag = turned(key)
        if tag in found:
            raise OddError
        found[tag] = Place(code.to_bytes(2, "little"), start, length)
    return found


class PlainHeader:
    """A header that is asked as a `pydicom.dataset.Dataset` is: `get`, `in`, and `numbers` of `lookup`.

    Parameters
    ----------
    data
        Bytes.
    places
        Where in them the elements are.
    end
        Where the element of the pixels begins.
    """

    def __init__(self, data: bytes, places: dict[int, Place], end: int = 0) -> None:
        self._data, self._places, self.end = data, places, end

    @property
    def file_meta(self) -> dict[str, str]:
        """Return what of the file meta information is known: of plain files, the transfer syntax."""
        return {"TransferSyntaxUID": EXPLICIT.decode()}

    def __contains__(self, keyword: str) -> bool:
        """Return whether an element is there."""
        return self._known(keyword)[1] is not None

    def get(self, keyword: str, default: object = None) -> Any:  # noqa: ANN401 - as of a Dataset
        """Return the value of an element: a text, several, or the items of a reference.

        Raises
        ------
        NotPlainError
            If it is none of these.
        """
        vr, place = self._known(keyword)
        if place is None:
            return default
        if vr in _TEXTS:
            return _text(self._value(place))
        if keyword in _REFERENCES:
            return self._items(place)
        raise NotPlainError

    def text(self, keyword: str) -> str | None:
        """Return the value of an element as it is written, whatever characters it has; None where there is none."""
        place = self._places.get(_KNOWN[keyword][0])
        return None if place is None else self._value(place).decode("latin-1").strip(" \0")

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return the finite numbers of an element; () where it is absent or empty, or one is not finite.

        Raises
        ------
        NotPlainError
            If it has none.
        """
        vr, place = self._known(keyword)
        if place is None or not place.length:
            return ()
        value = self._value(place)
        try:
            if vr in (b"DS", b"IS"):
                read: Callable[[bytes], float] = float if vr == b"DS" else int
                found = tuple(float(read(each)) for each in value.split(b"\\"))
            else:
                kind = _BINARY[vr]
                found = tuple(
                    map(float, struct.unpack(f"<{len(value) // struct.calcsize(kind)}{kind}", value))
                )
        except (KeyError, ValueError, OverflowError, struct.error):
            raise NotPlainError from None
        if b"_" in value and vr in (b"DS", b"IS"):  # which Python takes, and pydicom as well, as it happens
            raise NotPlainError
        return found if all(map(math.isfinite, found)) else ()

    def _known(self, keyword: str) -> tuple[bytes, Place | None]:
        if keyword not in _KNOWN:
            raise NotPlainError
        tag, vr = _KNOWN[keyword]
        place = self._places.get(tag)
        if place is not None and place.vr != vr:
            raise NotPlainError
        return vr, place

    def _value(self, place: Place) -> bytes:
        return self._data[place.start : place.start + place.length]

    def _items(self, place: Place) -> list["PlainHeader"]:
        head = Head.of(self._data)
        at, end = place.start, place.start + place.length
        made: list[PlainHeader] = []
        try:
            while place.length == UNDEFINED or at < end:
                key, length = IMPLICIT_HEAD(self._data, at)
                at += 8
                if key == SEQUENCE_END and place.length == UNDEFINED:
                    return made
                if key != ITEM:
                    raise NotPlainError
                whole = length != UNDEFINED
                places = gather(head, at, last=_BEFORE_DELIMITERS, end=at + length if whole else None)
                if not whole and IMPLICIT_HEAD(self._data, head.end) != (ITEM_END, 0):
                    raise NotPlainError
                if whole and head.end != at + length:
                    raise NotPlainError
                at = head.end if whole else head.end + 8
                made.append(PlainHeader(self._data, places))
        except (OddError, TruncatedError, struct.error):
            raise NotPlainError from None
        if at != end:
            raise NotPlainError
        return made


def _text(value: bytes) -> str | list[str]:
    """Return a text or several, without what pads them."""
    padded = value.rstrip(b" \0")
    parts = padded.split(b"\\")
    odd = not value.isascii() or b"\x1b" in value or any(each != each.strip(b" \0\t\r\n") for each in parts)
    if odd or len(value) - len(padded) > 1:
        raise NotPlainError
    texts = [each.decode("ascii") for each in parts]
    return texts if len(texts) > 1 else texts[0]


def plain_header(head: bytes) -> PlainHeader:
    """Return the header of a file before its pixels.

    Parameters
    ----------
    head
        Its first bytes.

    Raises
    ------
    NotPlainError
        If it is not plain, or the bytes end before its pixels.
    """
    _, places, end = header_places(head, _WANTED)
    found = PlainHeader(head[: end + 12], places, end)
    if "MOSAIC" in (found.get("ImageType") or ()):  # whose slices are in a private header
        raise NotPlainError
    return found


def header_places(
    data: bytes, wanted: Container[int] | None = None
) -> tuple[dict[int, Place], dict[int, Place], int]:
    """Return where the elements of the file meta information and of the header are, and where the pixels begin.

    Parameters
    ----------
    data
        The first bytes of a file.
    wanted
        Which elements of the header, as for `elements`; all, where it is None.

    Raises
    ------
    NotPlainError
        If there is no prefix, the transfer syntax is not Explicit VR Little Endian, or the bytes end.
    """
    try:
        head = Head.of(data)
        meta = gather(head, _PREFIX_END, last=_META)
        syntax = meta[SYNTAX]
        if data[syntax.start : syntax.start + syntax.length].rstrip(b" \0") != EXPLICIT:
            raise NotPlainError
        places = gather(head, head.end, wanted=wanted, last=_BEFORE_PIXELS)
        key, _ = IMPLICIT_HEAD(data, head.end)
        if turned(key) not in PIXELS or any(tag >> 16 != _META for tag in meta):
            raise NotPlainError
        return meta, places, head.end
    except (KeyError, NotDicomError, OddError, TruncatedError, struct.error):
        raise NotPlainError from None
