"""Pictures of instances: rendered and thumbnail (PS3.18 10.4.1.1.3 and .4)."""

import math

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from firstread.dicomweb.documents import ROOT
from firstread.dicomweb.held import Held
from firstread.imaging.render import Rendering
from portal.access import Access
from portal.described import asks, sends
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
from portal.errors import MissingError
from portal.logic.dicomweb.errors import BadQueryError, NotAcceptableError
from portal.logic.dicomweb.media import JPEG, PNG, choose_rendered

_QUALITY = 90
_THUMBNAIL = 256
_MOST_PIXELS = 4096

router = APIRouter(
    prefix=ROOT,
    tags=["DICOMweb"],
    default_response_class=Response,
    dependencies=[Depends(only("window", "viewport", "quality"))],
    responses=sends(JPEG, PNG) | PROBLEMS | UNREADABLE,
)
_ASKS = asks(
    window="Center and width, as in `40,400` or `40,400,linear`.",
    viewport="Width and height in pixels, and the region of the image, as in `512,512` or `512,512,0,0,64,64`.",
    quality="Of a JPEG, 1 to 100.",
)


def rendering_of(request: Request, *, most: int = _MOST_PIXELS) -> tuple[Rendering, str]:
    """Return how a picture is asked for, and its media type.

    Raises
    ------
    BadQueryError
        If a parameter is not as PS3.18 8.3.5 has it.
    """
    media_type = choose_rendered(accepted(request))
    given = request.query_params
    quality = _numbers("quality", given.get("quality", str(_QUALITY)), (1,))[0]
    if not 1 <= quality <= 100:
        raise BadQueryError("quality is from 1 to 100")
    view = _numbers("viewport", given["viewport"], (2, 6)) if "viewport" in given else (most, most)
    if not all(1 <= each <= _MOST_PIXELS for each in view[:2]):
        raise BadQueryError(f"a viewport is from 1 to {_MOST_PIXELS} wide and high")
    how = Rendering(
        window=_window(given["window"]) if "window" in given else "voi",
        size=(int(view[0]), int(view[1])),
        region=(view[2], view[3], view[4], view[5]) if len(view) == 6 else None,
        quality=int(quality) if media_type == JPEG else None,
    )
    return how, media_type


def _window(text: str) -> tuple[float, float]:
    center_width, found, function = text.rpartition(",")
    if not found or function.strip().lower() not in ("linear", "linear-exact", "sigmoid"):
        center_width, function = text, "linear"
    if function.strip().lower() != "linear":
        raise BadQueryError("a window is a center and a width, and linear")
    center, width = _numbers("window", center_width, (2,))
    if width <= 0:
        raise BadQueryError("the width of a window is more than 0")
    return center, width


def _numbers(name: str, text: str, counts: tuple[int, ...]) -> tuple[float, ...]:
    try:
        found = tuple(float(each) for each in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in counts or not all(math.isfinite(each) and abs(each) <= 1e6 for each in found):
        raise BadQueryError(f"{name} takes {' or '.join(str(each) for each in counts)} numbers")
    return found


def _picture(access: Access, held: Held, number: int, how: Rendering, media_type: str) -> Response:
    facts = held.facts
    if facts is not None and not (facts.rows and facts.columns):
        raise NotAcceptableError("this instance is no image; ask for the instance itself")
    if facts is not None and number > max(1, facts.frames):
        raise MissingError("no such frame")
    body = access.services.dicomweb.pictures[held.place].rendered(held.key, number, how)
    return Response(body, media_type=media_type)


def _middle(objects: list[Held]) -> Held:
    """Return the middle image; the first of a series is often air."""
    images = [each for each in objects if each.facts and each.facts.rows and each.facts.columns]
    if not images:
        raise MissingError("there is no image")
    return images[len(images) // 2]


@router.get("/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}/rendered", openapi_extra=_ASKS)
def get_rendered(request: Request, access: Images, series_uid: str, sop_uid: str) -> Response:
    """Return an instance as a picture; of several frames, the first."""
    how, media_type = rendering_of(request)
    return _picture(access, one_instance(access, series_uid, sop_uid), 1, how, media_type)


@router.get(
    "/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}/frames/{frame}/rendered",
    openapi_extra=_ASKS,
)
def get_rendered_frame(
    request: Request, access: Images, series_uid: str, sop_uid: str, frame: str
) -> Response:
    """Return one frame as a picture."""
    how, media_type = rendering_of(request)
    if not (frame.isascii() and frame.isdigit() and 0 < len(frame) <= 7 and int(frame)):
        raise BadQueryError("one frame is rendered at a time: a number from 1")
    return _picture(access, one_instance(access, series_uid, sop_uid), int(frame), how, media_type)


@router.get("/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}/thumbnail", openapi_extra=_ASKS)
def get_thumbnail(request: Request, access: Images, series_uid: str, sop_uid: str) -> Response:
    """Return an instance as a small picture."""
    how, media_type = rendering_of(request, most=_THUMBNAIL)
    return _picture(access, one_instance(access, series_uid, sop_uid), 1, how, media_type)


@router.get("/studies/{study_uid}/series/{series_uid}/thumbnail", openapi_extra=_ASKS)
def get_series_thumbnail(request: Request, access: Images, series_uid: str) -> Response:
    """Return the middle image of a series as a small picture."""
    how, media_type = rendering_of(request, most=_THUMBNAIL)
    return _picture(access, _middle(one_series(access, series_uid)), 1, how, media_type)


@router.get("/studies/{study_uid}/thumbnail", openapi_extra=_ASKS)
def get_study_thumbnail(request: Request, access: Images) -> Response:
    """Return the middle image of a study as a small picture."""
    how, media_type = rendering_of(request, most=_THUMBNAIL)
    return _picture(access, _middle(whole_study(access)), 1, how, media_type)
