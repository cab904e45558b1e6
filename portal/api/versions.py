"""The versions of a study, and what models have drawn on one: to be looked at beside the current one."""

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from firstread.dicomweb.dicom_json import Json
from firstread.dicomweb.held import Held, by_series
from firstread.policy import Action
from portal.access import Access, require
from portal.described import sends
from portal.errors import MissingError
from portal.logic.dicomweb.covered import is_covered, without_gone
from portal.logic.dicomweb.objects import segmentations_of
from portal.logic.looks import looked
from portal.logic.versions import (
    Seen,
    VersionDetail,
    VersionView,
    find_version_overlay,
    read_version,
    read_versions,
    see_version,
)

_DIGEST = re.compile(r"[0-9a-f]{64}")

router = APIRouter(tags=["studies"])
_Studies = Annotated[Access, Depends(require(Action.STUDY_VIEW))]
_Overlays = Annotated[Access, Depends(require(Action.OVERLAY_VIEW))]
_Number = Annotated[int, Path(ge=1, le=999_999)]
_Model = Annotated[str, Query(max_length=200)]


@router.get("/api/studies/{study_uid}/versions")
def get_versions(access: _Studies) -> tuple[VersionView, ...]:
    """Return the versions of a study, the first one first."""
    found = read_versions(access.services.records, access.study, access.actor, kept_back=access.keeps_back)
    looked(access, Action.STUDY_VIEW, what="versions", findings=any(each.models for each in found))
    return found


@router.get("/api/studies/{study_uid}/versions/{version}")
def get_version(access: _Studies, version: _Number) -> VersionDetail:
    """Return one version of a study: its images that are still there, and what models said of it."""
    found = read_version(
        access.services.records, access.study, version, access.actor, kept_back=access.keeps_back
    )
    looked(access, Action.STUDY_VIEW, version=version, findings=found.shows_findings)
    return found


@router.get(
    "/studies/{study_uid}/versions/{version}/overlays/{digest}.png",
    response_class=Response,
    responses=sends("image/png"),
)
def get_version_overlay(access: _Overlays, version: _Number, digest: str) -> Response:
    """Return an overlay that a result on this version of the study names."""
    services = access.services
    known = _DIGEST.fullmatch(digest) and not access.keeps_back
    key = find_version_overlay(services.records, access.study, version, digest) if known else None
    if key is None:
        raise MissingError("no such overlay")
    looked(access, Action.OVERLAY_VIEW, version=version)
    return Response(services.results_bucket.get(key), media_type="image/png")


@router.get("/api/studies/{study_uid}/versions/{version}/segmentations")
def get_version_segmentations(access: _Overlays, version: _Number, model: _Model = "") -> list[Json]:
    """Return the attributes of the segmentations of this version (PS3.18 F), of one model or of all.

    Of images that were withdrawn since, nothing is said: the frames on them have empty functional groups.
    """
    seen, found = _segmentations(access, version, model)
    looked(access, Action.OVERLAY_VIEW, version=version)
    return [each for members in by_series(found).values() for each in _shown(access, seen, members)]


@router.get(
    "/api/studies/{study_uid}/versions/{version}/segmentations/{sop_uid}/frames/{frame}",
    response_class=Response,
    responses=sends("application/octet-stream"),
)
def get_version_segmentation_frame(
    access: _Overlays, version: _Number, sop_uid: str, frame: Annotated[int, Path(ge=1)]
) -> Response:
    """Return one frame, 1 first, of a segmentation of this version, without compression (PS3.5 8.2).

    A frame that was drawn on an image that was withdrawn since is not there any more.
    """
    seen, found = _segmentations(access, version)
    held = next((each for each in found if each.sop_uid == sop_uid), None)
    if held is None:
        raise MissingError("no such segmentation")
    frames = access.services.dicomweb.frames.of(held, [frame])
    if seen.gone:
        dataset = access.services.dicomweb.documents.dataset(by_series(found)[held.series_uid], held)
        if not is_covered(dataset, frame, seen.images):
            raise MissingError("no such frame")
    looked(access, Action.OVERLAY_VIEW, version=version)
    return Response(frames.native(frame), media_type="application/octet-stream")


def _segmentations(access: Access, version: int, model: str = "") -> tuple[Seen, list[Held]]:
    records, study = access.services.records, access.study
    seen = see_version(records, study, version)
    return seen, [] if access.keeps_back else segmentations_of(records, study, version, model)


def _shown(access: Access, seen: Seen, members: Sequence[Held]) -> list[Json]:
    found = access.services.dicomweb.documents.datasets(members)
    if not seen.gone:
        return found
    return [shown for each in found if (shown := without_gone(each, seen.images)) is not None]
