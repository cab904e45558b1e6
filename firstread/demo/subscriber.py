"""A subscriber of the alert topic, as a pager or a chat room would be: a queue of its own."""

import json
from typing import Any

import boto3

_QUEUE = "firstread-demo-subscriber"


class Subscriber:
    """Receives what the topic publishes from now on.

    Parameters
    ----------
    topic_arn
        The alert topic.
    """

    def __init__(self, topic_arn: str) -> None:
        self._sqs: Any = boto3.client("sqs")
        self._sns: Any = boto3.client("sns")
        self._url: str = self._sqs.create_queue(QueueName=_QUEUE)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        self._subscription: str = self._sns.subscribe(
            TopicArn=topic_arn,
            Protocol="sqs",
            Endpoint=attributes["Attributes"]["QueueArn"],
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]

    def receive(self, wait_seconds: int = 0) -> list[dict[str, Any]]:
        """Return the SNS envelopes that arrived; their ``Message`` is decoded."""
        response = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds
        )
        envelopes = []
        for message in response.get("Messages", []):
            envelope = json.loads(message["Body"])
            envelope["Message"] = json.loads(envelope["Message"])
            envelopes.append(envelope)
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return envelopes

    def close(self) -> None:
        """Unsubscribe and delete the queue."""
        self._sns.unsubscribe(SubscriptionArn=self._subscription)
        self._sqs.delete_queue(QueueUrl=self._url)
