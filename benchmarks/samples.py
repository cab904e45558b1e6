"""Files to measure with: a CT series as scanners write it, pydicom's samples, one large multi-frame file."""

import random
from pathlib import Path
from shutil import copyfile

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

from firstread.dicom.silence import quiet

_PRIVATE = 60
_SIDE = 512
_ROOT = "1.2.826.0.1.3680043.10.1462"


def ct_series(folder: Path, slices: int = 300) -> list[Path]:
    """Write a CT series of 16 bit, 512 x 512, each slice with private and nested elements."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    body = _body(rng)
    paths = []
    for number in range(slices):
        dataset = _slice(number, random.Random(number))
        noise = rng.normal(0, 12, body.shape)
        dataset.PixelData = np.clip(body + noise, 0, 4095).astype("<u2").tobytes()
        paths.append(folder / f"slice-{number:04d}.dcm")
        _save(dataset, paths[-1])
    return paths


def multi_frame(path: Path, frames: int = 500) -> Path:
    """Write one Enhanced CT of 512 x 512, 16 bit: 262 MB with 500 frames."""
    rng = np.random.default_rng(2)
    body = _body(rng)
    dataset = _slice(0, random.Random(0))
    dataset.SOPClassUID = EnhancedCTImageStorage
    dataset.NumberOfFrames = frames
    few = [np.clip(body + rng.normal(0, 12, body.shape), 0, 4095).astype("<u2").tobytes() for _ in range(10)]
    # Every frame is another one: ten pictures, each numbered in its first bytes.
    dataset.PixelData = b"".join(
        number.to_bytes(2, "little") + few[number % len(few)][2:] for number in range(frames)
    )
    _save(dataset, path)
    return path


def pydicom_files(folder: Path) -> list[Path]:
    """Copy the DICOM files that come with pydicom."""
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(pydicom.__file__).parent / "data" / "test_files"
    paths = []
    for path in sorted(source.glob("*.dcm")):
        paths.append(folder / path.name)
        copyfile(path, paths[-1])
    return paths


def _body(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:_SIDE, :_SIDE]
    inside = ((x - 256) / 200) ** 2 + ((y - 256) / 140) ** 2 < 1
    spots = sum(
        np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * s * s)) * h
        for cx, cy, s, h in rng.uniform((100, 150, 5, -300), (400, 350, 40, 900), (12, 4))
    )
    return np.where(inside, 1040 + spots, 24)


def _slice(number: int, rng: random.Random) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(f"{_ROOT}.9.{number + 1}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.update(_who())
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.InstanceNumber = number + 1
    dataset.SliceLocation = f"{number * 1.25:.2f}"
    dataset.ImagePositionPatient = ["-170.5", "-160.25", f"{-300 + number * 1.25:.2f}"]
    dataset.ContentTime = f"1012{number % 60:02d}.500000"
    dataset.ReferencedImageSequence = [_reference(number) for _ in range(2)]
    dataset.RequestAttributesSequence = [_request()]
    dataset.ProcedureCodeSequence = [_code("24627-2", "LN", "CT Chest")]
    _private(dataset, rng)
    return dataset


def _who() -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20240318"
    dataset.StudyTime = dataset.SeriesTime = "101200"
    dataset.AccessionNumber = "A20240318-77"
    dataset.Modality, dataset.Manufacturer = "CT", "Acme Medical"
    dataset.InstitutionName = "St. Elsewhere Hospital"
    dataset.ReferringPhysicianName = "Westphall^Donald^^Dr"
    dataset.StationName, dataset.StudyDescription = "CTAWP4711", "CT Thorax, 6 mm nodule, Quimby"
    dataset.SeriesDescription, dataset.ManufacturerModelName = "AX THIN 1.25 B30f", "Scanner 64"
    dataset.OperatorsName = "Morrison^Jack"
    dataset.PatientName, dataset.PatientID = "Quimby^Louis^Peter", "MRN0047110815"
    dataset.IssuerOfPatientID = "ELSEWHERE"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19600229", "M", "064Y"
    dataset.PatientSize, dataset.PatientWeight = "1.78", "81"
    dataset.BodyPartExamined, dataset.SliceThickness, dataset.KVP = "CHEST", "1.25", "120"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "SN123456", "syngo 2024A"
    dataset.ProtocolName, dataset.ConvolutionKernel = "Thorax routine", "B30f"
    dataset.PatientPosition = "HFS"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID(f"{_ROOT}.1"), UID(f"{_ROOT}.2")
    dataset.FrameOfReferenceUID = UID(f"{_ROOT}.3")
    dataset.StudyID, dataset.SeriesNumber, dataset.AcquisitionNumber = "S1", 3, 1
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns, dataset.PixelSpacing = _SIDE, _SIDE, ["0.68", "0.68"]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = ["40", "-600"], ["400", "1500"]
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
    return dataset


def _reference(number: int) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, UID(f"{_ROOT}.8.{number + 1}")
    return item


def _request() -> Dataset:
    item = Dataset()
    item.RequestedProcedureDescription = "CT Thorax for Quimby"
    item.RequestedProcedureID, item.ScheduledProcedureStepID = "RP998877", "SPS1"
    item.ScheduledProtocolCodeSequence = [_code("24627-2", "LN", "CT Chest")]
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _private(dataset: Dataset, rng: random.Random) -> None:
    block = dataset.private_block(0x0029, "ACME CT HEADER", create=True)
    for number in range(_PRIVATE):
        if number % 3 == 0:
            block.add_new(number, "OB", rng.randbytes(64))
        else:
            block.add_new(number, "LO", f"value {rng.random():.6f} of Quimby")


def _save(dataset: FileDataset, path: Path) -> None:
    with quiet():
        dataset.save_as(path, enforce_file_format=True)
