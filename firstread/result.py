"""What models say about a study version, as plain values: finding, measurement, region, result.

None carries patient data: every UID is pseudonymous, every text comes from a bundle.
"""

from enum import StrEnum

from pydantic import Field

from firstread.study import Risk
from firstread.value import Value


class Code(Value):
    """A coded concept (PS3.16): value, coding scheme designator, meaning."""

    value: str
    scheme: str
    meaning: str


class OperatingPoint(Value):
    """The threshold a probability is compared with, and what was measured there on the validation split."""

    threshold: float = Field(ge=0, le=1)
    chosen_on: str
    sensitivity: float = Field(ge=0, le=1)
    specificity: float = Field(ge=0, le=1)


class Measurement(Value):
    """A number with its unit, such as a volume in mm3.

    Parameters
    ----------
    name
        What was measured.
    unit
        A UCUM code.
    """

    name: Code
    value: float
    unit: Code


class Region(Value):
    """A box on one frame, in columns and rows from the top left corner of the image (PS3.3 C.18.6.1.2)."""

    left: float
    top: float
    right: float
    bottom: float


class Finding(Value):
    """One thing that a model says: a score, a segment or a detection.

    Parameters
    ----------
    label, code, site
        What it is and where in the body; from the bundle.
    probability, operating_point
        Calibrated score and the threshold it was compared with; None for what was only measured.
    risk
        None for a measurement, which flags nothing and never counts as "not flagged".
    sop_uid, frame
        The image that shows it best, and its frame, 1 first.
    region
        Where on that frame; None where the model does not say.
    measurements
        In physical units where the image tells its spacing.
    segment_number
        Of the SEG object; None where there is none.
    tracking_uid
        Identifies the finding in every object that mentions it (PS3.16 TID 1410 and others); stable across retries.
    """

    label: str
    code: Code
    site: Code | None = None
    probability: float | None = Field(None, ge=0, le=1)
    operating_point: OperatingPoint | None = None
    risk: Risk | None = None
    sop_uid: str
    frame: int = Field(1, ge=1)
    overlay_key: str = ""
    region: Region | None = None
    measurements: tuple[Measurement, ...] = ()
    segment_number: int | None = None
    tracking_uid: str = ""


class Recognised(Value):
    """What kind of image a series looks like.

    Parameters
    ----------
    label
        The kind; "" for unknown.
    modalities, body_parts
        Values of Modality (0008,0060) and Body Part Examined (0018,0015) that agree with it, the usual one first.
    """

    series_uid: str
    label: str
    probability: float = Field(ge=0, le=1)
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()


class ObjectKind(StrEnum):
    """What kind of thing a model's result consists of."""

    SEGMENTATION = "segmentation"
    STRUCTURED_REPORT = "structured_report"
    PRESENTATION_STATE = "presentation_state"
    PARAMETRIC_MAP = "parametric_map"
    ENCAPSULATED_PDF = "encapsulated_pdf"
    HTML_REPORT = "html_report"
    OVERLAY = "overlay"
    THUMBNAIL = "thumbnail"


class ResultObject(Value):
    """An object in the results bucket.

    Parameters
    ----------
    key
        Content-addressed.
    sop_class_uid, sop_uid, series_uid
        Of a DICOM object; "" otherwise.
    """

    kind: ObjectKind
    key: str
    content_type: str
    size: int
    sha256: str
    sop_class_uid: str = ""
    sop_uid: str = ""
    series_uid: str = ""


class ResultStatus(StrEnum):
    """Whether the model came to a result. `SKIPPED`: it was switched off, or nothing in the study fits it."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class Result(Value):
    """What one model says about one study version.

    Parameters
    ----------
    result_id
        ``v<version>#<model id>``; one per study version and model version.
    reason
        Why it failed or was skipped, as a typed reason; empty when done.
    recognised
        What kind of images the series are, by an aid.
    beside
        Recorded without any effect on the worklist: a model in shadow, or one that helps others.
    shadow
        Shown to nobody.
    series, passed_over
        Series that were analysed, and why others of the study were not, by Series Instance UID.
    remarks
        What the reader should know of the input, such as a disagreement of header and pixels.
    bundle_sha256
        Digest of the bundle that made it.
    engine, precision
        What computed it, such as ``openvino``, and how: ``fp32``, ``bf16``.
    """

    study_uid: str
    result_id: str
    version: int
    model_id: str
    status: ResultStatus
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    objects: tuple[ResultObject, ...] = ()
    recognised: tuple[Recognised, ...] = ()
    beside: bool = False
    shadow: bool = False
    series: tuple[str, ...] = ()
    passed_over: dict[str, str] = Field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    started_at: str
    finished_at: str
    engine: str = ""
    precision: str = ""
    bundle_sha256: str = ""
    simulated: bool = False

    @property
    def risk(self) -> Risk:
        """Return the highest risk among the findings; unknown where none was assessed."""
        if self.status is not ResultStatus.DONE:
            return Risk.UNKNOWN
        risks = [finding.risk for finding in self.findings if finding.risk is not None]
        return min(risks, key=lambda risk: risk.order, default=Risk.UNKNOWN)

    @property
    def assesses(self) -> bool:
        """Tell whether it says something of risk; a result that only measures does not."""
        return not self.findings or any(finding.risk is not None for finding in self.findings)

    @property
    def probability(self) -> float | None:
        """Return the highest probability among the findings that have one."""
        found = [finding.probability for finding in self.findings if finding.probability is not None]
        return max(found, default=None)


def result_id(version: int, model_id: str) -> str:
    """Return the identity of a model's result within its study."""
    return f"v{version:06d}#{model_id}"
