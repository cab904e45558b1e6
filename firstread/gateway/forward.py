"""Hands on what the spool holds, at least once: objects in parallel, feeds one by one, ends of batches last."""

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from firstread.gateway.items import Item, Kind
from firstread.gateway.spool import Spool
from firstread.uploads.client import Upload, Uploaded
from firstread.uploads.errors import BusyError, RefusedUploadError, UnreachableError

_TOGETHER = 16  # objects in one call
_FIRST_PAUSE = 0.5  # seconds
_LOOK = 1.0
# These say nothing about the object: the token has to be renewed, or the upload to be begun again.
_NOT_FOR_EVER = frozenset({"unauthorized", "forbidden", "expired"})
_CHANGED = "changed"
log = logging.getLogger(__name__)


class Client(Protocol):
    """What is needed of `firstread.uploads.client.IngestClient`."""

    def upload(self, items: Sequence[Upload], *, batch: str = "", backfill: bool = False) -> list[Uploaded]:
        """Send objects."""

    def end_batch(self, batch: str, studies: Mapping[str, int]) -> None:
        """Say that a batch is over."""

    def feed(self, message: bytes) -> None:
        """Send one message."""


class Pause:
    """Exponential back-off with jitter, shared by all threads that talk to one service.

    Parameters
    ----------
    longest
        Seconds.
    jitter
        Returns a number between its two arguments.
    clock
        Seconds that only rise.
    """

    def __init__(
        self,
        longest: float,
        jitter: Callable[[float, float], float] = random.uniform,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._longest, self._jitter, self._clock = longest, jitter, clock
        self._failures, self._until = 0, 0.0
        self._lock = threading.Lock()

    def failed(self, at_least: float = 0.0) -> None:
        """Wait longer than the last time, and at least so many seconds."""
        with self._lock:
            if self._clock() < self._until:
                return  # several threads have met the same failure
            delay = min(self._longest, _FIRST_PAUSE * 2 ** min(self._failures, 20))
            self._failures += 1
            self._until = self._clock() + max(at_least, self._jitter(delay / 2, delay))

    def succeeded(self) -> None:
        """Begin from the start."""
        with self._lock:
            self._failures = 0

    @property
    def left(self) -> float:
        """Seconds to wait; 0 or less if none."""
        return self._until - self._clock()


class Forwarder:
    """Threads that empty the spool.

    Parameters
    ----------
    spool
        What to hand on.
    client
        Who takes it; used by several threads.
    uploads
        Calls at the same time.
    longest_pause
        Between two attempts, in seconds.
    backfill
        Names of the sources nobody waits for.
    """

    def __init__(
        self,
        spool: Spool,
        client: Client,
        *,
        uploads: int = 4,
        longest_pause: float = 300,
        backfill: frozenset[str] = frozenset(),
    ) -> None:
        self._spool, self._client, self._backfill = spool, client, backfill
        self._pauses = {kind: Pause(longest_pause) for kind in Kind}
        self._stopping = threading.Event()
        self._taken: set[int] = set()
        self._claims = threading.Lock()
        loops = [self._objects] * uploads + [self._feed, self._ends]
        self._threads = [threading.Thread(target=loop, name="forward") for loop in loops]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the calls that are under way; what waits stays in the spool."""
        self._stopping.set()
        self._spool.notify()
        for thread in self._threads:
            thread.join()

    # ---- the three loops

    def _objects(self) -> None:
        while self._goes_on(Kind.OBJECT):
            group = self._claim()
            if not group:
                self._rest()
                continue
            try:
                self._tell(Kind.OBJECT, partial(self._upload, group))
            finally:
                with self._claims:
                    self._taken.difference_update(item.id for item in group)

    def _feed(self) -> None:
        # One at a time and in order: a merge must not overtake what it merges.
        while self._goes_on(Kind.FEED):
            items = self._spool.waiting(Kind.FEED, 1)
            if not items:
                self._rest()
                continue
            self._tell(Kind.FEED, partial(self._hand_over, items[0]))

    def _ends(self) -> None:
        while self._goes_on(Kind.OBJECT):
            self._tell(Kind.OBJECT, self._end_batches)
            self._rest()

    # ---- what they do

    def _claim(self) -> list[Item]:
        """Take some objects of one batch that no other thread has."""
        with self._claims:
            found = self._spool.waiting(Kind.OBJECT, len(self._taken) + _TOGETHER)
            free = [item for item in found if item.id not in self._taken]
            group = [item for item in free if item.batch == free[0].batch]
            self._taken.update(item.id for item in group)
        return group

    def _upload(self, group: Sequence[Item]) -> None:
        uploads = {_upload(item): item for item in group if self._is_there(item)}
        if not uploads:
            return
        backfill = group[0].source in self._backfill
        try:
            self._client.upload(list(uploads), batch=group[0].batch, backfill=backfill)
        except RefusedUploadError as error:
            self._done(uploads, error.done)
            if error.reason in _NOT_FOR_EVER:
                raise
            rest = [item for upload, item in uploads.items() if upload not in _uploads(error.done)]
            self._sort_out(rest, error.reason)
        except (BusyError, UnreachableError) as error:
            self._done(uploads, error.done)
            raise
        else:
            self._spool.sent(list(uploads.values()))

    def _sort_out(self, rest: Sequence[Item], reason: str) -> None:
        """Put aside what was refused: the one object, or find out which by sending them one by one."""
        if len(rest) == 1:
            if reason == _CHANGED and _is_whole(rest[0]):
                raise UnreachableError  # it could not be opened just now, for want of descriptors
            log.error("object %d was refused: %s", rest[0].id, reason)
            self._spool.refuse(rest[0], reason)
            return
        for item in rest:
            self._upload([item])

    def _done(self, uploads: Mapping[Upload, Item], done: Sequence[Uploaded]) -> None:
        acknowledged = _uploads(done)
        sent = [item for upload, item in uploads.items() if upload in acknowledged]
        if sent:
            self._spool.sent(sent)
        self._spool.failed([item for upload, item in uploads.items() if upload not in acknowledged])

    def _is_there(self, item: Item) -> bool:
        if item.path.exists():
            return True
        log.error("object %d is no longer in the spool", item.id)
        self._spool.refuse(item, "file_missing")
        return False

    def _hand_over(self, item: Item) -> None:
        if not self._is_there(item):
            return
        try:
            self._client.feed(item.path.read_bytes())
        except RefusedUploadError as error:
            if error.reason in _NOT_FOR_EVER:
                raise
            log.error("message %d was refused: %s", item.id, error.reason)
            self._spool.refuse(item, error.reason)
        else:
            self._spool.sent([item])

    def _end_batches(self) -> None:
        self._spool.forget_aborted()
        for batch in self._spool.ended():
            if self._stopping.is_set():
                return
            try:
                self._client.end_batch(batch.batch, batch.studies)
            except RefusedUploadError as error:
                if error.reason in _NOT_FOR_EVER:
                    raise
                # A hint only: without it, the quiet time decides that the study is complete.
                log.error("the end of a batch was refused: %s", error.reason)
                self._spool.count("end_refused")
            else:
                self._spool.count("end_sent")
            self._spool.forget(batch.batch)

    # ---- when

    def _tell(self, kind: Kind, step: Callable[[], None]) -> None:
        """Do a step; where it fails, wait before the next one."""
        pause = self._pauses[kind]
        try:
            step()
        except BusyError as error:
            pause.failed(error.retry_after)
        except UnreachableError:
            log.warning("the ingest service does not answer")
            pause.failed()
        except RefusedUploadError as error:
            log.error("the ingest service refuses this gateway: %s", error.reason)
            self._spool.count("gateway_refused")
            pause.failed()
        except Exception as error:
            # The thread has to live; the text of an error may quote an object.
            log.error("forwarding has failed: %s", type(error).__name__)
            pause.failed()
        else:
            pause.succeeded()

    def _goes_on(self, kind: Kind) -> bool:
        """Wait as long as the service needs; return whether to go on."""
        while not self._stopping.is_set() and (left := self._pauses[kind].left) > 0:
            self._stopping.wait(min(left, _LOOK))
        return not self._stopping.is_set()

    def _rest(self) -> None:
        with self._spool.changed:
            if not self._stopping.is_set():
                self._spool.changed.wait(_LOOK)


def _upload(item: Item) -> Upload:
    about = item.about
    return Upload(
        item.path, item.sha256, item.size, about.study_uid, about.sop_uid, item.number, about.urgent
    )


def _is_whole(item: Item) -> bool:
    with item.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == item.sha256


def _uploads(done: Sequence[Uploaded]) -> set[Upload]:
    return {each.upload for each in done}
