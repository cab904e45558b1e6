"""What changed on the worklist, told to everybody who has it open.

One poll per process and role, however many readers there are; none while nobody looks.
"""

import asyncio
import logging
from asyncio import Queue, QueueFull, Task, to_thread
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from firstread.policy import Role
from portal.logic.worklist import View, Worklist, WorklistRow

POLL_SECONDS: Final = 2.0
CHECK_SECONDS: Final = 10.0
_WAITING: Final = 32  # changes that a reader may be behind; whoever is further behind connects anew
_logger = logging.getLogger(__name__)


class RowMark(View):
    """A row of the first page: which study, what is shown of it (`WorklistRow.fingerprint`), whether it is urgent."""

    study_uid: str
    fingerprint: str
    urgent: bool


class Change(View):
    """What changed on the first page.

    Parameters
    ----------
    at
        When it was seen.
    whole
        Whether `rows` is the whole first page, and not only what is new or differs.
    gone
        Studies that have left the list.
    """

    at: str
    whole: bool = False
    rows: tuple[RowMark, ...] = ()
    gone: tuple[str, ...] = ()


class Trouble(View):
    """The worklist cannot be read at present."""


Said = Change | Trouble
_END = None


class _Watch:
    """What a role saw last, and who wants to know what follows."""

    def __init__(self) -> None:
        self.seen: Change | None = None
        self.full = False
        self.in_trouble = False
        self.readers: set[Queue[Said | None]] = set()

    def tell(self, said: Said) -> None:
        for reader in list(self.readers):
            try:
                reader.put_nowait(said)
            except QueueFull:
                self.readers.discard(reader)
                reader.get_nowait()
                reader.put_nowait(_END)

    def see(self, worklist: Worklist) -> None:
        rows = tuple(_mark(row) for row in worklist.rows)
        before, was_full = self.seen, self.full
        self.seen, self.full = Change(at=worklist.at, whole=True, rows=rows), bool(worklist.next)
        if before is None or self.in_trouble:
            self.in_trouble = False
            self.tell(self.seen)
            return
        fresh = _news(before.rows, rows, was_full)
        gone = tuple(mark.study_uid for mark in _strangers(rows, before.rows, self.full))
        if fresh or gone:
            self.tell(Change(at=worklist.at, rows=fresh, gone=gone))


class Live:
    """Follows the first page of the worklist.

    Parameters
    ----------
    read
        Reads the first page as a role sees it; called in a thread.
    poll_seconds
        How often.
    check_seconds
        How often each reader's session is looked at.
    """

    def __init__(
        self,
        read: Callable[[Role], Worklist],
        poll_seconds: float = POLL_SECONDS,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._read = read
        self._poll_seconds = poll_seconds
        self._check_seconds = check_seconds
        self._watches: dict[Role, _Watch] = {}
        self._task: Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether anything is polled."""
        return self._task is not None and not self._task.done()

    async def follow(self, role: Role, is_signed_in: Callable[[], bool]) -> AsyncGenerator[Said, None]:
        """Yield the first page as it is, then what changes, until the session ends or the reader is far behind.

        Parameters
        ----------
        role
            Who looks.
        is_signed_in
            Whether the session is still there; must not keep it there. Called in a thread.
        """
        loop = asyncio.get_running_loop()
        with self._reader(role) as queue:
            checked = loop.time()
            while True:
                left = checked + self._check_seconds - loop.time()
                if left <= 0:
                    if not await to_thread(is_signed_in):
                        return
                    checked = loop.time()
                    continue
                try:
                    said = await asyncio.wait_for(queue.get(), left)
                except TimeoutError:
                    continue
                if said is _END:
                    return
                yield said

    @contextmanager
    def _reader(self, role: Role) -> Iterator[Queue[Said | None]]:
        watch = self._watches.setdefault(role, _Watch())
        queue: Queue[Said | None] = Queue(_WAITING)
        watch.readers.add(queue)
        if watch.seen is not None:
            queue.put_nowait(watch.seen)
        if not self.is_running:
            self._task = asyncio.get_running_loop().create_task(self._poll())
        try:
            yield queue
        finally:
            watch.readers.discard(queue)
            if not watch.readers:
                # What was seen grows old while nobody polls.
                self._watches.pop(role, None)
            if not self._watches and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _poll(self) -> None:
        while True:
            for role, watch in list(self._watches.items()):
                try:
                    watch.see(await to_thread(self._read, role))
                except Exception as error:
                    # Whatever it is: a list that silently stands still is worse. Its text may quote anything.
                    if not watch.in_trouble:
                        _logger.warning("the worklist cannot be read: %s", type(error).__name__)
                        watch.tell(Trouble())
                    watch.in_trouble = True
            await asyncio.sleep(self._poll_seconds)


def _mark(row: WorklistRow) -> RowMark:
    return RowMark(study_uid=row.study_uid, fingerprint=row.fingerprint, urgent=row.urgent)


def _news(before: Sequence[RowMark], now: Sequence[RowMark], was_full: bool) -> tuple[RowMark, ...]:
    known = {mark.study_uid: mark for mark in before}
    new = {mark.study_uid for mark in _strangers(before, now, was_full)}
    return tuple(
        mark
        for mark in now
        if mark.study_uid in new or (mark.study_uid in known and known[mark.study_uid] != mark)
    )


def _strangers(known: Sequence[RowMark], marks: Sequence[RowMark], is_cut: bool) -> list[RowMark]:
    """Return the marks that are not known; where the known page is cut, none that may only be behind its end."""
    uids = {mark.study_uid for mark in known}
    strange = [mark.study_uid not in uids for mark in marks]
    if is_cut:
        familiar = [index for index, each in enumerate(strange) if not each]
        strange = strange[: familiar[-1] if familiar else len(strange)]
    return [mark for mark, each in zip(marks, strange, strict=False) if each]
