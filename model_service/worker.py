"""The loop around `Analyse`: fetch and decode ahead, compute in batches, write behind, hand back on SIGTERM."""

import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from firstread.correlation import correlated
from firstread.handling import describe
from firstread.messages import TRIES, AnalyzeRequest
from firstread.metrics import Meter, Metric, Stage
from model_service.analyse import UNEXPECTED, Analyse, Job
from model_service.inbox import Held, Inbox
from model_service.log import logger
from model_service.prediction import Prediction
from model_service.running import TIMED_OUT, AnalysisTimeoutError, is_spent, run_within

meter = Meter("model_service")

LAST_TRY = TRIES
"""The message goes to the dead-letter queue after it."""
_WAIT_SECONDS = 2  # for the routine queue; an urgent study waits for the end of this at most
# Before the second and the third try: a store that is out of reach for a moment must not fail a study for good.
_PAUSES = (10, 60)
_AHEAD = 4  # studies that are decoded and wait for the device
_SPENT = 75
_MOST_IMAGES = 32  # of several studies, in one call of a model
REASONS: dict[type[BaseException], str] = {AnalysisTimeoutError: TIMED_OUT, MemoryError: "out_of_memory"}
"""Reasons of results that were given up, by what was raised last."""


@dataclass(frozen=True)
class Task:
    """A message in hand with what it asks for."""

    held: Held
    request: AnalyzeRequest
    job: Job


