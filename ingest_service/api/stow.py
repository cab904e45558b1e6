"""STOW-RS (PS3.18 10.5): instances in, each kept as it came before the answer says so."""

import re
import uuid
from collections.abc import Callable

import anyio
from anyio import create_task_group, to_thread
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import APIRouter, Request
from fastapi.responses import Response

from firstread.handling import describe, logger
from firstread.sources import Source
from ingest_service import stow
from ingest_service.access import Sender
from ingest_service.answers import judge_accept, stored
from ingest_service.body import announced, blocks
from ingest_service.errors import MalformedError, RequestError, TooLargeError
from ingest_service.hints import tell
from ingest_service.inflate import Gzip, Plain, decoder_of
from ingest_service.limits import Place
from ingest_service.parts import Part, Reader, reader_of
from ingest_service.services import Services, services_of
from ingest_service.stow import Kept

router = APIRouter()

_STUDY = re.compile(r"[0-9.]{1,64}")
_BLOCK = 1024 * 1024
_CODED_BLOCK = 64 * 1024  # what it inflates to is in memory at once
_WAITING = 8  # objects of one request that are written at a time


@router.post("/ingest/studies")
async def store(request: Request, source: Sender) -> Response:
    """Store instances of any studies."""
    return await _store(request, source, "")


@router.post("/ingest/studies/{study_uid}")
async def store_study(request: Request, source: Sender, study_uid: str) -> Response:
    """Store instances of one study."""
    if not _STUDY.fullmatch(study_uid):
        raise MalformedError("the URL names no study")
    return await _store(request, source, study_uid)


async def _store(request: Request, source: Source, study_uid: str) -> Response:
    services = services_of(request)
    judge_accept(request.headers.get("accept", ""))
    length = announced(request, services.limits.bytes)
    decoder = decoder_of(request.headers.get("content-encoding", ""), services.limits.ratio)
    reader = reader_of(request.headers.get("content-type", ""), services.limits.parts)
    batch = uuid.uuid4().hex
    work = stow.Request(services.door, source, batch, study_uid)
    with services.gate.place(length) as place:
        try:
            intake = _Intake(reader, decoder, place, services.limits.bytes)
            kept, error = await _receive(request, intake, work.keep, services)
        finally:
            reader.close()
    if error is not None:
        kept_count = sum(each.failure is None for each in kept)
        logger.warning(
            "request broken off", extra={"correlation_id": batch, "status": error.status, "kept": kept_count}
        )
        raise error
    answer = stored(kept, batch)
    await to_thread.run_sync(_end, services, source, batch, work.studies)
    logger.info(
        "request stored",
        extra={
            "correlation_id": batch,
            "source": source.name,
            "kept": sum(each.failure is None for each in kept),
            "failures": sorted(each.failure.value for each in kept if each.failure is not None)[:20],
        },
    )
    return answer


class _Intake:
    """What turns blocks of a body into objects."""

    def __init__(self, reader: Reader, decoder: Plain | Gzip, place: Place, most: int) -> None:
        self.reader, self._decoder, self._place, self._most = reader, decoder, place, most
        self._total = 0
        self.block_size = _BLOCK if isinstance(decoder, Plain) else _CODED_BLOCK

    def write(self, block: bytes) -> None:
        """Read on; runs in a thread, as it hashes and writes to disk."""
        for piece in self._decoder.feed(block):
            self._total += len(piece)
            if self._total > self._most:
                raise TooLargeError("the body is too large")
            self._place.came(self._total)
            self.reader.write(piece)

    def finish(self) -> None:
        """End the body."""
        self._decoder.finish()
        self.reader.finish()


async def _receive(
    request: Request, intake: _Intake, keep: Callable[[Part], Kept], services: Services
) -> tuple[list[Kept], RequestError | None]:
    """Keep objects while the body still comes.

    A body that breaks off is an error, and so is the whole request for its sender; objects that had come whole are
    kept all the same, as nothing can call them back.
    """
    kept: list[Kept] = []
    free = anyio.Semaphore(_WAITING)
    error: RequestError | None = None

    async def one(part: Part) -> None:
        try:
            kept.append(await to_thread.run_sync(keep, part, limiter=services.writers))
        finally:
            free.release()

    async with create_task_group() as tasks:

        async def hand_over() -> None:
            for part in intake.reader.take():
                await free.acquire()
                tasks.start_soon(one, part)

        try:
            async for block in blocks(request, intake.block_size):
                await to_thread.run_sync(intake.write, block)
                await hand_over()
            await to_thread.run_sync(intake.finish)
            await hand_over()
        except RequestError as found:
            error = found
    return kept, error


def _end(services: Services, source: Source, batch: str, studies: dict[str, int]) -> None:
    """Say that the batch is over; a hint that gets lost costs time and no object, so it fails nothing."""
    try:
        tell(services, source.name, batch, studies)
    except (BotoCoreError, ClientError) as error:
        logger.warning("end of a batch not told", extra={**describe(error), "correlation_id": batch})
