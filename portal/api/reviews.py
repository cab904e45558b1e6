"""Reading a study: claims, drafts, verdicts, signing, reports."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from firstread.alert import Closing
from firstread.clock import to_text
from firstread.policy import Action
from firstread.vocabulary import Vocabulary, vocabulary
from portal.access import Access, require
from portal.described import Json
from portal.errors import ConflictError, MissingError
from portal.logic.review.acts import Reading
from portal.logic.review.entries import Entries, Whole
from portal.logic.review.reports import ReportView, find_object, read_reports
from portal.logic.review.signing import SignOff
from portal.logic.review.view import ReviewView, read_review
from portal.problems import Problem, SignInProblem

_DIGEST = "^[0-9a-f]{64}$"

router = APIRouter(tags=["reviews"])

_Views = Annotated[Access, Depends(require(Action.REVIEW_VIEW))]
_Claims = Annotated[Access, Depends(require(Action.STUDY_CLAIM))]
_Writes = Annotated[Access, Depends(require(Action.REVIEW_WRITE))]
_Signs = Annotated[Access, Depends(require(Action.REVIEW_SIGN, fresh=True))]
_Overlays = Annotated[Access, Depends(require(Action.OVERLAY_VIEW))]
_Reports = Annotated[Access, Depends(require(Action.REPORT_VIEW))]


class Claim(BaseModel):
    """How to hold a study: `take_over` from whoever holds it, or not."""

    model_config = ConfigDict(extra="forbid")

    take_over: StrictBool = False


class Which(BaseModel):
    """A review as the reader has it."""

    model_config = ConfigDict(extra="forbid")

    number: Whole = Field(ge=1)
    revision: Whole = Field(ge=1)


class Switch(BaseModel):
    """What a model says was switched on or off; all models for ""."""

    model_config = ConfigDict(extra="forbid")

    shown: StrictBool
    model_id: str = Field("", pattern=r"^([a-z0-9_]+@[0-9A-Za-z.+-]+)?$", max_length=128)


class ReviewQuery(BaseModel):
    """Which review to show: one that waits to be signed, instead of the usual one."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(0, ge=0)


class Conflict(Problem):
    """Somebody else was faster, or holds the study.

    Parameters
    ----------
    reason
        What a program tells conflicts apart by.
    holder, since, until
        Who, since when and until when.
    number
        The review that was signed.
    undecided
        Findings that have no verdict.
    current
        The reading as it is now.
    """

    reason: str
    holder: str = ""
    since: str = ""
    until: str = ""
    number: int = 0
    undecided: tuple[str, ...] = ()
    current: ReviewView


_CONFLICTS: dict[int | str, Json] = {409: {"model": Conflict}}


@router.get("/api/vocabulary")
def get_vocabulary(access: _Views) -> Vocabulary:
    """Return the codes that a reader may choose from, and the reasons to reject a finding."""
    return vocabulary(access.services.records.models.all())


@router.get("/api/studies/{study_uid}/review")
def get_review(access: _Views, query: Annotated[ReviewQuery, Query()]) -> ReviewView:
    """Return the reading of a study."""
    return _view(access, query.number)


@router.post("/api/studies/{study_uid}/claim", responses=_CONFLICTS)
def post_claim(access: _Claims, claim: Claim | None = None) -> ReviewView:
    """Hold the study for reading, or for longer."""
    return _done(access, lambda reading: reading.claim(take_over=claim is not None and claim.take_over))


@router.delete("/api/studies/{study_uid}/claim", responses=_CONFLICTS)
def delete_claim(access: _Claims) -> ReviewView:
    """Let others have the study."""
    return _done(access, lambda reading: reading.release())


@router.put("/api/studies/{study_uid}/review", responses=_CONFLICTS)
def put_review(access: _Writes, entries: Entries) -> ReviewView:
    """Save what the reader says."""
    return _done(access, lambda reading: reading.save(entries), entries.number)


@router.delete("/api/studies/{study_uid}/review", responses=_CONFLICTS)
def delete_review(access: _Writes, which: Annotated[Which, Query()]) -> ReviewView:
    """Give up a draft."""
    return _done(access, lambda reading: reading.discard(which.number, which.revision))


