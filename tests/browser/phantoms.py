"""Studies whose pixels, directions and spacings are known: what the viewer has to show right."""

import hashlib
import io
import warnings

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.seg.enum import SegmentAlgorithmTypeValues, SegmentationTypeValues
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from firstread import storage
from firstread.records.instances import InstanceRepository
from firstread.records.studies import StudyRepository
from firstread.result import Code, Finding, ObjectKind, Region, ResultObject
from tests.functional.portal.seeding import RESULTS, STUDIES, Hospital

SIDE = 128
FRAME_OF_REFERENCE = "2.25.7001777"


def image(values: np.ndarray, **attributes: object) -> Dataset:
    """Return a projection of 16 bits; attributes are set as they are given."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.preamble = b"\0" * 128
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.Modality = "CR"
    dataset.BodyPartExamined = "CHEST"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = values.astype("<u2").tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def ct(count: int = 12, side: int = SIDE, *, step: float = 2.5, noise: int = 0) -> list[Dataset]:
    """Return axial slices, feet first: water in air, a bright square at the left of the patient that grows."""
    y, x = np.mgrid[0:side, 0:side]
    body = ((x - side / 2) / (0.42 * side)) ** 2 + ((y - side / 2) / (0.34 * side)) ** 2 <= 1
    grain = np.random.default_rng(1)
    slices = []
    for index in range(count):
        values = np.where(body, 1024, 24)
        half = side * (0.04 + 0.04 * index / count)
        values[(abs(x - 0.7 * side) <= half) & (abs(y - side / 2) <= half)] = 1424
        if noise:
            values = values + grain.integers(-noise, noise, values.shape)
        slices.append(
            image(
                values,
                SOPClassUID=CTImageStorage,
                Modality="CT",
                SeriesDescription="Axial",
                PixelSpacing=[1.5, 1.5],
                SliceThickness=step,
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                ImagePositionPatient=[-0.75 * side, -0.75 * side, step * index],
                FrameOfReferenceUID=FRAME_OF_REFERENCE,
                RescaleSlope=1,
                RescaleIntercept=-1024,
                WindowCenter=40,
                WindowWidth=400,
                InstanceNumber=index + 1,
            )
        )
    return slices


def quadrants(rows: int = 100, columns: int = 100) -> np.ndarray:
    """Return 0 at the top left, 3000 at the top right, 1000 and 2000 below."""
    values = np.zeros((rows, columns))
    values[: rows // 2, columns // 2 :] = 3000
    values[rows // 2 :, : columns // 2] = 1000
    values[rows // 2 :, columns // 2 :] = 2000
    return values


def same_patient(one: str, other: str) -> None:
    """Make two studies those of one patient."""
    studies = StudyRepository()
    first = studies.get(one)
    assert first is not None

    def decide(study: object) -> object:
        return study.model_copy(  # type: ignore[attr-defined]
            update={"gathering": study.gathering.model_copy(update={"patient": first.gathering.patient})}  # type: ignore[attr-defined]
        )

    studies.change(other, decide)  # type: ignore[arg-type]


def segment(hospital: Hospital, study_uid: str, *, label: str = "Lesion") -> None:
    """Record a result with a segmentation of the bright square, and a box around it on the first slice."""
    held = InstanceRepository().of_study(study_uid)
    sources = []
    for instance in sorted(held, key=lambda each: each.facts.instance_number or 0):
        dataset = _read(instance.studies_key)
        for name in (
            "PatientID",
            "PatientName",
            "PatientBirthDate",
            "PatientSex",
            "StudyDate",
            "StudyTime",
            "StudyID",
        ):
            setattr(dataset, name, "")
        dataset.AccessionNumber = ""
        sources.append(dataset)
    mask = np.stack([source.pixel_array > 1300 for source in sources])
    made = _segmentation(sources, mask, label)
    buffer = io.BytesIO()
    made.save_as(buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    key = storage.result_key(study_uid, digest, "dcm")
    storage.Bucket(RESULTS).put(key, buffer.getvalue(), "application/dicom")
    hospital.result(
        study_uid,
        findings=(
            Finding(
                label=label,
                code=Code(value="52988006", scheme="SCT", meaning="Lesion"),
                sop_uid=sources[0].SOPInstanceUID,
                region=Region(left=80, top=50, right=100, bottom=78),
            ),
        ),
        objects=(
            ResultObject(
                kind=ObjectKind.SEGMENTATION,
                key=key,
                sha256=digest,
                size=len(buffer.getvalue()),
                content_type="application/dicom",
                sop_uid=made.SOPInstanceUID,
                sop_class_uid=made.SOPClassUID,
                series_uid=made.SeriesInstanceUID,
            ),
        ),
    )
    hospital.change(study_uid, version=1)


def _segmentation(sources: list[Dataset], mask: np.ndarray, label: str) -> Segmentation:
    described = SegmentDescription(
        segment_number=1,
        segment_label=label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            "phantom", codes.DCM.ArtificialIntelligence, "1"
        ),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Segmentation(
            source_images=sources,
            pixel_array=mask,
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[described],
            series_instance_uid=generate_uid(),
            series_number=100,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="phantom",
            manufacturer_model_name="phantom",
            software_versions="1",
            device_serial_number="1",
            omit_empty_frames=True,
        )


def _read(key: str) -> Dataset:
    with storage.Bucket(STUDIES).open(key) as file:
        dataset = dcmread(file)
        dataset.PixelData  # noqa: B018 - reads it while the file is open
    return dataset
