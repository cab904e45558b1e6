"""Teaching as JSON."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from firstread.clock import to_text
from firstread.policy import Action
from firstread.teaching.progress import Progress
from portal.access import Access, require
from portal.errors import MissingError
from portal.logic.looks import looked
from portal.logic.teaching import making, taking
from portal.logic.teaching.said import Said
from portal.logic.teaching.taking import CaseView, CollectionView, Taking

Collection = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,60}$")]
Number = Annotated[int, Path(ge=1, le=999_999)]
Learner = Annotated[Access, Depends(require(Action.TEACHING_TAKE))]
_CASE = "/api/teaching/collections/{collection}/cases/{number}"

router = APIRouter(tags=["teaching"])


class Reading(BaseModel):
    """What a learner hands in; no finding means that they see nothing."""

    model_config = ConfigDict(extra="forbid")

    findings: tuple[Said, ...] = Field(max_length=20)


class Made(BaseModel):
    """Which case a study has become."""

    collection: str
    number: int


def case_of(access: Learner, collection: Collection, number: Number) -> Taking:
    """Return the case that a path names."""
    return taking.find(access.services.records, access.actor, collection, number)


Named = Annotated[Taking, Depends(case_of)]


def shown(access: Access, named: Taking) -> CaseView:
    """Return a case as its page shows it, which is a look at somebody's study."""
    view = taking.view(access.services.records, access.actor, named)
    if view.stage != "new":
        looked(
            access,
            Action.IMAGE_VIEW if view.reveal is None else Action.REPORT_VIEW,
            study_uid=view.study_uid,
            patient=named.study.gathering.patient,
            collection=view.collection,
            case=view.number,
        )
    return view


@router.get("/api/teaching/collections")
def get_collections(access: Learner) -> tuple[CollectionView, ...]:
    """Return the collections and how far the learner is with each."""
    return taking.collections(access.services.records, access.actor)


@router.get("/api/teaching/collections/{collection}")
def get_collection(access: Learner, collection: Collection) -> CollectionView:
    """Return a collection; with how all did, for those who manage teaching."""
    return taking.collection(access.services.records, access.actor, collection)


@router.get("/api/teaching/progress")
def get_progress(access: Learner) -> Progress:
    """Return how the learner comes on."""
    return taking.progress_of(access.services.records, access.actor)


@router.get(_CASE)
def get_case(access: Learner, named: Named) -> CaseView:
    """Return a case as its page shows it."""
    return shown(access, named)


@router.post(f"{_CASE}/start")
def start_case(access: Learner, named: Named) -> CaseView:
    """Start the clock and show the images."""
    services = access.services
    taking.start(services.records, access.actor, services.clock(), named)
    return _again(access, named)


@router.post(f"{_CASE}/submit", responses={409: {}})
def submit_case(access: Learner, named: Named, reading: Reading) -> CaseView:
    """Hand a reading in and show what others said."""
    services = access.services
    taking.submit(services.records, services.clock(), named, reading.findings)
    return _again(access, named)


@router.post("/api/studies/{study_uid}/teaching", status_code=201, responses={409: {}})
def make_case(
    access: Annotated[Access, Depends(require(Action.TEACHING_MANAGE))], wanted: making.WantedCase
) -> Made:
    """Make a study a teaching case."""
    services = access.services
    case = making.make(services.records, access.study, access.actor, to_text(services.clock()), wanted)
    return Made(collection=case.collection, number=case.number)


@router.post(f"{_CASE}/withdraw", status_code=204)
def withdraw_case(
    access: Annotated[Access, Depends(require(Action.TEACHING_MANAGE))],
    collection: Collection,
    number: Number,
) -> None:
    """Take a case back."""
    services = access.services
    case = services.records.teaching.case(collection, number)
    if case is None:
        raise MissingError("no such case")
    making.withdraw(services.records, case, access.actor, to_text(services.clock()))


def _again(access: Access, named: Taking) -> CaseView:
    """Return a case as it has become."""
    found = taking.find(access.services.records, access.actor, named.case.collection, named.case.number)
    return shown(access, found)
