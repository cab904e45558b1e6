"""What the hospital's feeds say of patients and orders: it names people, so it comes as objects, like images."""

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.capabilities.access import APPEND, READ, WRITE, read_objects, send_messages, use_table
from infra.capabilities.function import Function, Size
from infra.capabilities.ingest import allow_vault, vault_settings
from infra.capabilities.queues import WorkQueue
from infra.capabilities.store import Store
from infra.capabilities.wiring import object_to_queue, queue_to_function
from infra.config import Config

FEED_PREFIX = "feed/"
_SMALL = Size()
# A hospital sends a few messages a second; two at once may meet in a record, and one of them tries again.
_AT_ONCE = 5


class Feeds(Construct):
    """Messages of the hospital's feeds change the vault and orders, and have the studies of an order looked at.

    Parameters
    ----------
    looks
        Queue of studies to be looked at again.

    Attributes
    ----------
    messages
        Events of messages that arrived.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: Store,
        code: lambda_.Code,
        looks: sqs.IQueue,
        config: Config,
    ) -> None:
        super().__init__(scope, construct_id)
        keys, buckets, tables = store.keys, store.buckets, store.tables
        self.messages = WorkQueue(self, "Messages", key=keys.data, visibility=_SMALL.visibility)
        object_to_queue(
            self, "MessageArrived", bucket=buckets.incoming, prefix=FEED_PREFIX, work=self.messages
        )
        apply = Function(
            self,
            "ApplyFeed",
            name="apply_feed",
            code=code,
            key=keys.data,
            size=_SMALL,
            environment={
                "INCOMING_BUCKET": buckets.incoming.bucket_name,
                "LEDGER_TABLE": tables.ledger.table_name,
                "ORDERS_TABLE": tables.orders.table_name,
                "AUDIT_TABLE": tables.audit.table_name,
                "QUIET_TIMER_QUEUE_URL": looks.queue_url,
                "FEED_ISSUERS": config.feed_issuers_json,
                **vault_settings(store),
            },
        )
        queue_to_function(self.messages, apply, at_once=_AT_ONCE)
        # Of all that arrived, these messages and no image.
        read_objects(apply.role, buckets.incoming, below=FEED_PREFIX, listing=False)
        keys.incoming.grant(apply.role, "kms:Decrypt", "kms:DescribeKey")
        for table in (tables.ledger, tables.orders):
            use_table(apply.role, table, *READ, *WRITE)
        use_table(apply.role, tables.audit, *APPEND)
        send_messages(apply.role, looks)
        allow_vault(apply, store)
