"""Studies and their audit trail as JSON."""

from typing import Annotated

from fastapi import APIRouter, Depends

from firstread.policy import Action
from firstread.records.audit import Detail
from portal.access import Access, require
from portal.logic.looks import looked
from portal.logic.study import StudyView, read_study

router = APIRouter(tags=["studies"])


@router.get("/api/studies/{study_uid}")
def get_study(access: Annotated[Access, Depends(require(Action.STUDY_VIEW))]) -> StudyView:
    """Return a study as its page shows it."""
    services = access.services
    kept_back = access.keeps_back
    view = read_study(services.records, access.study, access.actor, services.clock(), kept_back=kept_back)
    looked(access, Action.STUDY_VIEW, findings=view.shows_findings)
    return view


@router.get("/api/studies/{study_uid}/audit")
def get_audit(access: Annotated[Access, Depends(require(Action.AUDIT_VIEW))]) -> list[dict[str, Detail]]:
    """Return who did what to a study, oldest first."""
    looked(access, Action.AUDIT_VIEW, what="study")
    return access.services.records.audit.of(f"study#{access.study.study_uid}")
