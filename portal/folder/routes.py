"""The routes of a folder: what the viewer asks of the portal, and no more."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse, Response

from firstread.dicomweb.documents import ROOT
from portal.api.images import FrameQuery
from portal.dicomweb.asked import accepted, only
from portal.dicomweb.metadata import answer_zipped
from portal.dicomweb.pixels import answer_bulk, answer_frames, frame_numbers
from portal.errors import MissingError
from portal.folder.kinds import Study
from portal.folder.local import FolderSeries, Local, local_of, series_views
from portal.folder.words import converted_scale
from portal.logic.dicomweb.bulk import read_bulk
from portal.logic.dicomweb.media import JSON, PNG, check_json
from portal.logic.dicomweb.query import STUDY_KEYS, parse_query
from portal.logic.uptake import ScaleView, uptake_scale
from portal.logic.worklist import View

Shown = Annotated[Local, Depends(local_of)]
_INSTANCE = ROOT + "/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"

router = APIRouter()


class FolderStudy(View):
    """A study as the viewer asks for it; no model has looked at it."""

    series: tuple[FolderSeries, ...]
    models: tuple[()] = ()


class FolderMask(View):
    """A region on a series.

    Parameters
    ----------
    key
        Names the region on the page.
    series_uid, sop_uid, segment
        The segmentation that shows it, and its number in it; "" and 0 where it is not drawn.
    reason
        Why it is not drawn; "" where it is.
    """

    key: str
    colour: str
    series_uid: str
    sop_uid: str
    segment: int
    reason: str


@router.get("/api/studies/{study_uid}")
def get_study(local: Shown, study_uid: str) -> FolderStudy:
    """Return the series of a study."""
    return FolderStudy(series=series_views(local.study(study_uid)))


@router.get("/api/studies/{study_uid}/versions")
def get_versions(local: Shown, study_uid: str) -> list[str]:
    """Return no versions: a folder is as it is."""
    local.study(study_uid)
    return []


@router.get("/api/studies/{study_uid}/series/{series_uid}/scale")
def get_scale(local: Shown, study_uid: str, series_uid: str) -> ScaleView:
    """Return what makes standardised uptake of the values of a PET series, or why nothing does."""
    series = next((each for each in local.study(study_uid).series if each.uid == series_uid), None)
    if series is not None and series.voxels is not None:
        return converted_scale(series.voxels)
    return uptake_scale(local.documents.datasets(local.series(study_uid, series_uid)))


@router.get("/api/studies/{study_uid}/masks")
def get_masks(local: Shown, study_uid: str) -> list[FolderMask]:
    """Return the regions of a study; the first who asks waits until they are made."""
    return [
        FolderMask(
            key=each.key,
            colour=each.colour,
            series_uid=each.held.series_uid if each.held else "",
            sop_uid=each.held.sop_uid if each.held else "",
            segment=each.segment,
            reason=each.reason,
        )
        for each in local.masks.of(local.study(study_uid))
    ]


@router.get(f"{ROOT}/studies")
def search_studies(request: Request, local: Shown) -> Response:
    """Search for studies: the viewer offers others of the same patient beside the one that is open."""
    query = parse_query(request.query_params.multi_items(), STUDY_KEYS)
    studies = local.folder.studies.values()
    wanted = query.exact.get("PatientID")
    found = [
        _study_row(each)
        for each in studies
        if query.has_uid("StudyInstanceUID", each.uid) and wanted in (None, each.first["patient_id"])
    ]
    return JSONResponse(found, media_type=JSON)


def _study_row(study: Study) -> dict[str, Any]:
    first = study.first
    values = {
        "00080020": ("DA", [f"{first['study_date']:%Y%m%d}"] if first["study_date"] else []),
        "00080061": ("CS", sorted({str(each.images[0]["modality"]) for each in study.series})),
        "00081030": ("LO", [first["study_description"]] if first["study_description"] else []),
        "00100020": ("LO", [first["patient_id"]] if first["patient_id"] else []),
        "0020000D": ("UI", [study.uid]),
    }
    return {tag: {"vr": vr} | ({"Value": value} if value else {}) for tag, (vr, value) in values.items()}


@router.get(ROOT + "/studies/{study_uid}/series/{series_uid}/metadata")
def get_series_metadata(request: Request, local: Shown, study_uid: str, series_uid: str) -> Response:
    """Return the metadata of a series (PS3.18 10.4.1.1.2)."""
    check_json(accepted(request))
    return answer_zipped(request, local.documents.series(local.series(study_uid, series_uid)))


@router.get(_INSTANCE + "/metadata")
def get_instance_metadata(
    request: Request, local: Shown, study_uid: str, series_uid: str, sop_uid: str
) -> Response:
    """Return the metadata of an instance."""
    check_json(accepted(request))
    members = local.series(study_uid, series_uid)
    held = local.instance(study_uid, series_uid, sop_uid)
    return answer_zipped(request, local.documents.instance(members, held))


@router.get(_INSTANCE + "/frames/{frames}", dependencies=[Depends(only())])
def get_frames(
    request: Request, local: Shown, study_uid: str, series_uid: str, sop_uid: str, frames: str
) -> Response:
    """Return frames of an instance (PS3.18 10.4.1.1.6)."""
    numbers = frame_numbers(frames)
    return answer_frames(
        request, local.frames.of(local.instance(study_uid, series_uid, sop_uid), numbers), numbers
    )


@router.get(_INSTANCE + "/bulkdata/{path}", dependencies=[Depends(only())])
def get_bulk_data(
    request: Request, local: Shown, study_uid: str, series_uid: str, sop_uid: str, path: str
) -> Response:
    """Return a long value that the metadata names by its address."""
    held = local.instance(study_uid, series_uid, sop_uid)
    return answer_bulk(request, read_bulk(local.sources[held.place], held.key, path))


@router.get("/studies/{study_uid}/instances/{sop_uid}/frames/{frame}.png")
def get_picture(
    local: Shown,
    study_uid: str,
    sop_uid: str,
    frame: Annotated[int, Path(ge=1)],
    query: Annotated[FrameQuery, Depends()],
) -> Response:
    """Return one frame, 1 first, of an image as a picture."""
    for series in local.study(study_uid).series:
        for image in series.images:
            if image["sop_uid"] == sop_uid and frame <= image["frames"]:
                png = local.pictures.frame(image["path"], frame, query.side, query.window)
                return Response(png, media_type=PNG)
    raise MissingError("no such image")
