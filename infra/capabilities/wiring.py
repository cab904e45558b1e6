"""Event to queue, queue to function, stream to function: bounded, and with somewhere for what fails."""

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.capabilities.function import Function
from infra.capabilities.queues import WorkQueue
from infra.guard import acknowledge

BATCH = 10


def event_to_queue(work: WorkQueue) -> targets.SqsQueue:
    """Send events to a queue.

    What EventBridge cannot deliver within a day goes to the queue's own dead letters: it is the same message
    there, and one redrive brings it back.
    """
    return targets.SqsQueue(
        work.queue, dead_letter_queue=work.dead_letters, max_event_age=Duration.hours(24), retry_attempts=185
    )


def object_to_queue(
    scope: Construct, construct_id: str, *, bucket: s3.IBucket, prefix: str, work: WorkQueue
) -> None:
    """Send an event to a queue for each object that arrives in a bucket below a prefix."""
    events.Rule(
        scope,
        construct_id,
        description=f"An object arrived below {prefix}",
        event_pattern=events.EventPattern(
            source=["aws.s3"],
            detail_type=["Object Created"],
            detail={
                "bucket": {"name": [bucket.bucket_name]},
                "object": {"key": events.Match.prefix(prefix)},
            },
        ),
        targets=[event_to_queue(work)],
    )


def queue_to_function(work: WorkQueue, function: Function, *, at_once: int, batch: int = BATCH) -> None:
    """Feed a function from a queue; one bad message does not fail the batch.

    Parameters
    ----------
    at_once
        Invocations at the same time at most: all functions share what the account allows.
    batch
        Messages per invocation at most.
    """
    source = sources.SqsEventSource(
        work.queue, batch_size=batch, max_concurrency=at_once, report_batch_item_failures=True
    )
    function.function.add_event_source(source)


def stream_to_function(
    table: dynamodb.ITable, function: Function, *event_names: str, dead_letters: sqs.IQueue
) -> None:
    """Feed a function from a table's stream.

    A stream is read in order, so a record that always fails would stop its shard: the batch is split to find
    it, tried a few times, and then its position goes to the dead letters.
    """
    source = sources.DynamoEventSource(
        table,
        starting_position=lambda_.StartingPosition.TRIM_HORIZON,
        batch_size=100,
        max_batching_window=Duration.seconds(1),
        filters=[lambda_.FilterCriteria.filter({"eventName": lambda_.FilterRule.or_(*event_names)})],
        retry_attempts=5,
        bisect_batch_on_error=True,
        report_batch_item_failures=True,
        on_failure=sources.SqsDlq(dead_letters),
    )
    function.function.add_event_source(source)
    acknowledge(
        function.role,
        "IAM5[Action::kms:GenerateDataKey*]",
        "IAM5[Action::kms:ReEncrypt*]",
        reason="Variants of one operation each, on the data key alone, for the stream's dead letters.",
    )
