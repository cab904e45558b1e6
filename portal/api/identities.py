"""Whose studies are, as JSON, for those who may know."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from firstread.policy import Action
from portal.access import UID, Access, require
from portal.errors import MissingError
from portal.logic.identity import Identity

MOST = 50
"""Studies of one request: what a reader has before their eyes."""

router = APIRouter(tags=["identities"])


class StudiesQuery(BaseModel):
    """Whose identity is asked for."""

    model_config = ConfigDict(extra="forbid")

    study_uid: list[Annotated[str, Field(pattern=f"^{UID.pattern}$")]] = Field([], max_length=MOST)


@router.get("/api/studies/{study_uid}/identity")
def get_identity(access: Annotated[Access, Depends(require(Action.IDENTITY_VIEW))]) -> Identity:
    """Return whose a study is; the look is an event."""
    found = access.services.identities.shown_to(access.actor, access.study)
    if found is None:
        raise MissingError("no such study")
    return found


@router.get("/api/worklist/identities")
def get_identities(
    access: Annotated[Access, Depends(require(Action.IDENTITY_VIEW))],
    query: Annotated[StudiesQuery, Query()],
) -> list[Identity]:
    """Return whose some studies of the worklist are; each look is an event, and what is not there is left out."""
    services = access.services
    studies = (services.records.studies.get(study_uid) for study_uid in dict.fromkeys(query.study_uid))
    found = (services.identities.shown_to(access.actor, study) for study in studies if study is not None)
    return [identity for identity in found if identity is not None]
