"""The pages of teaching."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from firstread.clock import to_text
from firstread.policy import Action
from firstread.vocabulary import vocabulary
from portal.access import Access, require
from portal.api.teaching import Collection, Learner, Named, shown
from portal.logic.display import duration, when
from portal.logic.records import Records
from portal.logic.teaching import making, taking
from portal.logic.teaching.chart import chart
from portal.logic.teaching.said import Said
from portal.services import templates

Manager = Annotated[Access, Depends(require(Action.TEACHING_MANAGE))]
_NONE = "none"

router = APIRouter(include_in_schema=False)


@router.get("/teaching")
def show_teaching(request: Request, access: Learner) -> Response:
    """Show the collections, and how the learner comes on."""
    records = access.services.records
    progress = taking.progress_of(records, access.actor)
    context = {
        "actor": access.actor,
        "collections": taking.collections(records, access.actor),
        "progress": progress,
        "chart": chart(progress.steps),
        "duration": duration,
        "when": when,
    }
    return templates.TemplateResponse(request, "teaching.html", context)


@router.get("/teaching/{collection}")
def show_collection(request: Request, access: Learner, collection: Collection) -> Response:
    """Show the cases of a collection."""
    found = taking.collection(access.services.records, access.actor, collection)
    context = {"actor": access.actor, "collection": found}
    return templates.TemplateResponse(request, "teaching_collection.html", context)


@router.get("/teaching/{collection}/{number}")
def show_case(request: Request, access: Learner, named: Named) -> Response:
    """Show a case: its images once the clock runs, what others said once it was handed in."""
    context = {"actor": access.actor, "case": shown(access, named), "duration": duration}
    return templates.TemplateResponse(request, "teaching_case.html", context)


@router.post("/teaching/{collection}/{number}/start")
def start_case(access: Learner, named: Named) -> Response:
    """Start the clock and lead to the images."""
    services = access.services
    taking.start(services.records, access.actor, services.clock(), named)
    return RedirectResponse(f"/teaching/{named.case.collection}/{named.case.number}", status_code=303)


@router.post("/teaching/{collection}/{number}/withdraw")
def withdraw_case(access: Manager, named: Named) -> Response:
    """Take a case back."""
    services = access.services
    making.withdraw(services.records, named.case, access.actor, to_text(services.clock()))
    return RedirectResponse("/teaching", status_code=303)


@router.get("/studies/{study_uid}/teaching")
def show_making(request: Request, access: Manager) -> Response:
    """Show the form that makes a study a teaching case."""
    return _form(request, access)


@router.post("/studies/{study_uid}/teaching")
def make_case(
    request: Request,
    access: Manager,
    collection: Annotated[str, Form(max_length=100)],
    title: Annotated[str, Form(max_length=100)],
    points: Annotated[str, Form(max_length=4000)] = "",
    truth: Annotated[list[str] | None, Form(max_length=20)] = None,
) -> Response:
    """Make the study a teaching case and lead to its collection."""
    services = access.services
    written = {"collection": collection, "title": title, "points": points}
    try:
        wanted = making.WantedCase(**written, truth=_truth(truth))
    except ValidationError as error:
        problems = sorted({str(each["loc"][0]) for each in error.errors()})
        return _form(request, access, written, problems)
    case = making.make(services.records, access.study, access.actor, to_text(services.clock()), wanted)
    return RedirectResponse(f"/teaching/{case.collection}", status_code=303)


def _truth(chosen: list[str] | None) -> tuple[Said, ...] | None:
    """Return the findings that a form names as ``scheme|value``; ``none`` says that nothing is there."""
    if not chosen:
        return None
    pairs = (each.partition("|") for each in chosen if each != _NONE)
    return tuple(Said(value=value, scheme=scheme) for scheme, _, value in pairs)


def _form(
    request: Request, access: Access, written: dict[str, str] | None = None, problems: list[str] | None = None
) -> Response:
    records: Records = access.services.records
    signed = making.signed_review(records, access.study)
    context = {
        "actor": access.actor,
        "study": access.study,
        "possible": making.may_teach(records, access.study),
        "signed": signed,
        "collections": records.teaching.collections(),
        "choices": vocabulary(records.models.all()).findings,
        "written": written or {},
        "problems": problems or [],
    }
    status = 422 if problems else 200
    return templates.TemplateResponse(request, "teaching_make.html", context, status_code=status)
