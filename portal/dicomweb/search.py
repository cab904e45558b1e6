"""QIDO-RS: search for studies, series and instances."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from firstread.dicomweb.documents import ROOT
from firstread.policy import Action
from portal.access import Access, require
from portal.described import Json, asks, sends
from portal.dicomweb.asked import DATASETS, PROBLEMS, Images, accepted
from portal.logic.dicomweb.media import JSON, check_json
from portal.logic.dicomweb.query import INSTANCE_KEYS, SERIES_KEYS, STUDY_KEYS, Kind, Query, parse_query
from portal.logic.dicomweb.search import MAX_EXAMINED, Found
from portal.logic.looks import looked

router = APIRouter(
    prefix=ROOT,
    tags=["DICOMweb"],
    default_response_class=Response,
    responses=sends(JSON, schema=DATASETS) | PROBLEMS,
)


def _asks(keys: Mapping[str, Kind]) -> Json:
    return asks(
        **{key: f"{kind.value[0].upper()}{kind.value[1:]}." for key, kind in keys.items()},
        includefield="Keywords, tags, or `all`; an answer has all that is known in any case.",
        fuzzymatching="`false`.",
        limit="Most results, from 1.",
        offset="Results to leave out at the beginning.",
    )


def _query(request: Request, keys: Mapping[str, Kind]) -> Query:
    check_json(accepted(request))
    return parse_query(request.query_params.multi_items(), keys)


def _answer(found: Found) -> Response:
    headers = {}
    if found.unsearched:  # RFC 7234 5.5, which PS3.18 8.3.4.4 refers to
        headers["Warning"] = (
            f'299 - "only the newest {MAX_EXAMINED} studies were searched; narrow the search"'
        )
    elif found.more:
        headers["Warning"] = '299 - "there are additional results that can be requested"'
    return JSONResponse(found.rows, media_type=JSON, headers=headers)


@router.get("/studies", openapi_extra=_asks(STUDY_KEYS))
def search_studies(
    request: Request, access: Annotated[Access, Depends(require(Action.STUDY_VIEW))]
) -> Response:
    """Search for studies."""
    query = _query(request, STUDY_KEYS)
    found, studies = access.services.dicomweb.search.studies(access.actor, query)
    if "AccessionNumber" in query.exact:  # the number itself is not written down
        looked(access, Action.IDENTITY_VIEW, through="dicomweb", by="accession", found=len(studies))
        for study in studies:
            looked(
                access,
                Action.IDENTITY_VIEW,
                study_uid=study.study_uid,
                through="dicomweb",
                by="accession",
                patient=study.gathering.patient,
            )
    else:
        looked(access, Action.STUDY_VIEW, through="dicomweb")
    return _answer(found)


@router.get("/studies/{study_uid}/series", openapi_extra=_asks(SERIES_KEYS))
def search_series(request: Request, access: Images) -> Response:
    """Search for series of a study."""
    query = _query(request, SERIES_KEYS)
    looked(access, Action.STUDY_VIEW, through="dicomweb")
    return _answer(access.services.dicomweb.search.series(access.study, access.actor, query))


@router.get("/studies/{study_uid}/instances", openapi_extra=_asks({**SERIES_KEYS, **INSTANCE_KEYS}))
def search_instances_of_study(request: Request, access: Images) -> Response:
    """Search for instances of a study."""
    query = _query(request, {**SERIES_KEYS, **INSTANCE_KEYS})
    looked(access, Action.STUDY_VIEW, through="dicomweb")
    return _answer(access.services.dicomweb.search.instances(access.study, access.actor, query))


@router.get("/studies/{study_uid}/series/{series_uid}/instances", openapi_extra=_asks(INSTANCE_KEYS))
def search_instances(request: Request, access: Images, series_uid: str) -> Response:
    """Search for instances of a series."""
    query = _query(request, INSTANCE_KEYS)
    looked(access, Action.STUDY_VIEW, through="dicomweb")
    return _answer(access.services.dicomweb.search.instances(access.study, access.actor, query, series_uid))
