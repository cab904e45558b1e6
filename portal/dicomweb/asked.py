"""What the routes of DICOMweb have in common: who asks for which objects, and what they accept."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from firstread.dicomweb.held import Held
from firstread.policy import Action
from portal.access import Access, require
from portal.described import Json
from portal.errors import MissingError
from portal.logic.dicomweb.accept import Wanted, parse_accept
from portal.logic.dicomweb.errors import BadQueryError
from portal.logic.dicomweb.objects import of_series
from portal.logic.looks import looked

Images = Annotated[Access, Depends(require(Action.IMAGE_VIEW))]
"""Access to the images of the study that the path names."""


DATASETS: Json = {"type": "array", "items": {"type": "object"}}
"""Objects of the DICOM JSON model (PS3.18 F.2), as the OpenAPI document has them."""

PROBLEMS: dict[int | str, Json] = {400: {}, 406: {}}
"""What is wrong with a request: a parameter, or what it accepts."""

UNREADABLE: dict[int | str, Json] = {422: {"description": "The object cannot be read or shown"}}


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
    """Return the objects of the study, and write down that they are looked at.

    Raises
    ------
    MissingError
        If there are none.
    """
    return _looked_at(access, _objects(access))


def one_series(access: Access, series_uid: str) -> list[Held]:
    """Return the objects of one series, and write down that they are looked at."""
    return _looked_at(access, of_series(_objects(access), series_uid))


def one_instance(access: Access, series_uid: str, sop_uid: str) -> Held:
    """Return one object, and write down that it is looked at."""
    for each in of_series(_objects(access), series_uid):
        if each.sop_uid == sop_uid:
            return _looked_at(access, [each])[0]
    raise MissingError("no such instance")


def _objects(access: Access) -> list[Held]:
    found = access.services.dicomweb.objects.of(access.study, access.actor)
    if not found:
        raise MissingError("no such study")
    return found


def _looked_at(access: Access, objects: list[Held]) -> list[Held]:
    """Write down the look, once in some minutes: nothing is handed out without a trace."""
    for action in sorted({each.shows for each in objects}):
        looked(access, action, through="dicomweb")
    return objects
