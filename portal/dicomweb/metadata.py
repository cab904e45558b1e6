"""Metadata of studies, series and instances (PS3.18 10.4.1.1.2)."""

import gzip

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from firstread.dicomweb.documents import ROOT, compressed
from firstread.dicomweb.held import by_series
from portal.described import asks, sends
from portal.dicomweb.asked import (
    DATASETS,
    PROBLEMS,
    UNREADABLE,
    Images,
    accepted,
    one_series,
    only,
    whole_study,
)
from portal.errors import MissingError
from portal.logic.dicomweb.media import JSON, check_json

router = APIRouter(
    prefix=ROOT,
    tags=["DICOMweb"],
    default_response_class=Response,
    dependencies=[Depends(only("includefield"))],
    responses=sends(JSON, schema=DATASETS) | PROBLEMS | UNREADABLE,
)
_ASKS = asks(includefield="Passed over; all that is known is there.")


def answer_zipped(request: Request, zipped: bytes) -> Response:
    """Return metadata that are kept zipped, zipped to whoever takes it."""
    headers = {"Vary": "Accept, Accept-Encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(gzip.decompress(zipped), media_type=JSON, headers=headers)
    return Response(zipped, media_type=JSON, headers={**headers, "Content-Encoding": "gzip"})


@router.get("/studies/{study_uid}/metadata", openapi_extra=_ASKS)
def get_study_metadata(request: Request, access: Images) -> Response:
    """Return the metadata of all instances of a study."""
    check_json(accepted(request))
    documents = access.services.dicomweb.documents
    arrays = [
        gzip.decompress(documents.series(members)).strip()[1:-1]
        for members in by_series(whole_study(access)).values()
    ]
    return answer_zipped(request, compressed(b"[" + b",".join(arrays) + b"]"))


@router.get("/studies/{study_uid}/series/{series_uid}/metadata", openapi_extra=_ASKS)
def get_series_metadata(request: Request, access: Images, series_uid: str) -> Response:
    """Return the metadata of the instances of a series."""
    check_json(accepted(request))
    return answer_zipped(request, access.services.dicomweb.documents.series(one_series(access, series_uid)))


@router.get("/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}/metadata", openapi_extra=_ASKS)
def get_instance_metadata(request: Request, access: Images, series_uid: str, sop_uid: str) -> Response:
    """Return the metadata of one instance."""
    check_json(accepted(request))
    members = one_series(access, series_uid)
    held = next((each for each in members if each.sop_uid == sop_uid), None)
    if held is None:
        raise MissingError("no such instance")
    return answer_zipped(request, access.services.dicomweb.documents.instance(members, held))
