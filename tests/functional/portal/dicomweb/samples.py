"""Studies of real images in many encodings, and the results of models on one of them."""

import copy
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from firstread import storage
from firstread.result import ObjectKind, ResultObject, ResultStatus
from firstread.study import AnalysisStatus
from tests.functional.portal.morning import sample, stack
from tests.functional.portal.seeding import MODEL, RESULTS, Hospital, uid

SHADOW = "shadow@0.1.0"
SINGLE = {
    "ct": "CT_small.dcm",
    "mr": "MR_small.dcm",
    "mr-implicit": "MR_small_implicit.dcm",
    "mr-big-endian": "MR_small_bigendian.dcm",
    "mr-rle": "MR_small_RLE.dcm",
    "mr-jpeg-ls": "MR_small_jpeg_ls_lossless.dcm",
    "mr-jpeg-2000": "MR_small_jp2klossless.dcm",
    "us-jpeg-2000": "US1_J2KR.dcm",
    "us-rgb": "US1_UNCR.dcm",
    "jpeg-lossless": "JPEG-LL.dcm",
    "palette": "OBXXXX1A.dcm",
    "ybr-422": "SC_ybr_full_422_uncompressed.dcm",
    "deflated": "image_dfl.dcm",
}
MULTIPLE = {
    "us-cine": "examples_ybr_color.dcm",
    "rle-cine": "SC_rgb_rle_16bit_2frame.dcm",
    "enhanced-mr": "emri_small.dcm",
    "enhanced-mr-jpeg-ls": "emri_small_jpeg_ls_lossless.dcm",
    "dose": "rtdose.dcm",
    "bits": "liver.dcm",
}


@dataclass
class Samples:
    """What was stored: name -> Study Instance UID, and the dataset as it was before."""

    studies: dict[str, str] = field(default_factory=dict)
    originals: dict[str, Dataset] = field(default_factory=dict)
    segmentation: Dataset | None = None
    pdf_series: str = ""
    shadow_series: str = ""


def store_samples(hospital: Hospital) -> Samples:
    """Store one study of each kind."""
    made = Samples()
    for name, file in {**SINGLE, **MULTIPLE}.items():
        dataset = sample(file)
        made.originals[name] = dataset
        made.studies[name] = hospital.study([dataset], modality=str(dataset.Modality), description=name)
    store_analysed(hospital, made)
    return made


def store_analysed(hospital: Hospital, made: Samples) -> None:
    """Store a CT with the results of a model, and of one in shadow."""
    slices = stack(sample("CT_small.dcm"), 4)
    for index, each in enumerate(slices):
        each.ImagePositionPatient = [0, 0, 5 * index]
        each.FrameOfReferenceUID = uid(77, 1)
    study_uid = hospital.study(slices, modality="CT", description="analysed", simulated=True)
    made.studies["analysed"] = study_uid
    sources = []
    for index, each in enumerate(slices, start=1):
        source = copy.copy(each)
        source.StudyInstanceUID = study_uid
        source.SeriesInstanceUID, source.SOPInstanceUID = f"{study_uid}.1", f"{study_uid}.1.{index}"
        sources.append(source)
    made.segmentation = _segmentation(sources, uid(77, 2))
    hidden = _segmentation(sources, uid(77, 3))
    document = _document(sources[0], uid(77, 4))
    made.pdf_series, made.shadow_series = uid(77, 4), uid(77, 3)
    hospital.result(
        study_uid,
        status=ResultStatus.DONE,
        objects=(
            _kept(study_uid, made.segmentation, ObjectKind.SEGMENTATION),
            _kept(study_uid, document, ObjectKind.ENCAPSULATED_PDF),
        ),
    )
    hospital.result(
        study_uid, model=SHADOW, shadow=True, objects=(_kept(study_uid, hidden, ObjectKind.SEGMENTATION),)
    )
    hospital.change(study_uid, status=AnalysisStatus.ANALYSED, models=(MODEL,), beside=(SHADOW,))


def _segmentation(sources: Sequence[Dataset], series_uid: str) -> Dataset:
    mask = np.zeros((len(sources), 128, 128), dtype=np.uint8)
    mask[1:3, 40:60, 50:80] = 1
    organ = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Lung",
        segmented_property_category=codes.SCT.Organ,
        segmented_property_type=codes.SCT.Lung,
        algorithm_type="MANUAL",
    )
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[organ],
        series_instance_uid=series_uid,
        series_number=100,
        sop_instance_uid=f"{series_uid}.1",
        instance_number=1,
        manufacturer="FirstRead",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        series_description="Lung, research use only",
    )


def _document(source: Dataset, series_uid: str) -> Dataset:
    made = Dataset()
    made.file_meta = copy.deepcopy(source.file_meta)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = EncapsulatedPDFStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID(f"{series_uid}.1")
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.StudyInstanceUID, made.SeriesInstanceUID = source.StudyInstanceUID, series_uid
    made.Modality, made.SeriesNumber, made.InstanceNumber = "DOC", 101, 1
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = b"%PDF-1.4" + bytes(8192)
    return made


def _kept(study_uid: str, dataset: Dataset, kind: ObjectKind) -> ResultObject:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    body = buffer.getvalue()
    digest = hashlib.sha256(body).hexdigest()
    key = storage.result_key(study_uid, digest, "dcm")
    storage.Bucket(RESULTS).put(key, body, "application/dicom")
    return ResultObject(
        kind=kind,
        key=key,
        content_type="application/dicom",
        size=len(body),
        sha256=digest,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
    )
