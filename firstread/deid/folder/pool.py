"""Tasks through one worker or several, results in the order of the tasks."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from firstread.deid.folder.errors import JobError
from firstread.deid.folder.worker import Done, Settings, Task, Worker, sha256_of
from firstread.errors import Reason

_WAITING_PER_WORKER = 3
_GROUP = 8  # files that wait for the disk together
_Group = tuple[Task, ...]
_settings: Settings
_worker: Worker | None = None


def in_order(tasks: Iterable[Task], settings: Settings, jobs: int) -> Generator[tuple[Task, Done]]:
    """Yield each task with what became of it.

    A file that kills the process which reads it (decoders are no Python) is quarantined; the others go on. With one
    job it takes this process with it.

    Parameters
    ----------
    tasks
        Taken only a few ahead of what is yielded, so there may be millions.
    settings
        For the workers.
    jobs
        Number of processes; with one, everything happens in this process.

    Raises
    ------
    JobError
        If the disk or the vault fails, or no process can be started.
    """
    groups = _groups(tasks)
    if jobs == 1:
        worker = Worker(settings)
        for group in groups:
            yield from zip(group, worker(group), strict=True)
        return
    pool = _pool(jobs, settings)
    waiting: deque[tuple[_Group, Future[list[Done]]]] = deque()
    try:
        while True:
            for group in islice(groups, jobs * _WAITING_PER_WORKER - len(waiting)):
                waiting.append((group, _submit(pool, group)))
            if not waiting:
                return
            group, future = waiting.popleft()
            try:
                done = future.result()
            except BrokenProcessPool:
                pool.shutdown()
                done = [_by_itself(task, settings) for task in group]
                pool = _pool(jobs, settings)
                waiting = deque((each, _again(pool, each, before)) for each, before in waiting)
            yield from zip(group, done, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _groups(tasks: Iterable[Task]) -> Iterator[_Group]:
    source = iter(tasks)
    while group := tuple(islice(source, _GROUP)):
        yield group


def _pool(jobs: int, settings: Settings) -> ProcessPoolExecutor:
    # Fresh processes: a forked one would share the vault's connection, which SQLite forbids.
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start, (settings,))


def _submit(pool: ProcessPoolExecutor, group: _Group) -> Future[list[Done]]:
    try:
        return pool.submit(_work, group)
    except BrokenProcessPool as error:
        failed: Future[list[Done]] = Future()
        failed.set_exception(error)
        return failed


def _again(pool: ProcessPoolExecutor, group: _Group, before: Future[list[Done]]) -> Future[list[Done]]:
    return before if before.done() and before.exception() is None else _submit(pool, group)


def _by_itself(task: Task, settings: Settings) -> Done:
    """Do a task whose process has died, maybe because of another task."""
    with _pool(1, settings) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool:
            raise JobError("no process can be started; memory may be short: try --jobs 1") from None
        try:
            return pool.submit(_work, (task,)).result()[0]
        except BrokenProcessPool:
            with open(task.path, "rb") as source:  # noqa: PTH123
                return Done(sha256_of(source), Reason.UNREADABLE)


def _start(settings: Settings) -> None:
    global _settings
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us when it has settled what is done
    threading.Thread(target=_follow_parent, daemon=True).start()
    _settings = settings


def _follow_parent() -> None:
    """End with the parent, even where it was killed and could not say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(group: _Group) -> list[Done]:
    global _worker
    if _worker is None:  # not in `_start`: an error there would only say that the process ended
        _worker = Worker(_settings)
    return _worker(group)
