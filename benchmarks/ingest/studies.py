"""Studies of realistic size, made quickly: one encoded template per modality, in which UIDs are replaced by bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from io import BytesIO

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundImageStorage,
)

_UID_DIGITS = 40  # after the root: enough for any number, and always as many
_ROOT = "2.25."


@dataclass(frozen=True)
class Kind:
    """One kind of study of the hospital profile.

    Parameters
    ----------
    per_hour
        Studies in the stress hour (Guy's and St Thomas', MONAI Deploy performance tests).
    images
        Instances per study.
    rows, columns
        Size of one, 16 bits per sample, or 8 for ultrasound.
    """

    modality: str
    sop_class: UID
    per_hour: float
    images: int
    rows: int
    columns: int
    body_part: str


PROFILE = (
    Kind("DX", DigitalXRayImageStorageForPresentation, 180, 2, 2048, 2048, "CHEST"),
    Kind("US", UltrasoundImageStorage, 75, 6, 768, 1024, "ABDOMEN"),
    Kind("CT", CTImageStorage, 45, 324, 512, 512, "CHEST"),
    Kind("MR", MRImageStorage, 37.5, 120, 320, 320, "HEAD"),
)


def by_modality(modality: str) -> Kind:
    return next(kind for kind in PROFILE if kind.modality == modality)


@dataclass(frozen=True)
class Image:
    """One instance, as the bytes of a Part 10 file."""

    study_uid: str
    sop_uid: str
    data: bytes


def images(kind: Kind, number: int) -> Iterator[Image]:
    """Yield the instances of the study of that number; another number, another patient, other UIDs."""
    head, tail = _template(kind)
    study = _uid(1, number, 0)
    for index in range(kind.images):
        sop = _uid(3, number, index)
        made = head
        for old, new in (
            (_uid(1, 0, 0), study),
            (_uid(2, 0, 0), _uid(2, number, 0)),
            (_uid(3, 0, 0), sop),
            ("PATIENT000000000", f"PATIENT{number:09d}"),
            ("INSTANCE00000", f"INSTANCE{index:05d}"),
        ):
            made = made.replace(old.encode(), new.encode())
        yield Image(study, sop, made + tail)


def _uid(level: int, number: int, index: int) -> str:
    return _ROOT + f"{level}{number:020d}{index:019d}"


@lru_cache
def _template(kind: Kind) -> tuple[bytes, bytes]:
    """Return header and pixel data of the study of number 0."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = kind.sop_class
    meta.MediaStorageSOPInstanceUID = UID(_uid(3, 0, 0))
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    today = datetime.now(UTC)
    values: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "SOPClassUID": kind.sop_class,
        "SOPInstanceUID": _uid(3, 0, 0),
        "StudyDate": f"{today:%Y%m%d}",
        "StudyTime": f"{today:%H%M%S}",
        "AccessionNumber": "PATIENT000000000",
        "Modality": kind.modality,
        "Manufacturer": "Benchmark",
        "InstitutionName": "Benchmark Hospital",
        "ReferringPhysicianName": "Quimby^Theodora",
        "StudyDescription": f"{kind.body_part} routine",
        "SeriesDescription": "Benchmark series",
        "PatientName": "Benchmark^PATIENT000000000",
        "PatientID": "PATIENT000000000",
        "PatientBirthDate": f"{today.year - 4}0101",
        "PatientSex": "F",
        "PatientAge": "004Y",
        "BodyPartExamined": kind.body_part,
        "ViewPosition": "AP" if kind.modality == "DX" else "",
        "StudyInstanceUID": _uid(1, 0, 0),
        "SeriesInstanceUID": _uid(2, 0, 0),
        "StudyID": "1",
        "SeriesNumber": "1",
        "ImageComments": "INSTANCE00000",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": kind.rows,
        "Columns": kind.columns,
        "PixelRepresentation": 0,
    }
    bits = 8 if kind.modality == "US" else 12
    values |= {"BitsAllocated": 8 if bits == 8 else 16, "BitsStored": bits, "HighBit": bits - 1}
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    pixels = _pixels(kind, bits)
    dataset.PixelData = pixels
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    target = BytesIO()
    dcmwrite(target, dataset, enforce_file_format=True)
    data = target.getvalue()
    return data[: -len(pixels)], data[-len(pixels) :]


def _pixels(kind: Kind, bits: int) -> bytes:
    """Return a soft shape with noise: nothing that looks like text, and nothing that compresses to nothing."""
    y, x = np.mgrid[-1 : 1 : complex(0, kind.rows), -1 : 1 : complex(0, kind.columns)]
    shape = np.clip(1.2 - np.hypot(x, 1.2 * y), 0, 1)
    noise = np.random.default_rng(0).normal(0, 0.01, shape.shape)
    scaled = np.clip(shape * 0.7 + 0.1 + noise, 0, 1) * (2**bits - 1)
    encoded: bytes = scaled.astype(np.uint8 if bits == 8 else "<u2").tobytes()
    return encoded
