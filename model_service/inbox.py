"""The two analyze queues, and the messages in hand: nobody else gets them while they are worked on."""

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3

from firstread.handling import describe
from firstread.metrics import Meter, Metric
from firstread.region import making, region
from model_service.log import logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef


_VISIBILITY_SECONDS = 120


@dataclass(frozen=True)
class Held:
    """A message in hand.

    Parameters
    ----------
    tries
        How often it was received, this time included.
    urgent
        Whether it came from the urgent queue.
    """

    queue_url: str
    receipt: str
    body: str
    tries: int
    urgent: bool


class Inbox:
    """The queues of a worker.

    Parameters
    ----------
    urgent_url, routine_url
        The analyze queues; the routine one is asked only where the urgent one is empty.
    meter
        Told of how old the messages are.
    """

    def __init__(self, urgent_url: str, routine_url: str, meter: Meter) -> None:
        self._urgent_url, self._routine_url = urgent_url, routine_url
        self._meter = meter
        with making:
            self._sqs: SQSClient = boto3.client("sqs", region_name=region())
        self._kept: dict[str, Held] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._keeper: threading.Thread | None = None

    def receive(self, wait_seconds: int) -> Held | None:
        """Return the next message, an urgent one if there is any; keep it until it is done or handed back."""
        return self._receive(self._urgent_url, 0) or self._receive(self._routine_url, wait_seconds)

    def _receive(self, queue_url: str, wait_seconds: int) -> Held | None:
        response = self._sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=_VISIBILITY_SECONDS,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        return next((self._hold(queue_url, message) for message in response.get("Messages", [])), None)

    def _hold(self, queue_url: str, message: "MessageTypeDef") -> Held:
        attributes = message.get("Attributes", {})
        if sent := attributes.get("SentTimestamp"):
            self._meter.add(Metric.OLDEST_MESSAGE, max(0.0, time.time() - int(sent) / 1000))
        held = Held(
            queue_url=queue_url,
            receipt=message["ReceiptHandle"],
            body=message["Body"],
            tries=int(attributes.get("ApproximateReceiveCount", "1")),
            urgent=queue_url == self._urgent_url,
        )
        with self._lock:
            self._kept[held.receipt] = held
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
                self._keeper.start()
        return held

    @property
    def in_hand(self) -> int:
        """Return how many messages are in hand."""
        return len(self._kept)

    def done(self, held: Held) -> None:
        """Delete a message."""
        self._let_go(held)
        self._sqs.delete_message(QueueUrl=held.queue_url, ReceiptHandle=held.receipt)

    def hand_back(self, held: Held, after: int = 0) -> None:
        """Let others have a message, after so many seconds."""
        self._let_go(held)
        self._show(held, after)

    def close(self) -> None:
        """Keep nothing any longer; what is in hand appears again by itself."""
        self._closed.set()
        if self._keeper is not None:
            self._keeper.join()

    def _let_go(self, held: Held) -> None:
        with self._lock:
            self._kept.pop(held.receipt, None)

    def _show(self, held: Held, after: int) -> None:
        self._sqs.change_message_visibility(
            QueueUrl=held.queue_url, ReceiptHandle=held.receipt, VisibilityTimeout=after
        )

    def _keep(self) -> None:
        while not self._closed.wait(_VISIBILITY_SECONDS / 3):
            with self._lock:
                kept = list(self._kept.values())
            for held in kept:
                try:
                    self._show(held, _VISIBILITY_SECONDS)
                except (
                    Exception
                ) as error:  # tried again in time; a thread that ended would give up the messages
                    logger.error("message not kept", extra=describe(error))
