"""The page of a study."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from firstread.policy import Action
from portal.access import Access, require
from portal.logic.looks import looked
from portal.logic.study import read_study
from portal.services import templates

router = APIRouter(include_in_schema=False)


@router.get("/studies/{study_uid}")
def show_study(request: Request, access: Annotated[Access, Depends(require(Action.STUDY_VIEW))]) -> Response:
    """Show images and findings of a study."""
    services = access.services
    kept_back = access.keeps_back
    view = read_study(services.records, access.study, access.actor, services.clock(), kept_back=kept_back)
    looked(access, Action.STUDY_VIEW, findings=view.shows_findings)
    identity = services.identities.shown_to(access.actor, access.study)
    context = {
        "actor": access.actor,
        "study": view,
        "identity": identity,
        # As the API says it: the viewer need not ask for what the server has just read.
        "entry": view.model_dump(mode="json", include={"series", "models"}),
    }
    return templates.TemplateResponse(request, "study.html", context)
