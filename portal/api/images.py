"""Images and overlays as PNG; the objects of results."""

import re
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from firstread.policy import Action
from portal.access import UID, Access, require
from portal.described import sends
from portal.dicomweb.asked import UNREADABLE, Images, one_series
from portal.errors import MissingError
from portal.logic.looks import looked
from portal.logic.models import find_object, find_overlay
from portal.logic.study import is_image
from portal.logic.uptake import ScaleView, uptake_scale

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PNG = "image/png"

router = APIRouter(tags=["images"], default_response_class=Response)


class FrameQuery(BaseModel):
    """How to show a frame.

    Parameters
    ----------
    c, w
        Window Center and Window Width (PS3.3 C.11.2.1.2); both or neither.
    side
        Longest side in pixels.
    """

    model_config = ConfigDict(extra="forbid")

    c: float | None = Field(None, ge=-1e6, le=1e6, allow_inf_nan=False)
    w: float | None = Field(None, gt=0, le=1e6, allow_inf_nan=False)
    side: int = Field(2048, ge=32, le=4096)

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.c is None) != (self.w is None):
            raise ValueError("c and w belong together")
        return self

    @property
    def window(self) -> tuple[float, float] | Literal["voi"]:
        """Return the window that is asked for."""
        return "voi" if self.c is None or self.w is None else (self.c, self.w)


@router.get("/studies/{study_uid}/instances/{sop_uid}/frames/{frame}.png", responses=sends(_PNG))
def get_frame(
    access: Annotated[Access, Depends(require(Action.IMAGE_VIEW))],
    sop_uid: str,
    frame: Annotated[int, Path(ge=1)],
    query: Annotated[FrameQuery, Query()],
) -> Response:
    """Return one frame, 1 first, of a stored image."""
    services = access.services
    known = UID.fullmatch(sop_uid)
    instance = services.records.instances.get(access.study.study_uid, sop_uid) if known else None
    if instance is None or not is_image(instance) or frame > max(1, instance.facts.frames):
        raise MissingError("no such image")
    looked(access, Action.IMAGE_VIEW)
    png = services.pictures.frame(instance.studies_key, frame, query.side, query.window)
    return Response(png, media_type=_PNG)


@router.get(
    "/api/studies/{study_uid}/series/{series_uid}/scale",
    response_class=JSONResponse,
    responses=UNREADABLE,
)
def get_scale(access: Images, series_uid: str) -> ScaleView:
    """Return what makes standardised uptake of the values of a PET series, or why nothing does."""
    return uptake_scale(access.services.dicomweb.documents.datasets(one_series(access, series_uid)))


@router.get("/studies/{study_uid}/overlays/{digest}.png", responses=sends(_PNG))
def get_overlay(access: Annotated[Access, Depends(require(Action.OVERLAY_VIEW))], digest: str) -> Response:
    """Return an overlay that a result on the study's current version names."""
    services = access.services
    known = _DIGEST.fullmatch(digest) and not access.keeps_back
    key = find_overlay(services.records, access.study, digest) if known else None
    if key is None:
        raise MissingError("no such overlay")
    looked(access, Action.OVERLAY_VIEW)
    return Response(services.results_bucket.get(key), media_type=_PNG)


@router.get("/studies/{study_uid}/objects/{digest}", include_in_schema=False)
def get_object(access: Annotated[Access, Depends(require(Action.OVERLAY_VIEW))], digest: str) -> Response:
    """Return a report or DICOM object of a result on the study's current version, to be saved."""
    services = access.services
    known = _DIGEST.fullmatch(digest) and not access.keeps_back
    found = find_object(services.records, access.study, digest) if known else None
    if found is None:
        raise MissingError("no such object")
    looked(access, Action.OVERLAY_VIEW, saved=found.kind.value)
    name = f"{found.kind.value}.{found.key.rsplit('.', 1)[-1]}"
    # Saved and not shown: a report brings its own styles and pictures, which the pages of the portal do not allow.
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(services.results_bucket.get(found.key), media_type=found.content_type, headers=headers)
