"""The loop around `Analyse`: long-poll the analyze queue, keep the message while working, hand back on SIGTERM."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from types import FrameType
from typing import TYPE_CHECKING

import boto3
from aws_lambda_powertools import Logger

from firstread.correlation import Correlation, correlated
from firstread.handling import describe
from firstread.messages import AnalyzeRequest
from firstread.metrics import Meter, Metric, Stage
from firstread.region import region
from model_service.analyse import Analyse

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

logger = Logger(service="model_service")
logger.addFilter(Correlation())
meter = Meter("model_service")

LAST_TRY = 3
"""maxReceiveCount of the analyze queue; the message goes to the dead-letter queue after it."""
_VISIBILITY_SECONDS = 120
# Asked of the routine queue alone: an urgent study waits for the end of this at most.
_WAIT_SECONDS = 2
# Before the second and the third try: a store that is out of reach for a moment must not fail a study for good.
_PAUSES = (10, 60)


class Worker:
    """Reads one queue until it is told to stop.

    Parameters
    ----------
    urgent_url, routine_url
        The analyze queues; the routine one is asked only where the urgent one is empty.
    analyse
        The step.
    """

    def __init__(self, urgent_url: str, routine_url: str, analyse: Analyse) -> None:
        self._queue_urls = urgent_url, routine_url
        self._queue_url = routine_url
        self._analyse = analyse
        self._sqs: SQSClient = boto3.client("sqs", region_name=region())
        self._stopping = threading.Event()

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Finish the message in hand and end; also the handler of SIGTERM and SIGINT."""
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped."""
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        logger.info("worker started")
        while not self._stopping.is_set():
            try:
                self.poll(_WAIT_SECONDS)
            except Exception as error:
                # The queue is out of reach, such as an engine that restarts: wait and try again.
                logger.error("poll failed", extra=describe(error))
                self._stopping.wait(2)
        logger.info("worker stopped")

    def poll(self, wait_seconds: int) -> int:
        """Receive at most one message, an urgent one if there is any, and handle it; return how many there were."""
        urgent, routine = self._queue_urls
        return self._poll(urgent, 0) or self._poll(routine, wait_seconds)

    def _poll(self, queue_url: str, wait_seconds: int) -> int:
        self._queue_url = queue_url  # one message at a time: whatever is said of it is said to its queue
        response = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=_VISIBILITY_SECONDS,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        messages = response.get("Messages", [])
        for message in messages:
            if sent := message.get("Attributes", {}).get("SentTimestamp"):
                meter.add(Metric.OLDEST_MESSAGE, max(0.0, time.time() - int(sent) / 1000))
            tries = int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1"))
            # The last try is not handed back: it would go to the dead letters without a result on the worklist.
            if self._stopping.is_set() and tries < LAST_TRY:
                self._hand_back(message)
            else:
                self._handle(message, tries)
        meter.flush()
        return len(messages)

    def _handle(self, message: "MessageTypeDef", tries: int) -> None:
        try:
            request = AnalyzeRequest.model_validate_json(message["Body"])
        except ValueError as error:
            logger.error("not an analyze request", extra=describe(error))
            self._hand_back(message)  # to the dead-letter queue, after its tries
            return
        with correlated(request.correlation_id):
            self._work(message, request, tries)

    def _work(self, message: "MessageTypeDef", request: AnalyzeRequest, tries: int) -> None:
        try:
            with self._kept(message):
                result = self._analyse.request(request)
        except Exception as error:
            logger.error("analysis failed", extra={**describe(error), "try": tries})
            meter.add(Metric.RECORDS_FAILED)
            if tries >= LAST_TRY:
                self._give_up(request)
            self._hand_back(message, after=_PAUSES[min(tries, len(_PAUSES)) - 1] if tries < LAST_TRY else 0)
            return
        self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        if result is not None:
            logger.info("result recorded", extra={"model": result.model_id, "status": result.status.value})
            meter.stage(Stage.COMPLETE_TO_RESULT, self._analyse.completed_at(request), result.finished_at)

    def _give_up(self, request: AnalyzeRequest) -> None:
        try:
            self._analyse.give_up(request)
        except Exception as error:
            # Such as a study that is not there: the dead-letter queue is all that can be told.
            logger.error("giving up failed", extra=describe(error))

    def _hand_back(self, message: "MessageTypeDef", after: int = 0) -> None:
        self._sqs.change_message_visibility(
            QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=after
        )

    @contextmanager
    def _kept(self, message: "MessageTypeDef") -> Iterator[None]:
        """Extend the message's visibility while the body works, so that nobody else starts on it."""
        done = threading.Event()

        def extend() -> None:
            while not done.wait(_VISIBILITY_SECONDS / 3):
                try:
                    self._hand_back(message, after=_VISIBILITY_SECONDS)
                except (
                    Exception
                ) as error:  # tried again in time; a thread that ended would give up the message
                    logger.error("message not kept", extra=describe(error))

        thread = threading.Thread(target=copy_context().run, args=(extend,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
