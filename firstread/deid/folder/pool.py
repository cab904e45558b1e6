"""Tasks through one worker or several, results in the order of the tasks."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from firstread.deid.folder.errors import JobError
from firstread.deid.folder.worker import Done, Settings, Task, Worker

_WAITING_PER_WORKER = 16
_worker: Worker


def in_order(tasks: Iterable[Task], settings: Settings, jobs: int) -> Generator[tuple[Task, Done]]:
    """Yield each task with what became of it.

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
        If the disk or the vault fails, or a worker process dies.
    """
    if jobs == 1:
        worker = Worker(settings)
        yield from ((task, worker(task)) for task in tasks)
        return
    # Fresh processes: a forked one would share the vault's connection, which SQLite forbids.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _start, (settings,))
    waiting: deque[tuple[Task, Future[Done]]] = deque()
    source = iter(tasks)
    try:
        while True:
            for task in islice(source, jobs * _WAITING_PER_WORKER - len(waiting)):
                waiting.append((task, pool.submit(_work, task)))
            if not waiting:
                return
            task, future = waiting.popleft()
            yield task, future.result()
    except BrokenProcessPool:
        raise JobError("a worker process ended; memory may be short: try fewer --jobs") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start(settings: Settings) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us when it has settled what is done
    threading.Thread(target=_follow_parent, daemon=True).start()
    _worker = Worker(settings)


def _follow_parent() -> None:
    """End with the parent, even where it was killed and could not say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: Task) -> Done:
    return _worker(task)
