"""A reader's review of a study version: drafts, verdicts on findings, drawn regions, and what is signed.

No text here is passed on to a log, a message or a metric: readers write in their own words.
"""

from enum import StrEnum

from pydantic import Field

from firstread.result import Code, Measurement, ResultObject
from firstread.study import ReviewStatus
from firstread.value import Value

MAX_TEXT = 4000
"""Characters of an impression."""

MAX_LABEL = 64
"""Characters of the label of a measurement."""

MAX_MEASUREMENTS = 100


class Verdict(StrEnum):
    """What a reader says of a finding. `MISSED`: no model named it, the reader does."""

    ACCEPTED = "accepted"
    MODIFIED = "modified"
    REJECTED = "rejected"
    MISSED = "missed"


class Rejection(StrEnum):
    """Why a finding was rejected."""

    NOT_PRESENT = "not present"
    ARTEFACT = "artefact"
    NORMAL_VARIANT = "normal variant"
    WRONG_PLACE = "wrong place"
    WRONG_LABEL = "wrong label"
    KNOWN = "known and unchanged"
    OTHER = "other"


class Point(Value):
    """A place in an image: column and row from the top left corner of the top left pixel (PS3.3 C.18.6.1.2)."""

    x: float = Field(ge=0, le=65536, allow_inf_nan=False)
    y: float = Field(ge=0, le=65536, allow_inf_nan=False)


class DrawnRegion(Value):
    """A closed outline on one frame, with holes; what a brush has painted arrives as its outlines.

    Parameters
    ----------
    frame
        1 first.
    outline
        The first point is not repeated at the end.
    """

    series_uid: str
    sop_uid: str
    frame: int = Field(1, ge=1)
    outline: tuple[Point, ...] = Field(min_length=3, max_length=4096)
    holes: tuple[tuple[Point, ...], ...] = Field((), max_length=64)


class Shape(StrEnum):
    """What a reader measures: from point to point, at the second of three, or within two opposite corners."""

    LENGTH = "length"
    ANGLE = "angle"
    ELLIPSE = "ellipse"
    RECTANGLE = "rectangle"

    @property
    def points(self) -> int:
        """Return how many points make it."""
        return 3 if self is Shape.ANGLE else 2

    @property
    def is_region(self) -> bool:
        """Return whether it encloses pixels."""
        return self in (Shape.ELLIPSE, Shape.RECTANGLE)


class MeasuredValue(Measurement):
    """A number of a measurement; `derivation` says of what the pixels in a region have, such as their mean."""

    derivation: Code | None = None


class ReaderMeasurement(Value):
    """What a reader has measured on one frame.

    Parameters
    ----------
    measurement_id
        Its tracking UID (2.25...).
    frame
        1 first.
    points
        As many as the shape has.
    values
        What the server made of the points and the image: in millimetres where the image tells the spacing in the
        patient, else in pixels.
    label
        The reader's words.
    """

    measurement_id: str
    shape: Shape
    series_uid: str
    sop_uid: str
    frame: int = Field(1, ge=1)
    points: tuple[Point, ...] = Field(min_length=2, max_length=3)
    values: tuple[MeasuredValue, ...]
    label: str = Field("", max_length=MAX_LABEL)


class ReviewedFinding(Value):
    """A finding as the reader leaves it.

    Parameters
    ----------
    finding_id
        Tracking UID of the model's finding, or a new one (2.25...) for what was missed.
    result_id, label
        The result that names it, and under which label there; "" for what was missed.
    verdict
        None while undecided.
    code, site
        What it is and where, as the reader says.
    rejection
        Why, where it was rejected.
    regions
        Where, if drawn; empty leaves the model's own region as it was.
    note
        The reader's words.
    """

    finding_id: str
    result_id: str = ""
    label: str = ""
    verdict: Verdict | None = None
    code: Code
    site: Code | None = None
    rejection: Rejection | None = None
    regions: tuple[DrawnRegion, ...] = Field((), max_length=512)
    note: str = Field("", max_length=500)


