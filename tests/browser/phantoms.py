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
from tests.functional.portal.seeding import MODEL, RESULTS, STUDIES, Hospital

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


def thorax(count: int = 24, side: int = 256) -> tuple[list[Dataset], np.ndarray]:
    """Return axial slices of a chest that nobody has, feet first, and where its nodule is (slices, rows, columns).

    Ellipses in Hounsfield units with grain: enough to look like a chest in the pictures of the documentation.
    """
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    grain = np.random.default_rng(7)
    vessels = grain.uniform((0.2, -0.3, -0.012, 0.006), (0.6, 0.28, 0.012, 0.02), (60, 4))
    slices, masks = [], []
    for index in range(count):
        height = index / (count - 1)  # 0 at the diaphragm, 1 at the apex
        wide = 0.35 * np.sqrt(1.02 - 0.7 * height**2)

        def inside(left: float, top: float, across: float, down: float) -> np.ndarray:
            return ((x - left) / across) ** 2 + ((y - top) / down) ** 2 <= 1

        values = np.full((side, side), -1000.0)
        values[inside(0, 0, 0.88, 0.66)] = -100  # fat
        values[inside(0, 0, 0.82, 0.6)] = 45  # muscle
        for angle in np.arange(0.25, 2 * np.pi, 0.42):
            at = angle + 0.3 * height
            values[inside(0.77 * np.sin(at), 0.55 * np.cos(at), 0.055, 0.03)] = 520  # ribs
        lungs = inside(-0.42, -0.02, wide, 0.46) | inside(0.42, -0.02, wide, 0.46)
        heart = inside(0.1, -0.2, 0.36 - 0.24 * height, 0.24 - 0.1 * height)
        values[lungs] = -850
        for across, down, drift, width in vessels:
            for sign in (-1, 1):
                place = (sign * across + drift * index, down - drift * index)
                values[inside(*place, width, width) & lungs] = -120
        values[inside(0, 0.05, 0.13, 0.45)] = 40  # mediastinum
        values[heart] = 55
        values[inside(0.12, 0.27, 0.07, 0.07)] = 150  # descending aorta
        values[inside(0, 0.38, 0.13, 0.1)] = 320  # vertebra
        values[inside(0, 0.5, 0.05, 0.045)] = 25
        values[inside(0, 0.6, 0.02, 0.07)] = 420
        values[inside(0, -0.5, 0.09, 0.03)] = 360  # sternum
        values[inside(0, -0.05, 0.045, 0.05)] = -1000 if height > 0.45 else 40  # trachea
        reach = 1 - ((index - 0.55 * count) / 3.2) ** 2
        size = 0.085 * np.sqrt(max(reach, 0))
        wave = 1 + 0.08 * np.sin(9 * np.arctan2(y - 0.12, x - 0.5))
        nodule = np.hypot(x - 0.5, y - 0.12) <= size * wave if size else np.zeros_like(lungs)
        values[nodule] = 40
        padded = np.pad(values, 1, mode="edge")
        soft = np.mean([padded[i : i + side, j : j + side] for i in range(3) for j in range(3)], axis=0)
        slices.append(_slice(soft + grain.normal(0, 14, soft.shape), index, spacing=1.4, step=5.0))
        masks.append(nodule)
    return slices, np.stack(masks)


def _slice(hounsfield: np.ndarray, index: int, *, spacing: float, step: float) -> Dataset:
    side = hounsfield.shape[0]
    return image(
        np.clip(np.round(hounsfield + 1024), 0, 4095),
        SOPClassUID=CTImageStorage,
        Modality="CT",
        SeriesDescription="Chest 5 mm",
        PixelSpacing=[spacing, spacing],
        SliceThickness=step,
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[-spacing * side / 2, -spacing * side / 2, step * index],
        FrameOfReferenceUID=FRAME_OF_REFERENCE,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=40,
        WindowWidth=400,
        InstanceNumber=index + 1,
    )


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
    sources = _sources(study_uid)
    mask = np.stack([source.pixel_array > 1300 for source in sources])
    box = Finding(
        label=label,
        code=Code(value="52988006", scheme="SCT", meaning="Lesion"),
        sop_uid=sources[0].SOPInstanceUID,
        region=Region(left=80, top=50, right=100, bottom=78),
        tracking_uid="2.25.9001",
    )
    record_segmentation(hospital, study_uid, mask, box)


def record_segmentation(
    hospital: Hospital, study_uid: str, mask: np.ndarray, finding: Finding, model: str = MODEL
) -> None:
    """Record a result with a finding and its segmentation, a mask of (slices, rows, columns)."""
    made = _segmentation(_sources(study_uid), mask, finding)
    buffer = io.BytesIO()
    made.save_as(buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    key = storage.result_key(study_uid, digest, "dcm")
    storage.Bucket(RESULTS).put(key, buffer.getvalue(), "application/dicom")
    hospital.result(
        study_uid,
        model=model,
        findings=(finding,),
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


def _sources(study_uid: str) -> list[Dataset]:
    """Return the images of a study in their order, with the attributes that a segmentation copies."""
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
    return sources


def _segmentation(sources: list[Dataset], mask: np.ndarray, finding: Finding) -> Segmentation:
    described = SegmentDescription(
        segment_number=1,
        segment_label=finding.label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            "phantom", codes.DCM.ArtificialIntelligence, "1"
        ),
        tracking_uid=finding.tracking_uid,
        tracking_id=finding.label,
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