class Worker:
    """Works on the analyze queues until it is told to stop.

    Parameters
    ----------
    inbox
        The queues.
    analyse
        The step.
    last_try
        Makes the last try of a request where a crash cannot take this process along; "" for success, else the
        reason. By default it is made here.
    beat
        Called with every round of the loop, and with whether a message is in hand.
    """

    def __init__(
        self,
        inbox: Inbox,
        analyse: Analyse,
        last_try: Callable[[AnalyzeRequest], str] | None = None,
        beat: Callable[[bool], None] = lambda _busy: None,
    ) -> None:
        self._inbox, self._analyse = inbox, analyse
        self._last_try, self._beat = last_try, beat
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Finish what is being computed, hand the rest back and end."""
        self._stopping.set()

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM, which ECS sends before it ends a task and Spot before it takes a machine, and on SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self.stop())

    def poll(self, wait_seconds: int) -> int:
        """Take at most one message and work on it to the end, without threads; return how many there were."""
        held = self._inbox.receive(wait_seconds)
        if held is not None and (task := self._prepare(held)):
            self._write(task, self._predict([task])[0])
        meter.flush()
        return 0 if held is None else 1

    def run(self) -> int:
        """Work until stopped: one thread fetches and decodes, this one computes, one writes.

        Returns
        -------
        int
            Exit code: 0 when told to stop, 75 (EX_TEMPFAIL) where models did not come back too often.
        """
        logger.info("worker started")
        # Urgent first, then as they came. The fetcher bounds it: what is decoded ahead is held in memory.
        ready: queue.PriorityQueue[tuple[bool, int, Task]] = queue.PriorityQueue()
        written: queue.Queue[tuple[Task, Sequence[Prediction] | BaseException] | None] = queue.Queue(_AHEAD)
        fetcher = threading.Thread(target=self._fetch, args=(ready,), name="fetcher")
        writer = threading.Thread(target=self._write_all, args=(written,), name="writer")
        fetcher.start()
        writer.start()
        try:
            while not self._stopping.is_set() and not is_spent():
                meter.flush()
                tasks = _batch(ready)
                self._beat(self._inbox.in_hand > 0)
                for task, said in zip(tasks, self._predict(tasks), strict=True):
                    written.put((task, said))
        finally:
            self._stopping.set()
            fetcher.join()
            written.put(None)
            writer.join()
            self._return(ready)
            self._inbox.close()
            meter.flush()
            logger.info("worker stopped")
        return _SPENT if is_spent() else 0

    def _fetch(self, ready: "queue.PriorityQueue[tuple[bool, int, Task]]") -> None:
        numbers = count()
        while not self._stopping.is_set():
            if ready.qsize() >= _AHEAD:
                # A message is not taken before there is room for it: another worker may be idle.
                self._stopping.wait(0.02)
                continue
            try:
                held = self._inbox.receive(_WAIT_SECONDS)
                task = self._prepare(held) if held is not None else None
            except Exception as error:
                # The queue is out of reach, such as an engine that restarts: wait and try again.
                logger.error("poll failed", extra=describe(error))
                self._stopping.wait(2)
                continue
            if task is not None:
                ready.put((not task.held.urgent, next(numbers), task))

    def _prepare(self, held: Held) -> Task | None:
        """Read what a message asks for; None where it is settled already."""
        # The last try is not handed back: it would go to the dead letters without a result on the worklist.
        if self._stopping.is_set() and held.tries < LAST_TRY:
            self._inbox.hand_back(held)
            return None
        try:
            request = AnalyzeRequest.model_validate_json(held.body)
        except ValueError as error:
            logger.error("not an analyze request", extra=describe(error))
            self._inbox.hand_back(held)  # to the dead-letter queue, after its tries
            return None
        with correlated(request.correlation_id):
            if held.tries >= LAST_TRY and self._last_try is not None:
                self._try_for_the_last_time(held, request, self._last_try)
                return None
            try:
                job = self._analyse.prepare(request)
            except Exception as error:
                self._failed(held, request, error)
                return None
            if job is None:
                self._inbox.done(held)
                return None
            return Task(held, request, job)

    def _try_for_the_last_time(
        self, held: Held, request: AnalyzeRequest, attempt: Callable[[AnalyzeRequest], str]
    ) -> None:
        reason = attempt(request)
        if reason:
            logger.error("last try failed", extra={"reason": reason})
            meter.add(Metric.RECORDS_FAILED)
            self._give_up(request, reason)
            self._inbox.hand_back(held)
        else:
            self._inbox.done(held)

    def _predict(self, tasks: Sequence[Task]) -> Sequence[Sequence[Prediction] | BaseException]:
        """Ask one model for all tasks of a batch; where that fails, one by one, so that one cannot fail the others."""
        inputs = [each for task in tasks for each in task.job.inputs.model_inputs]
        model = tasks[0].job.model if tasks else None
        if model is None:
            return [[] for _ in tasks]
        try:
            # The time that a bundle allows is that of one study.
            said = run_within(len(tasks) * model.manifest.timeout_seconds, model.predict, inputs)
        except Exception as error:
            if isinstance(error, AnalysisTimeoutError):
                self._analyse.models.forget(model)
            if len(tasks) > 1 and not isinstance(error, AnalysisTimeoutError):
                return [said for task in tasks for said in self._predict([task])]
            return [error for _ in tasks]
        predictions: Iterator[Prediction] = iter(said)
        return [[next(predictions) for _ in task.job.inputs.model_inputs] for task in tasks]

    def _write_all(
        self, written: "queue.Queue[tuple[Task, Sequence[Prediction] | BaseException] | None]"
    ) -> None:
        while (each := written.get()) is not None:
            self._write(*each)
            meter.flush()

    def _write(self, task: Task, said: Sequence[Prediction] | BaseException) -> None:
        with correlated(task.request.correlation_id):
            try:
                if isinstance(said, BaseException):
                    raise said
                result = self._analyse.record(task.job, said)
                self._inbox.done(task.held)
            except Exception as error:
                self._failed(task.held, task.request, error)
                return
            if result is not None:
                logger.info(
                    "result recorded", extra={"model": result.model_id, "status": result.status.value}
                )
                meter.stage(Stage.COMPLETE_TO_RESULT, task.job.version.completed_at, result.finished_at)

    def _failed(self, held: Held, request: AnalyzeRequest, error: Exception) -> None:
        logger.error("analysis failed", extra={**describe(error), "try": held.tries})
        meter.add(Metric.RECORDS_FAILED)
        last = held.tries >= LAST_TRY
        if last:
            self._give_up(request, REASONS.get(type(error), UNEXPECTED))
        try:
            self._inbox.hand_back(held, after=0 if last else _PAUSES[min(held.tries, len(_PAUSES)) - 1])
        except Exception as unreachable:  # it appears again by itself
            logger.error("message not handed back", extra=describe(unreachable))

    def _give_up(self, request: AnalyzeRequest, reason: str) -> None:
        try:
            self._analyse.give_up(request, reason)
        except Exception as error:
            # Such as a study that is not there: the dead-letter queue is all that can be told.
            logger.error("giving up failed", extra=describe(error))

    def _return(self, ready: "queue.PriorityQueue[tuple[bool, int, Task]]") -> None:
        """Hand back what was decoded and not computed; what is at its last try is computed first."""
        while not ready.empty():
            _, _, task = ready.get_nowait()
            if task.held.tries < LAST_TRY:
                self._inbox.hand_back(task.held)
            else:
                self._write(task, self._predict([task])[0])


def _batch(ready: "queue.PriorityQueue[tuple[bool, int, Task]]") -> list[Task]:
    """Return the next task, with those of the same model that are ready behind it; none where nothing came."""
    try:
        first = ready.get(timeout=0.2)
    except queue.Empty:
        return []
    tasks = [first[2]]
    images = len(first[2].job.inputs.images)
    while images and not ready.empty():
        following = ready.get_nowait()
        job = following[2].job
        images += len(job.inputs.images)
        if job.model is not tasks[0].job.model or not job.inputs.images or images > _MOST_IMAGES:
            ready.put(following)  # as the first again: its number is its place
            break
        tasks.append(following[2])
    return tasks
