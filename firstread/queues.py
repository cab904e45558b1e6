"""SQS, SNS and EventBridge: how messages leave a program."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import boto3

from firstread.errors import TransientError
from firstread.messages import SOURCE, Message, ObjectCreated
from firstread.region import making, region

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

MAX_DELAY_SECONDS = 900
"""Longest DelaySeconds of SQS; some engines take more, so it is enforced here."""
_AT_ONCE = 10


@lru_cache(maxsize=1)
def _sqs() -> "SQSClient":
    with making:
        return boto3.client("sqs", region_name=region())


@lru_cache(maxsize=1)
def _sns() -> "SNSClient":
    with making:
        return boto3.client("sns", region_name=region())


@lru_cache(maxsize=1)
def _events() -> "EventBridgeClient":
    with making:
        return boto3.client("events", region_name=region())


def _in_group(group: str) -> dict[str, Any]:
    """Return the parameter that puts a message into its group; SQS takes no empty one."""
    return {"MessageGroupId": group} if group else {}


class Queue:
    """An SQS queue.

    Parameters
    ----------
    url
        Queue URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Message | ObjectCreated, delay_seconds: int = 0, group: str = "") -> None:
        """Send a message.

        Parameters
        ----------
        message
            What to say.
        delay_seconds
            Not delivered before; at most `MAX_DELAY_SECONDS`.
        group
            Message group of a standard queue (SQS fair queues); "" for none.

        Raises
        ------
        ValueError
            If the delay is longer than SQS allows.
        """
        if not 0 <= delay_seconds <= MAX_DELAY_SECONDS:
            raise ValueError("SQS delays a message by at most 900 seconds")
        body = message.model_dump_json(by_alias=True)
        _sqs().send_message(
            QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_seconds, **_in_group(group)
        )

    def send_all(self, messages: Sequence[Message | ObjectCreated]) -> None:
        """Send messages, ten in one request.

        Raises
        ------
        TransientError
            If the queue did not take all of them; some may have been sent.
        """
        for start in range(0, len(messages), _AT_ONCE):
            bodies = [each.model_dump_json(by_alias=True) for each in messages[start : start + _AT_ONCE]]
            response = _sqs().send_message_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)],
            )
            if response.get("Failed"):
                raise TransientError("the queue did not take all messages")


@dataclass(frozen=True)
class Letter:
    """A message as it lies in a queue.

    Parameters
    ----------
    message_id, receipt_handle
        What SQS calls it.
    body, group
        What was sent.
    sent_at
        When it was sent first, in seconds of Unix time.
    received
        How often somebody has received it, this time included.
    """

    message_id: str
    receipt_handle: str
    body: str
    group: str
    sent_at: float
    received: int


class DeadLetters:
    """A dead-letter queue.

    Parameters
    ----------
    url
        Queue URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def depth(self) -> int:
        """Return about how many messages lie there."""
        name: Final = "ApproximateNumberOfMessages"
        found = _sqs().get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(found["Attributes"][name])

    def letters(self, hidden_seconds: int) -> Iterator[Letter]:
        """Yield the messages, each once, hidden from others for a while; ends where none is to be seen."""
        seen: set[str] = set()
        while self.depth():
            found = _sqs().receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_AT_ONCE,
                VisibilityTimeout=hidden_seconds,
                WaitTimeSeconds=1,  # asks every server of the queue; a short poll may miss some
                MessageSystemAttributeNames=["All"],
            )
            new = [_letter(each) for each in found.get("Messages", [])]
            new = [each for each in new if each.message_id not in seen]
            if not new:
                return
            seen |= {each.message_id for each in new}
            yield from new

    def show(self, letters: Sequence[Letter]) -> None:
        """Make messages visible to others at once."""
        for each in letters:
            _sqs().change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=each.receipt_handle, VisibilityTimeout=0
            )

    def resend(self, letter: Letter, target: str) -> None:
        """Send a message to another queue as it was, and delete it here; a crash between the two sends it twice."""
        _sqs().send_message(QueueUrl=target, MessageBody=letter.body, **_in_group(letter.group))
        self.delete(letter)

    def delete(self, letter: Letter) -> None:
        """Delete a message."""
        _sqs().delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt_handle)


def _letter(message: "MessageTypeDef") -> Letter:
    attributes = message.get("Attributes", {})
    return Letter(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        group=attributes.get("MessageGroupId", ""),
        sent_at=int(attributes.get("SentTimestamp", "0")) / 1000,
        received=int(attributes.get("ApproximateReceiveCount", "1")),
    )


@lru_cache(maxsize=16)
def _url(name: str) -> str:
    return _sqs().get_queue_url(QueueName=name)["QueueUrl"]


def show_again(queue_arn: str, receipt_handle: str, seconds: int) -> None:
    """Let a queue show a received message to the next receiver after so many seconds."""
    _sqs().change_message_visibility(
        QueueUrl=_url(queue_arn.rsplit(":", 1)[-1]), ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
    )


class EventBus:
    """An EventBridge bus.

    Parameters
    ----------
    name
        Bus name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def put(self, message: Message) -> None:
        """Put an event whose detail type is the message's class name.

        Raises
        ------
        TransientError
            If the bus did not take it.
        """
        entry = {
            "Source": SOURCE,
            "DetailType": type(message).__name__,
            "Detail": message.model_dump_json(),
            "EventBusName": self._name,
        }
        response = _events().put_events(Entries=[entry])  # type: ignore[list-item]
        if response["FailedEntryCount"]:
            raise TransientError("the event bus did not take the event")


class Topic:
    """An SNS topic.

    Parameters
    ----------
    arn
        Topic ARN.
    """

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def publish(self, message: Message, subject: str, text: str, attributes: Mapping[str, str | int]) -> None:
        """Publish a message; nothing of it carries patient data.

        Parameters
        ----------
        message
            What programs receive, as JSON.
        subject
            Of an e-mail; at most 100 ASCII characters.
        text
            What people receive, by e-mail or text message.
        attributes
            What subscribers choose by (filter policies).
        """
        by_protocol = {"default": message.model_dump_json(), "email": text, "sms": text}
        _sns().publish(
            TopicArn=self._arn,
            Message=json.dumps(by_protocol),
            MessageStructure="json",
            Subject=subject,
            MessageAttributes={
                name: {
                    "DataType": "Number" if isinstance(value, int) else "String",
                    "StringValue": str(value),
                }
                for name, value in attributes.items()
            },
        )
