"""What this DICOMweb service is, and what it is not."""

from typing import Annotated

from fastapi import APIRouter, Depends

from firstread.dicomweb.documents import ROOT
from firstread.policy import Action
from portal.access import Access, require
from portal.dicomweb.asked import only
from portal.logic.dicomweb.errors import NotServedError
from portal.logic.dicomweb.query import INSTANCE_KEYS, MAX_OFFSET, MAX_STUDIES, SERIES_KEYS, STUDY_KEYS

router = APIRouter(prefix=ROOT, tags=["DICOMweb"])
Reader = Annotated[Access, Depends(require(Action.STUDY_VIEW))]
_NOT_HERE = "Nothing is stored here"


@router.get("/", dependencies=[Depends(only())], responses={400: {}})
def get_capabilities(_: Reader) -> dict[str, object]:
    """Return what can be asked here."""
    return {
        "service": "FirstRead DICOMweb, research use only",
        "identifiers": "pseudonymous UIDs and PatientID; dates are shifted",
        "qido-rs": {
            "studies": list(STUDY_KEYS),
            "series": list(SERIES_KEYS),
            "instances": [*SERIES_KEYS, *INSTANCE_KEYS],
            "most_studies": MAX_STUDIES,
            "furthest_offset": MAX_OFFSET,
        },
        "wado-rs": ["study", "series", "instance", "metadata", "frames", "rendered", "thumbnail", "bulkdata"],
        "stow-rs": "not here: objects with their original UIDs go to /ingest/studies",
    }


@router.post("/studies", status_code=405, response_description=_NOT_HERE)
@router.post(
    "/studies/{study_uid}",
    status_code=405,
    response_description=_NOT_HERE,
    operation_id="dicomweb_store_study",
)
def store(_: Reader) -> None:
    """Refuse to store: what is served here is pseudonymous, and what arrives is not."""
    raise NotServedError("nothing is stored here; send objects with their original UIDs to /ingest/studies")
