"""SQS, SNS and EventBridge: how messages leave a program."""

from functools import lru_cache
from typing import TYPE_CHECKING

import boto3

from firstread.errors import TransientError
from firstread.messages import SOURCE, Message
from firstread.region import region

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

MAX_DELAY_SECONDS = 900
"""Longest DelaySeconds of SQS; some engines take more, so it is enforced here."""


@lru_cache(maxsize=1)
def _sqs() -> "SQSClient":
    return boto3.client("sqs", region_name=region())


@lru_cache(maxsize=1)
def _sns() -> "SNSClient":
    return boto3.client("sns", region_name=region())


@lru_cache(maxsize=1)
def _events() -> "EventBridgeClient":
    return boto3.client("events", region_name=region())


class Queue:
    """An SQS queue.

    Parameters
    ----------
    url
        Queue URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Message, delay_seconds: int = 0, group: str = "") -> None:
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
        body = message.model_dump_json()
        if group:
            _sqs().send_message(
                QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_seconds, MessageGroupId=group
            )
        else:
            _sqs().send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_seconds)


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

    def publish(self, message: Message, subject: str) -> None:
        """Publish a message; the subject is for e-mail subscribers and carries no patient data."""
        _sns().publish(TopicArn=self._arn, Message=message.model_dump_json(), Subject=subject)