@router.post("/api/studies/{study_uid}/review/first-read", responses=_CONFLICTS)
def post_first_read(access: _Writes, which: Which) -> ReviewView:
    """Record what the reader has found before findings of models are shown."""
    return _done(access, lambda reading: reading.first_read(which.number, which.revision))


@router.post("/api/studies/{study_uid}/review/submit", responses=_CONFLICTS)
def post_submit(access: _Writes, which: Which) -> ReviewView:
    """Hand in a draft to be signed."""
    return _done(access, lambda reading: reading.submit(which.number, which.revision))


@router.post("/api/studies/{study_uid}/review/recall", responses=_CONFLICTS)
def post_recall(access: _Writes, which: Which) -> ReviewView:
    """Take back, or hand back, what was handed in."""
    return _done(access, lambda reading: reading.recall(which.number, which.revision), which.number)


@router.post(
    "/api/studies/{study_uid}/review/sign",
    responses={401: {"model": SignInProblem}, **_CONFLICTS},
)
def post_sign(access: _Signs, which: Which) -> ReportView:
    """Sign a review."""
    services = access.services

    def act(reading: Reading) -> None:
        sign_off = SignOff(
            reading, services.studies_bucket, services.results_bucket, services.reading.organisation
        )
        sign_off.sign(access.study, which.number, which.revision)

    _try(access, act, which.number)
    # After the signature, in a transaction of its own: should this be lost, the next deadline closes them.
    services.records.alerts.close_all(
        access.study.study_uid, Closing.SIGNED, access.actor, to_text(services.clock())
    )
    reviews = services.records.reviews.of_study(access.study.study_uid)
    return next(each for each in read_reports(reviews, access.study.version) if each.number == which.number)


@router.post(
    "/api/studies/{study_uid}/overlay",
    status_code=204,
    response_class=Response,
    responses=_CONFLICTS,
)
def post_overlay(access: _Overlays, switch: Switch) -> Response:
    """Write down that the reader has switched on or off what models say."""
    _try(
        access,
        lambda reading: reading.overlay(access.study, shown=switch.shown, model_id=switch.model_id),
    )
    return Response(status_code=204)


@router.get("/api/studies/{study_uid}/reports")
def get_reports(access: _Reports) -> tuple[ReportView, ...]:
    """Return the signed reviews of a study, the newest first."""
    return read_reports(
        access.services.records.reviews.of_study(access.study.study_uid), access.study.version
    )


@router.get("/api/studies/{study_uid}/reports/{number}")
def get_report(access: _Reports, number: Annotated[int, Path(ge=1)]) -> ReportView:
    """Return a signed review."""
    found = [each for each in get_reports(access) if each.number == number]
    if not found:
        raise MissingError("no such report")
    return found[0]


@router.get("/studies/{study_uid}/reports/{number}/{digest}", include_in_schema=False)
def get_report_object(
    access: _Reports,
    number: Annotated[int, Path(ge=1)],
    digest: Annotated[str, Path(pattern=_DIGEST)],
) -> Response:
    """Return a DICOM object of a signed review, to be saved."""
    services = access.services
    found = find_object(services.records.reviews.of_study(access.study.study_uid), number, digest)
    headers = {"Content-Disposition": f'attachment; filename="{found.kind.value}-{number}.dcm"'}
    return Response(services.results_bucket.get(found.key), media_type=found.content_type, headers=headers)


def _reading(access: Access) -> Reading:
    services = access.services
    return Reading(
        services.records,
        access.study.study_uid,
        access.actor,
        services.pictures,
        services.clock,
        services.reading.overlay_policy,
    )


def _view(access: Access, number: int = 0) -> ReviewView:
    reading = _reading(access)
    study = access.services.records.studies.get(access.study.study_uid)
    if study is None:
        raise MissingError("no such study")
    return read_review(reading.records, reading.desk(study), reading.policy, number)


def _done(access: Access, act: Callable[[Reading], None], number: int = 0) -> ReviewView:
    _try(access, act, number)
    return _view(access, number)


def _try(access: Access, act: Callable[[Reading], None], number: int = 0) -> None:
    """Do something; where somebody was faster, tell how things stand now."""
    try:
        act(_reading(access))
    except ConflictError as error:
        now = _view(access, number).model_dump(mode="json")
        raise ConflictError(str(error), **error.members, current=now) from None
