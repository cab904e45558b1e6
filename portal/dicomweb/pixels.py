"""Frames of instances, and long values (PS3.18 10.4.1.1.5 and .6)."""

import re
from collections.abc import Iterator, Sequence

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse

from firstread.dicomweb.documents import ROOT
from firstread.dicomweb.frames import ObjectFrames
from portal.described import sends
from portal.dicomweb.asked import PROBLEMS, UNREADABLE, Images, accepted, one_instance, only
from portal.logic.dicomweb.accept import MULTIPART
from portal.logic.dicomweb.bulk import Bulk, read_bulk
from portal.logic.dicomweb.errors import BadQueryError, NotAcceptableError
from portal.logic.dicomweb.media import NATIVE, OCTETS, Form, choose_bulk, choose_frames, is_decodable
from portal.logic.dicomweb.multipart import Multipart

_FRAMES = re.compile(r"[0-9]{1,7}(,[0-9]{1,7}){0,999}")

router = APIRouter(
    prefix=ROOT,
    tags=["DICOMweb"],
    default_response_class=Response,
    dependencies=[Depends(only())],
    responses=PROBLEMS | UNREADABLE,
)


def frame_numbers(text: str) -> list[int]:
    """Return the numbers of a list of frames, 1 first.

    Raises
    ------
    BadQueryError
        If it is no list of at most a thousand numbers.
    """
    if not _FRAMES.fullmatch(text):
        raise BadQueryError("frames are numbers from 1 with commas in between, at most a thousand")
    return [int(each) for each in text.split(",")]


def _bytes_of(frames: ObjectFrames, number: int, form: Form) -> bytes:
    return frames.native(number) if form.transfer_syntax == NATIVE else frames.stored(number)


@router.get(
    "/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}/frames/{frames}",
    responses=sends(MULTIPART, OCTETS, "image/*"),
)
def get_frames(request: Request, access: Images, series_uid: str, sop_uid: str, frames: str) -> Response:
    """Return frames of an instance."""
    numbers = frame_numbers(frames)
    held = one_instance(access, series_uid, sop_uid)
    return answer_frames(request, access.services.dicomweb.frames.of(held, numbers), numbers)


def answer_frames(request: Request, found: ObjectFrames, numbers: Sequence[int]) -> Response:
    """Return frames of an object in the form that is asked for.

    Raises
    ------
    NotAcceptableError
        If they cannot be had as they are asked for.
    """
    if not is_decodable(found.stored_syntax):
        raise NotAcceptableError("a video has no frames that can be handed out; ask for the instance")
    form = choose_frames(accepted(request), found.stored_syntax, single=len(numbers) == 1)
    # The first frame is read before the answer begins: what goes wrong with it can still be said.
    first = _bytes_of(found, numbers[0], form)
    if not form.multipart:
        return Response(first, headers={"Content-Type": form.part_type})
    multipart = Multipart(form.media_type)

    def parts() -> Iterator[tuple[str, list[bytes]]]:
        yield form.part_type, [first]
        for number in numbers[1:]:
            yield form.part_type, [_bytes_of(found, number, form)]

    headers = {"Content-Type": multipart.content_type}
    if len(numbers) == 1:
        return Response(b"".join(multipart.encode(parts())), headers=headers)
    return StreamingResponse(multipart.encode(parts()), headers=headers)


@router.get(
    "/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}/bulkdata/{path}",
    responses=sends(MULTIPART, OCTETS, "application/*"),
)
def get_bulk_data(request: Request, access: Images, series_uid: str, sop_uid: str, path: str) -> Response:
    """Return a long value that the metadata names by its address."""
    held = one_instance(access, series_uid, sop_uid)
    return answer_bulk(request, read_bulk(access.services.dicomweb.buckets[held.place], held.key, path))


def answer_bulk(request: Request, bulk: Bulk) -> Response:
    """Return a long value in the form that is asked for."""
    form = choose_bulk(accepted(request), bulk.media_type)
    if not form.multipart:
        return StreamingResponse(bulk.chunks(), headers={"Content-Type": form.media_type})
    multipart = Multipart(form.media_type)
    body = multipart.encode([(form.media_type, bulk.chunks())])
    return StreamingResponse(body, headers={"Content-Type": multipart.content_type})
