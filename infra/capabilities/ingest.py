"""From an object that arrived to a complete study: de-identify, clean pixels, gather, complete."""

from collections.abc import Mapping

from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.capabilities.access import (
    READ,
    WRITE,
    read_objects,
    send_messages,
    use_key,
    use_table,
    write_objects,
)
from infra.capabilities.container import function_image
from infra.capabilities.function import Function, Size
from infra.capabilities.queues import WorkQueue, stream_dead_letter_queue
from infra.capabilities.store import Store
from infra.capabilities.wiring import event_to_queue, queue_to_function, stream_to_function
from infra.config import Config

ARRIVALS_PREFIX = "in/"
# The disk holds an object that is too large to be kept in memory while it is read.
_DEIDENTIFY = Size(memory=2048, seconds=300, disk=4096)
# Text detection needs one GB and one processor, which come with 1769 MiB and more; it takes all the time there is for
# a long cine. The disk holds the object, its cleaned pixels, and the two put together.
_CLEAN_PIXELS = Size(memory=3008, seconds=900, disk=4096)
# Of the 1000 that an account has for all its functions: a burst of screens must not stop the others.
_CLEAN_PIXELS_AT_ONCE = 100
_SMALL = Size()


class Arrivals(Construct):
    """S3 says that an object arrived; `deidentify` and `clean_pixels` read it, and nothing else may.

    Attributes
    ----------
    ingest
        The queue between the event and `deidentify`, which absorbs any burst.
    pixels
        The queue of objects whose pixels `clean_pixels` must look at.
    """

    def __init__(self, scope: Construct, construct_id: str, *, store: Store, code: lambda_.Code) -> None:
        super().__init__(scope, construct_id)
        key, incoming = store.keys.data, store.buckets.incoming
        self.ingest = WorkQueue(self, "Ingest", key=key, visibility=_DEIDENTIFY.visibility)
        self.pixels = WorkQueue(self, "Pixels", key=key, visibility=_CLEAN_PIXELS.visibility)
        self.rule = events.Rule(
            self,
            "ObjectArrived",
            description="An object arrived in the incoming bucket",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [incoming.bucket_name]},
                    "object": {"key": events.Match.prefix(ARRIVALS_PREFIX)},
                },
            ),
            targets=[event_to_queue(self.ingest)],
        )
        settings = _intake_settings(store)
        deidentify = Function(
            self,
            "Deidentify",
            name="deidentify",
            code=code,
            key=key,
            size=_DEIDENTIFY,
            environment={**settings, "CLEAN_PIXELS_QUEUE_URL": self.pixels.queue.queue_url},
        )
        queue_to_function(self.ingest, deidentify)
        send_messages(deidentify.role, self.pixels.queue)
        clean_pixels = Function(
            self,
            "CleanPixels",
            name="clean_pixels",
            code=function_image("clean_pixels"),
            key=key,
            size=_CLEAN_PIXELS,
            environment=settings,
        )
        # One object at a time: each may need all the time that the function has.
        queue_to_function(self.pixels, clean_pixels, batch=1, at_once=_CLEAN_PIXELS_AT_ONCE)
        for function in (deidentify, clean_pixels):
            _allow_intake(function, store)


def _intake_settings(store: Store) -> Mapping[str, str]:
    keys, buckets, tables = store.keys, store.buckets, store.tables
    return {
        "INCOMING_BUCKET": buckets.incoming.bucket_name,
        "STUDIES_BUCKET": buckets.studies.bucket_name,
        "LEDGER_TABLE": tables.ledger.table_name,
        "INSTANCES_TABLE": tables.instances.table_name,
        "VAULT": "dynamodb",
        "VAULT_TABLE": tables.vault.table_name,
        "VAULT_KEY_ID": keys.vault.key_id,
    }


def _allow_intake(function: Function, store: Store) -> None:
    """Allow to read what arrived and the vault, and to write instances and their records."""
    keys, buckets, tables = store.keys, store.buckets, store.tables
    read_objects(function.role, buckets.incoming)
    keys.incoming.grant(function.role, "kms:Decrypt", "kms:DescribeKey")
    write_objects(function.role, buckets.studies)
    use_table(function.role, tables.ledger, *READ, *WRITE)
    use_table(function.role, tables.instances, *READ, *WRITE)
    use_table(function.role, tables.vault, *READ, *WRITE)
    use_key(function.role, keys.vault)


class Gathering(Construct):
    """Instances become a study version once no more are expected.

    Attributes
    ----------
    quiet_timer
        Delayed messages that ask later whether a study has been quiet for long enough.
    gather_dead_letters
        Positions in the stream that `gather` could not process.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, store: Store, code: lambda_.Code, config: Config
    ) -> None:
        super().__init__(scope, construct_id)
        keys, tables = store.keys, store.tables
        self.quiet_timer = WorkQueue(self, "QuietTimer", key=keys.data, visibility=_SMALL.visibility)
        self.gather_dead_letters = stream_dead_letter_queue(self, "GatherDeadLetters", key=keys.data)
        timer = {
            "QUIET_TIMER_QUEUE_URL": self.quiet_timer.queue.queue_url,
            "QUIET_SECONDS": config.quiet_seconds_json,
        }
        studies_and_instances = {
            "INSTANCES_TABLE": tables.instances.table_name,
            "STUDIES_TABLE": tables.studies.table_name,
        }
        gather = Function(
            self,
            "Gather",
            name="gather",
            code=code,
            key=keys.data,
            size=_SMALL,
            environment={**studies_and_instances, **timer},
        )
        stream_to_function(
            tables.instances, gather, "INSERT", "MODIFY", dead_letters=self.gather_dead_letters
        )
        use_table(gather.role, tables.instances, *READ)
        use_table(gather.role, tables.studies, *READ, *WRITE)
        send_messages(gather.role, self.quiet_timer.queue)
        complete = Function(
            self,
            "CompleteStudy",
            name="complete_study",
            code=code,
            key=keys.data,
            size=_SMALL,
            environment={
                **studies_and_instances,
                "MODELS_TABLE": tables.models.table_name,
                "OUTBOX_TABLE": tables.outbox.table_name,
                **timer,
            },
        )
        queue_to_function(self.quiet_timer, complete)
        use_table(complete.role, tables.instances, *READ)
        use_table(complete.role, tables.studies, *READ, *WRITE)
        use_table(complete.role, tables.models, *READ)
        use_table(complete.role, tables.outbox, *WRITE)
        send_messages(complete.role, self.quiet_timer.queue)
