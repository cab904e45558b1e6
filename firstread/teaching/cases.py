"""Teaching cases and attempts at them, as plain values; nothing here belongs to the clinical record.

No text here is passed on to a log, a message or a metric: radiologists write titles and teaching points.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from firstread.result import Code, Finding, Result, ResultStatus
from firstread.review import DrawnRegion, Point, Review, Verdict
from firstread.study import Risk
from firstread.teaching.words import CollectionName, unknown_words
from firstread.value import Value


class Standard(StrEnum):
    """What an attempt is compared with. `MODEL` is what a model said, which is no truth."""

    SIGNED = "signed review"
    SIMULATED = "simulated"
    MODEL = "model"


class Mark(Value):
    """A place on one frame, 1 first."""

    sop_uid: str = Field(max_length=64)
    frame: int = Field(1, ge=1)
    at: Point


class Seen(Value):
    """One thing that a learner, a reader or a model sees.

    Parameters
    ----------
    regions
        Where, as outlines; empty where nobody said.
    mark
        Where, as one place; None where nobody said.
    confidence
        How sure a learner is, 1 guessing to 5 certain; None for others.
    """

    code: Code
    regions: tuple[DrawnRegion, ...] = Field((), max_length=64)
    mark: Mark | None = None
    confidence: int | None = Field(None, ge=1, le=5)

    @property
    def is_placed(self) -> bool:
        """Whether it says where."""
        return bool(self.regions) or self.mark is not None


class Case(Value):
    """A study that a radiologist chose for teaching.

    Parameters
    ----------
    number
        Counts the cases of a collection, 1 first.
    version
        The study version that it is about.
    standard, review
        What attempts are compared with, and the number of the signed review; 0 for none.
    truth
        What is there, by the standard; frozen with the case, so that all attempts are measured alike.
    model
        What models flagged on that version, to be compared in the same way; None where none was asked.
    choices
        What a learner chooses from.
    title
        Words of a fixed list (`firstread.teaching.words`).
    points
        What is to be learnt; shown after the reveal.
    withdrawn_at
        When it was taken back; "" while it is there.
    """

    collection: CollectionName
    number: int = Field(ge=1)
    study_uid: str
    version: int = Field(ge=1)
    standard: Standard
    review: int = 0
    truth: tuple[Seen, ...] = Field((), max_length=50)
    model: tuple[Seen, ...] | None = None
    choices: tuple[Code, ...] = Field(min_length=2)
    title: str
    points: str = Field("", max_length=2000)
    made_by: str
    made_at: str
    withdrawn_at: str = ""

    @field_validator("title")
    @classmethod
    def _titled(cls, title: str) -> str:
        if not title.strip() or unknown_words(title):
            raise ValueError("not a title")
        return title

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.standard is Standard.SIGNED) != (self.review > 0):
            raise ValueError("a signed standard names its review")
        return self


class Outcome(StrEnum):
    """What became of a finding. Only `FOUND` and `PRESENT` count as right."""

    FOUND = "found"
    MISPLACED = "wrong place"
    MISLABELLED = "wrong label"
    MISSED = "missed"
    EXTRA = "not there"


class Judged(Value):
    """One finding of the standard, or one that was said besides.

    Parameters
    ----------
    expected, said
        What the standard has and what was said; None where there is no counterpart.
    overlap
        Intersection over union of the regions on the frames that both drew on; None where one of them drew none.
    """

    outcome: Outcome
    expected: Code | None = None
    said: Code | None = None
    overlap: float | None = Field(None, ge=0, le=1)


class Score(Value):
    """How close a reading came to the standard.

    Parameters
    ----------
    judged
        Every finding once.
    found, expected
        How many of those in the standard were found, with the right label in the right place.
    false
        What was said and is not there, or not like that.
    value
        Dice coefficient of findings, 0 to 1; 1 where nothing is there and nothing was said.
    overlap
        Mean overlap of what was found and drawn; None where there is none.
    is_positive, said_positive
        Whether anything is there, and whether anything was said.
    """

    judged: tuple[Judged, ...]
    found: int = Field(ge=0)
    expected: int = Field(ge=0)
    false: int = Field(ge=0)
    value: float = Field(ge=0, le=1)
    overlap: float | None = Field(None, ge=0, le=1)
    is_positive: bool
    said_positive: bool


class Attempt(Value):
    """What one learner made of a case.

    Parameters
    ----------
    number
        Counts the attempts of this learner at this study, 1 first; only the first one counts in statistics.
    started_at
        When the images were opened.
    submitted_at
        When it was handed in, after which standard and models are shown; "" before.
    score, model_score
        Of the learner and of the models; None before, and for models where there is nothing to compare them with.
    revision
        Counts how often it was written. No part of what is written.
    """

    learner: str
    collection: str
    case: int = Field(ge=1)
    study_uid: str
    number: int = Field(ge=1)
    started_at: str
    submitted_at: str = ""
    seconds: float | None = Field(None, ge=0)
    findings: tuple[Seen, ...] = Field((), max_length=20)
    score: Score | None = None
    model_score: Score | None = None
    revision: int = Field(0, ge=0, exclude=True)

    @property
    def is_submitted(self) -> bool:
        """Whether it was handed in."""
        return bool(self.submitted_at)

    @property
    def counts(self) -> bool:
        """Whether it is part of statistics: a first attempt that was handed in."""
        return self.number == 1 and self.is_submitted


def of_review(review: Review, results: Iterable[Result]) -> tuple[Seen, ...]:
    """Return what a signed review says is there.

    Parameters
    ----------
    review
        Its findings without those it rejected.
    results
        On the version it is of: where a reader drew nothing, the region of the model that they agreed with counts.
    """
    known = {finding.tracking_uid: finding for result in results for finding in result.findings}
    return tuple(
        Seen(
            code=each.code,
            regions=each.regions or (_boxes(known[each.finding_id]) if each.finding_id in known else ()),
        )
        for each in review.findings
        if each.verdict in (Verdict.ACCEPTED, Verdict.MODIFIED, Verdict.MISSED)
    )


def of_models(results: Iterable[Result]) -> tuple[Seen, ...] | None:
    """Return what models flagged, one of each code and place; None where no model came to a result."""
    done = [
        result
        for result in results
        if result.status is ResultStatus.DONE and not (result.shadow or result.beside) and result.assesses
    ]
    if not done:
        return None
    flagged = [each for result in done for each in result.findings if each.risk is Risk.HIGH]
    return tuple(dict.fromkeys(Seen(code=each.code, regions=_boxes(each)) for each in flagged))


def _boxes(finding: Finding) -> tuple[DrawnRegion, ...]:
    box = finding.region
    if box is None:
        return ()
    corners = (
        (box.left, box.top),
        (box.right, box.top),
        (box.right, box.bottom),
        (box.left, box.bottom),
    )
    outline = tuple(Point(x=max(0.0, x), y=max(0.0, y)) for x, y in corners)
    return (DrawnRegion(series_uid="", sop_uid=finding.sop_uid, frame=finding.frame, outline=outline),)
