"""What the routes of DICOMweb have in common: who asks for which objects, and what they accept."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from firstread.policy import Action
from portal.access import UID, Access, require
from portal.errors import MissingError
from portal.logic.dicomweb.accept import Wanted, parse_accept
from portal.logic.dicomweb.errors import BadQueryError
from portal.logic.dicomweb.objects import Held, objects_of, of_series, one_object

Images = Annotated[Access, Depends(require(Action.IMAGE_VIEW))]
"""Access to the images of the study that the path names."""


def accepted(request: Request) -> tuple[Wanted, ...]:
    """Return what the client accepts."""
    return parse_accept(",".join(request.headers.getlist("accept")))


def only(*names: str) -> Callable[[Request], None]:
    """Return the dependency that refuses every parameter but these: none is ignored."""

    def check(request: Request) -> None:
        for name in request.query_params:
            if name not in names:
                raise BadQueryError(f"this address takes {', '.join(names) or 'no parameters'}")

    return check


def whole_study(access: Access) -> list[Held]:
    """Return the objects of the study, and write down that it was opened.

    Raises
    ------
    MissingError
        If there are none.
    """
    found = objects_of(access.services.records, access.study, access.actor)
    if not found:
        raise MissingError("no such study")
    access.services.dicomweb.openings.opened(access.actor, access.study.study_uid)
    return found


def one_series(access: Access, series_uid: str) -> list[Held]:
    """Return the objects of one series, and write down that the study was opened."""
    return of_series(whole_study(access), series_uid)


def one_instance(access: Access, series_uid: str, sop_uid: str) -> Held:
    """Return one object, and write down that the study was opened."""
    if not (UID.fullmatch(series_uid) and UID.fullmatch(sop_uid)):
        raise MissingError("no such instance")
    found = one_object(access.services.records, access.study, access.actor, series_uid, sop_uid)
    access.services.dicomweb.openings.opened(access.actor, access.study.study_uid)
    return found
