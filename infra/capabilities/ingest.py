"""From an object that arrived to a de-identified instance: three lanes, one function, and one more for pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.capabilities.access import (
    READ,
    WRITE,
    make_references,
    read_objects,
    send_messages,
    use_key,
    use_table,
    write_objects,
)
from infra.capabilities.container import function_image
from infra.capabilities.function import Function, Size
from infra.capabilities.queues import WorkQueue
from infra.capabilities.store import Store
from infra.capabilities.wiring import object_to_queue, queue_to_function

ARRIVALS_PREFIX: Final = "in/"
# The disk holds an object that is too large to be kept in memory while it is read.
_DEIDENTIFY: Final = Size(memory=2048, seconds=300, disk=4096)
# Text detection needs one GB and one processor, which come with 1769 MiB and more; it takes all the time there is for
# a long cine. The disk holds the object, its cleaned pixels, and the two put together.
_CLEAN_PIXELS: Final = Size(memory=3008, seconds=900, disk=4096)
# Of the 1000 that an account has for all its functions: a burst of screens must not stop the others.
_CLEAN_PIXELS_AT_ONCE: Final = 100


@dataclass(frozen=True)
class Lane:
    """A way in of its own, so that who is behind in one does not wait in another.

    Parameters
    ----------
    name
        Second part of the object's key.
    queue
        Construct id of the queue.
    at_once
        Invocations at the same time at most. All lanes together leave half of the 1000 that an account has to the
        functions behind them; bulk alone could never take what urgent needs.
    """

    name: str
    queue: str
    at_once: int


LANES: Final = (
    Lane("urgent", "IngestUrgent", 200),
    Lane("routine", "Ingest", 200),
    Lane("bulk", "IngestBulk", 100),
)


class Arrivals(Construct):
    """S3 says that an object arrived; `deidentify` and `clean_pixels` read it, and nothing else may.

    Attributes
    ----------
    lanes
        By name, the queues between the events and `deidentify`, which absorb any burst.
    pixels
        The queue of objects whose pixels `clean_pixels` must look at.
    """

    def __init__(self, scope: Construct, construct_id: str, *, store: Store, code: lambda_.Code) -> None:
        super().__init__(scope, construct_id)
        key = store.keys.data
        self.lanes: Mapping[str, WorkQueue] = {
            lane.name: WorkQueue(self, lane.queue, key=key, visibility=_DEIDENTIFY.visibility)
            for lane in LANES
        }
        self.pixels = WorkQueue(self, "Pixels", key=key, visibility=_CLEAN_PIXELS.visibility)
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
        for lane in LANES:
            queue = self.lanes[lane.name]
            object_to_queue(
                self,
                f"{lane.name.title()}ObjectArrived",
                bucket=store.buckets.incoming,
                prefix=f"{ARRIVALS_PREFIX}{lane.name}/",
                work=queue,
            )
            queue_to_function(queue, deidentify, at_once=lane.at_once)
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


def vault_settings(store: Store) -> Mapping[str, str]:
    """Return how a function finds the identity vault, and the key of references to original identifiers."""
    return {
        "VAULT": "dynamodb",
        "VAULT_TABLE": store.tables.vault.table_name,
        "VAULT_KEY_ID": store.keys.vault.key_id,
        "REFERENCE_KEY_ID": store.keys.references.key_id,
    }


def allow_vault(function: Function, store: Store) -> None:
    """Allow to look up and to enter in the identity vault, and to make references."""
    use_table(function.role, store.tables.vault, *READ, *WRITE)
    use_key(function.role, store.keys.vault)
    make_references(function.role, store.keys.references)


def _intake_settings(store: Store) -> Mapping[str, str]:
    buckets, tables = store.buckets, store.tables
    return {
        "INCOMING_BUCKET": buckets.incoming.bucket_name,
        "STUDIES_BUCKET": buckets.studies.bucket_name,
        "LEDGER_TABLE": tables.ledger.table_name,
        "INSTANCES_TABLE": tables.instances.table_name,
        **vault_settings(store),
    }


def _allow_intake(function: Function, store: Store) -> None:
    """Allow to read what arrived and the vault, and to write instances and their records."""
    keys, buckets, tables = store.keys, store.buckets, store.tables
    read_objects(function.role, buckets.incoming, below=ARRIVALS_PREFIX)
    keys.incoming.grant(function.role, "kms:Decrypt", "kms:DescribeKey")
    write_objects(function.role, buckets.studies)
    use_table(function.role, tables.ledger, *READ, *WRITE)
    use_table(function.role, tables.instances, *READ, *WRITE)
    allow_vault(function, store)
