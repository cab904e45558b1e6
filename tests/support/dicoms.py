"""DICOM files made for tests: good ones by pydicom, hostile ones byte by byte."""

import struct
import zlib
from collections.abc import Callable, Iterable
from io import BytesIO

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from firstread.dicom.silence import quiet

PIXELS = struct.pack("<64H", *range(1000, 1064))  # a ramp: nothing that looks like letters
UNDEFINED = 0xFFFFFFFF
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})


def header(**values: object) -> Dataset:
    """Return the header of a small computed radiograph; `None` leaves an attribute out."""
    dataset = Dataset()
    defaults: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "SOPClassUID": ComputedRadiographyImageStorage,
        "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.1.3",
        "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.1.1",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.1.2",
        "StudyDate": "20040826",
        "StudyTime": "185434",
        "AccessionNumber": "ACC4711",
        "Modality": "CR",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientName": "Quimby^Theodora",
        "PatientID": "MRN-998877",
        "PatientBirthDate": "19620503",
        "PatientSex": "F",
        "PatientAge": "042Y",
        "StudyDescription": "Chest PA",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 8,
        "Columns": 8,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
    }
    with quiet():  # tests write what no writer should
        for keyword, value in (defaults | values).items():
            if value is not None:
                setattr(dataset, keyword, value)
    return dataset


def encode(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian, pixels: bytes | None = PIXELS) -> bytes:
    """Return a dataset as a Part 10 file; `dataset` is left as it is."""
    file = FileDataset("", dict(dataset._dict), preamble=b"\x00" * 128)
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = syntax
    file.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "1.2")
    file.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2")
    if pixels is not None:
        if syntax.is_encapsulated:
            file.PixelData = encapsulate([pixels])
            file["PixelData"].VR = "OB"
            file["PixelData"].is_undefined_length = True
        else:
            file.PixelData = pixels
            file["PixelData"].VR = "OW"
    target = BytesIO()
    with quiet():
        dcmwrite(target, file, enforce_file_format=True)
    return target.getvalue()


SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
)


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """Return one Explicit VR Little Endian element; `length` may lie."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    size = len(value) if length is None else length
    return head + (struct.pack("<HL", 0, size) if vr in _LONG else struct.pack("<H", size)) + value


def implicit_element(tag: int, value: bytes, length: int | None = None) -> bytes:
    """Return one Implicit VR Little Endian element; `length` may lie."""
    size = len(value) if length is None else length
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, size) + value


def text_element(tag: int, vr: str, value: str) -> bytes:
    """Return a text element, padded to even length."""
    raw = value.encode()
    return element(tag, vr, raw + (b"\x00" if vr == "UI" else b" ") * (len(raw) % 2))


def part10(body: bytes, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return a body behind a preamble and a File Meta Information that names `syntax`."""
    meta = text_element(0x00020010, "UI", syntax)
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<L", len(meta))) + meta + body


UIDS = (
    text_element(0x00080016, "UI", ComputedRadiographyImageStorage)
    + text_element(0x00080018, "UI", "1.2.3.4")
    + text_element(0x0020000D, "UI", "1.2.3.1")
    + text_element(0x0020000E, "UI", "1.2.3.2")
)


def image_module(rows: int, columns: int) -> bytes:
    """Return the elements of group 0028 of a 16 bit image, in Explicit VR Little Endian."""
    numbers = ((0x00280002, 1), (0x00280010, rows), (0x00280011, columns), (0x00280100, 16))
    return b"".join(element(tag, "US", struct.pack("<H", value)) for tag, value in numbers)


def nested_undefined(depth: int, tag: int = 0x00081140) -> bytes:
    """Return sequences and items of undefined length, `depth` deep."""
    opening = element(tag, "SQ", b"", UNDEFINED) + struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED)
    closing = struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return opening * depth + closing * depth


def nested_defined(depth: int, tag: int = 0x00081140) -> bytes:
    """Return sequences and items of defined length, `depth` deep."""
    return _nested(depth, lambda value: element(tag, "SQ", value))


def nested_defined_implicit(depth: int, tag: int = 0x00081140) -> bytes:
    """Return Implicit VR sequences and items of defined length, `depth` deep."""
    return _nested(depth, lambda value: implicit_element(tag, value))


def _nested(depth: int, wrap: Callable[[bytes], bytes]) -> bytes:
    value = b""
    for _ in range(depth):
        value = wrap(struct.pack("<HHL", 0xFFFE, 0xE000, len(value)) + value)
    return value


def deflated(body: bytes) -> bytes:
    """Return a body as PS3.5 A.5 wants it."""
    press = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return press.compress(body) + press.flush()


def fragments(parts: Iterable[bytes], *, closed: bool = True) -> bytes:
    """Return an encapsulated Pixel Data element with an empty Basic Offset Table."""
    items = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(part)) + part for part in (b"", *parts))
    end = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0) if closed else b""
    return element(0x7FE00010, "OB", items + end, UNDEFINED)
