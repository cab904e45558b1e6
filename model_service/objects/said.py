"""What a model said of a study version, and the files that tell it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydicom.dataset import Dataset

from firstread.imaging.volume import SourceFrame, Volume
from firstread.objects.written import Written, moment_of
from firstread.result import Finding
from model_service.manifest import BundleManifest
from model_service.prediction import Prediction


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
        """Return the moment that all dates are made of: that of the study (`firstread.objects.written.moment_of`)."""
        return moment_of(self.sources)


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
