"""What a model said of a study version, and the files that tell it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum

from pydicom.dataset import Dataset

from firstread.dicom.metadata import study_date, text
from firstread.imaging.volume import SourceFrame, Volume
from firstread.result import Finding, ObjectKind, ResultObject
from firstread.storage import result_key
from model_service.manifest import BundleManifest
from model_service.prediction import Prediction

DICOM = "application/dicom"
_SUFFIXES = {DICOM: "dcm", "image/png": "png", "text/html": "html"}


_NO_DATE = date(1900, 1, 1)  # where no image has a date; the objects must have one


def _time(image: Dataset) -> time | None:
    """Return Study Time (0008,0030) to the second; None where it is not one."""
    try:
        return datetime.strptime(text(image, "StudyTime")[:6], "%H%M%S").time()
    except ValueError:
        return None


@dataclass(frozen=True)
class Said:
    """All that the objects of a result are made of; the same value makes the same bytes.

    Parameters
    ----------
    manifest, bundle_sha256, engine, precision
        What computed it.
    study_uid, version
        The study version that was looked at.
    sources
        The images that were analysed, with file meta information; de-identified.
    frames
        What each prediction is of; of a volume, what each slice is.
    predictions
        One per frame; exactly one `Segmented` for a volume.
    volume
        What was analysed as one; None for images.
    """

    manifest: BundleManifest
    bundle_sha256: str
    engine: str
    precision: str
    study_uid: str
    version: int
    sources: Sequence[Dataset]
    frames: Sequence[SourceFrame]
    predictions: Sequence[Prediction]
    volume: Volume | None = None

    @property
    def moment(self) -> datetime:
        """Return the moment that all dates are made of: that of the study, as its images tell it.

        Not the moment of the analysis: beside a Study Date that de-identification has shifted, a true date of the same
        day would tell by how much.
        """
        images = list(self.sources)
        day = next((found for found in map(study_date, images) if found is not None), _NO_DATE)
        return datetime.combine(day, next(filter(None, map(_time, images)), time()), UTC)


class Remark(StrEnum):
    """What a reader should know of the objects; never carries a value of a dataset."""

    NO_FRAME_OF_REFERENCE = "no_segmentation_without_frame_of_reference"
    DETECTOR_SPACING = "area_at_the_detector_not_corrected_for_magnification"
    SCORES_LEFT_OUT = "scores_of_further_images_left_out_of_the_report"
    FINDINGS_LEFT_OUT = "further_boxes_left_out"
    REGIONS_LEFT_OUT = "outlines_of_further_frames_left_out_of_the_report"
    SEGMENTATION_NOT_WRITTEN = "segmentation_not_written"
    REPORT_NOT_WRITTEN = "structured_report_not_written"
    MAP_NOT_WRITTEN = "heat_map_not_written"
    PDF_NOT_WRITTEN = "encapsulated_pdf_not_written"
    IMAGE_NOT_RENDERED = "image_not_rendered"


@dataclass(frozen=True)
class Written:
    """One file of a result.

    Parameters
    ----------
    kind, content, content_type
        What it is, its bytes, its media type.
    sop_class_uid, sop_uid, series_uid
        Of a DICOM object; "" otherwise.
    """

    kind: ObjectKind
    content: bytes
    content_type: str
    sop_class_uid: str = ""
    sop_uid: str = ""
    series_uid: str = ""

    @property
    def sha256(self) -> str:
        """Return the digest of the bytes."""
        return hashlib.sha256(self.content).hexdigest()

    def key(self, study_uid: str) -> str:
        """Return the content-addressed key in the results bucket."""
        return result_key(study_uid, self.sha256, _SUFFIXES[self.content_type])

    def result_object(self, study_uid: str) -> ResultObject:
        """Return what the result records of it."""
        return ResultObject(
            kind=self.kind,
            key=self.key(study_uid),
            content_type=self.content_type,
            size=len(self.content),
            sha256=self.sha256,
            sop_class_uid=self.sop_class_uid,
            sop_uid=self.sop_uid,
            series_uid=self.series_uid,
        )


@dataclass(frozen=True)
class Described:
    """What a prediction became.

    Parameters
    ----------
    findings
        Empty for a recognition, which finds nothing.
    parts
        The files, to be stored under `Written.key` before the result is recorded.
    remarks
        What the reader should know of them (`Remark`).
    """

    findings: tuple[Finding, ...] = ()
    parts: tuple[Written, ...] = ()
    remarks: tuple[str, ...] = ()
