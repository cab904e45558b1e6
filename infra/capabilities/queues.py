"""Queues: each with a dead-letter queue, so that a poisoned message is kept and seen."""

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from firstread.messages import TRIES
from infra.guard import acknowledge

_RETENTION: Final = 14


class WorkQueue(Construct):
    """A queue and its dead-letter queue.

    Parameters
    ----------
    key
        Encrypts the messages of both.
    visibility
        How long a receiver has before the message is shown to another; for a Lambda function at least six
        times its timeout, or a slow batch would be worked on twice.
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey, visibility: Duration) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters", key=key)
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            data_key_reuse=Duration.minutes(5),
            enforce_ssl=True,
            retention_period=Duration.days(_RETENTION),
            visibility_timeout=visibility,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=TRIES),
        )


def dead_letter_queue(scope: Construct, construct_id: str, *, key: kms.IKey) -> sqs.Queue:
    """Make a queue for what could not be processed; it keeps a message for as long as SQS allows."""
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        data_key_reuse=Duration.minutes(5),
        enforce_ssl=True,
        retention_period=Duration.days(_RETENTION),
    )


def stream_dead_letter_queue(scope: Construct, construct_id: str, *, key: kms.IKey) -> sqs.Queue:
    """Make a queue for positions of a table's stream that could not be processed."""
    queue = dead_letter_queue(scope, construct_id, key=key)
    acknowledge(
        queue,
        "SQS3",
        reason="This is the dead-letter queue of a stream, which the rule cannot see; its depth is watched.",
    )
    return queue
