"""WADO-RS: instances as they are stored (PS3.18 10.4.1.1.1)."""

from collections.abc import Iterator, Sequence

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse

from firstread.dicomweb.documents import ROOT
from firstread.dicomweb.header import read_header
from firstread.dicomweb.held import Held
from portal.described import sends
from portal.dicomweb.asked import (
    PROBLEMS,
    UNREADABLE,
    Images,
    accepted,
    one_instance,
    one_series,
    only,
    whole_study,
)
from portal.logic.dicomweb.accept import MULTIPART, Wanted
from portal.logic.dicomweb.errors import NotAcceptableError
from portal.logic.dicomweb.media import DICOM, choose_instance
from portal.logic.dicomweb.multipart import Multipart, chunks
from portal.logic.dicomweb.service import DicomWeb

router = APIRouter(
    prefix=ROOT,
    tags=["DICOMweb"],
    default_response_class=Response,
    dependencies=[Depends(only())],
    responses=sends(MULTIPART, DICOM) | PROBLEMS | UNREADABLE,
)


def _syntax(dicomweb: DicomWeb, held: Held) -> str:
    if held.facts is not None and held.facts.transfer_syntax_uid:
        return held.facts.transfer_syntax_uid
    return str(read_header(dicomweb.buckets[held.place], held.key).stored_syntax)


def _answer(
    dicomweb: DicomWeb, objects: Sequence[Held], wanted: Sequence[Wanted], *, single: bool
) -> Response:
    form = choose_instance(wanted, single=single)
    if form.transfer_syntax:
        for each in objects:
            if (stored := _syntax(dicomweb, each)) != form.transfer_syntax:
                raise NotAcceptableError(f"instances come as they are stored; one of these is in {stored}")
    if not form.multipart:
        return StreamingResponse(chunks(dicomweb.opened(objects[0])), media_type=DICOM)
    multipart = Multipart(DICOM)

    def parts() -> Iterator[tuple[str, Iterator[bytes]]]:
        for each in objects:
            yield f"{DICOM}; transfer-syntax={_syntax(dicomweb, each)}", chunks(dicomweb.opened(each))

    return StreamingResponse(multipart.encode(parts()), headers={"Content-Type": multipart.content_type})


@router.get("/studies/{study_uid}")
def get_study(request: Request, access: Images) -> Response:
    """Return all instances of a study."""
    return _answer(access.services.dicomweb, whole_study(access), accepted(request), single=False)


@router.get("/studies/{study_uid}/series/{series_uid}")
def get_series(request: Request, access: Images, series_uid: str) -> Response:
    """Return the instances of a series."""
    return _answer(access.services.dicomweb, one_series(access, series_uid), accepted(request), single=False)


@router.get("/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}")
def get_instance(request: Request, access: Images, series_uid: str, sop_uid: str) -> Response:
    """Return one instance."""
    held = one_instance(access, series_uid, sop_uid)
    return _answer(access.services.dicomweb, [held], accepted(request), single=True)
