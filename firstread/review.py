"""A reader's review of a study version: drafts, verdicts on findings, drawn regions, and what is signed.

No text here is passed on to a log, a message or a metric: readers write in their own words.
"""

from enum import StrEnum

from pydantic import Field

from firstread.result import Code, ResultObject
from firstread.study import ReviewStatus
from firstread.value import Value

MAX_TEXT = 4000
"""Characters of an impression."""


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


class Review(Value):
    """One review: the first of a study version, or an addendum to a signed one.

    Parameters
    ----------
    number
        Counts the reviews of a study; 1 first. One with `amends` > 0 is an addendum to that one.
    version
        The study version that it is about.
    author, author_role
        Who wrote the draft: a radiologist, or a resident whose work an attending signs.
    first_read_at
        When the author said what they saw before any AI result was shown; "" where they did not.
    submitted_by, submitted_at
        The resident who handed it in for signing.
    signed_by, signed_at
        The attending who answers for it.
    objects
        The VERIFIED report and the segmentations of a signed review.
    """

    study_uid: str
    number: int = Field(ge=1)
    version: int = Field(ge=1)
    status: ReviewStatus = ReviewStatus.IN_PROGRESS
    amends: int = 0
    author: str
    author_role: str
    findings: tuple[ReviewedFinding, ...] = Field((), max_length=200)
    impression: str = Field("", max_length=MAX_TEXT)
    started_at: str
    saved_at: str
    first_read_at: str = ""
    submitted_by: str = ""
    submitted_at: str = ""
    signed_by: str = ""
    signed_at: str = ""
    objects: tuple[ResultObject, ...] = ()