class FirstRead(Value):
    """What a reader had said before any result of a model was shown to them.

    Parameters
    ----------
    at
        When (`firstread.clock` text).
    findings, measurements, impression
        What they had found by then, in their own words.
    """

    at: str
    findings: tuple[ReviewedFinding, ...] = ()
    measurements: tuple[ReaderMeasurement, ...] = ()
    impression: str = ""


class Review(Value):
    """One review: the first of a study version, or an addendum to a signed one.

    Parameters
    ----------
    number
        Counts the reviews of a study; 1 first. One with `amends` > 0 is an addendum to that one.
    revision
        Counts how often it was written; 0 for one that never was. No part of what is written.
    version
        The study version that it is about.
    author, author_role
        Who wrote the draft: a radiologist, or a resident whose work an attending signs.
    first_read
        What the author said before any AI result was shown; None where they did not.
    submitted_by, submitted_at
        The resident who handed it in for signing.
    signed_by, signed_at
        The attending who answers for it.
    objects
        The VERIFIED report and the segmentations of a signed review.
    discarded_at
        When its author gave it up; what it said is gone, its number stays.
    """

    study_uid: str
    number: int = Field(ge=1)
    revision: int = Field(0, ge=0, exclude=True)
    version: int = Field(ge=1)
    status: ReviewStatus = ReviewStatus.IN_PROGRESS
    amends: int = 0
    author: str
    author_role: str
    findings: tuple[ReviewedFinding, ...] = Field((), max_length=200)
    measurements: tuple[ReaderMeasurement, ...] = Field((), max_length=MAX_MEASUREMENTS)
    impression: str = Field("", max_length=MAX_TEXT)
    started_at: str
    saved_at: str
    first_read: FirstRead | None = None
    submitted_by: str = ""
    submitted_at: str = ""
    signed_by: str = ""
    signed_at: str = ""
    objects: tuple[ResultObject, ...] = ()
    discarded_at: str = ""

    @property
    def is_signed(self) -> bool:
        """Whether an attending answers for it; it never changes again."""
        return self.status is ReviewStatus.SIGNED

    @property
    def is_open(self) -> bool:
        """Whether somebody works on it, or it waits to be signed."""
        return not self.is_signed and not self.discarded_at

    @property
    def first_read_at(self) -> str:
        """Return when the author said what they saw before any AI result was shown; "" where they did not."""
        return self.first_read.at if self.first_read else ""


class FeedbackLabel(Value):
    """What a signed review says of one finding of a model, or of one that was missed: a label to learn from.

    Parameters
    ----------
    review, version
        The review that says it, and the study version it is of.
    model_id, result_id, label
        What named the finding; "" for what was missed.
    proposed, code, site
        What the model said it was, None for what was missed; what it is.
    flagged
        Whether the model's probability was at or above its operating point; None where it had none.
    drawn
        Whether the reader has drawn where it is; the regions are in the review.
    """

    study_uid: str
    review: int
    version: int
    finding_id: str
    model_id: str = ""
    result_id: str = ""
    label: str = ""
    proposed: Code | None = None
    code: Code
    site: Code | None = None
    verdict: Verdict
    rejection: Rejection | None = None
    probability: float | None = None
    flagged: bool | None = None
    drawn: bool = False
    signed_by: str
    signed_at: str
    simulated: bool = False

    @property
    def is_confirmed(self) -> bool:
        """Whether the reader agrees that the finding is there."""
        return self.verdict in (Verdict.ACCEPTED, Verdict.MODIFIED)


class LocalCount(Value):
    """How often readers here agreed with what a model flagged under one label.

    Parameters
    ----------
    flagged, confirmed
        Signed findings at or above the operating point, and those among them that readers accepted or modified.
    """

    flagged: int = Field(0, ge=0)
    confirmed: int = Field(0, ge=0)


class LocalCounts(Value):
    """`LocalCount` of each label of one model version; simulated studies do not count."""

    model_id: str
    labels: dict[str, LocalCount] = Field(default_factory=dict)
    revision: int = Field(0, ge=0, exclude=True)
