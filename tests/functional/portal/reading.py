"""A study whose files say what the records say, and readers at it."""

from collections.abc import Sequence
from typing import Any

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from firstread.result import Code, Finding, OperatingPoint
from firstread.study import Risk
from tests.functional.portal.seeding import uid
from tests.support.dicoms import PIXELS, header

OPACITY = Code(value="128309002", scheme="SCT", meaning="Opacity")
LUNG = Code(value="39607008", scheme="SCT", meaning="Lung")
POINT = OperatingPoint(threshold=0.43, chosen_on="validation", sensitivity=0.94, specificity=0.87)
Json = dict[str, Any]


def tracking(number: int) -> str:
    """Return the tracking UID of a finding of these tests."""
    return f"2.25.{9000 + number}"


def finding(number: int, sop_uid: str, probability: float = 0.9, **values: object) -> Finding:
    """Return a finding of the chest model."""
    made = Finding(
        label="Pulmonary opacity",
        code=OPACITY,
        site=LUNG,
        probability=probability,
        operating_point=POINT,
        risk=Risk.HIGH if probability >= POINT.threshold else Risk.NOT_FLAGGED,
        sop_uid=sop_uid,
        tracking_uid=tracking(number),
    )
    return made.model_copy(update=values)


def radiograph(count: int = 1) -> list[Dataset]:
    """Return computed radiographs of 8 x 8 pixels, de-identified."""
    found = []
    for _ in range(count):
        dataset = header(
            PatientName="FR-00001-X",
            PatientID="FR-00001-X",
            AccessionNumber="",
            PatientBirthDate="",
            PatientOrientation=["L", "F"],
            StudyID="1",
            ReferringPhysicianName="",
        )
        dataset.PixelData = PIXELS
        dataset.file_meta = _meta(dataset)
        found.append(dataset)
    return found


def slices(count: int = 3) -> list[Dataset]:
    """Return slices of a CT, in a frame of reference."""
    found = []
    for number in range(count):
        dataset = Dataset()
        template = _ct()
        for element in template:
            dataset.add(element)
        dataset.PatientName = dataset.PatientID = "FR-00002-Q"
        dataset.InstanceNumber = number + 1
        dataset.ImagePositionPatient = [-158.1, -179.0, -75.7 + 5.0 * number]
        dataset.file_meta = _meta(dataset)
        found.append(dataset)
    return found


def _ct() -> Dataset:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    dataset = dcmread(path)
    dataset.remove_private_tags()
    return dataset


def _meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return meta


def consistent(images: Sequence[Dataset], count: int) -> list[Dataset]:
    """Give images the UIDs under which `Hospital` will record them, as the study of that number."""
    for index, dataset in enumerate(images, start=1):
        study = uid(count)
        series = int(dataset.get("SeriesNumber") or 1)
        dataset.preamble = bytes(128)
        dataset.StudyInstanceUID = study
        dataset.SeriesInstanceUID = f"{study}.{series}"
        dataset.SOPInstanceUID = f"{study}.{series}.{index}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return list(images)
