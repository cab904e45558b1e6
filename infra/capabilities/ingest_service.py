"""The ingest service: the door for whoever sends over HTTP. What goes in it cannot take out again."""

from typing import Final

from aws_cdk import Duration, SecretValue
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.capabilities.access import (
    make_references,
    put_objects_only,
    send_messages,
    use_key,
    use_table,
)
from infra.capabilities.entrance import INGEST_PATHS, Entrance
from infra.capabilities.feeds import FEED_PREFIX
from infra.capabilities.ingest import ARRIVALS_PREFIX
from infra.capabilities.network import Network
from infra.capabilities.secret import secret_with_key
from infra.capabilities.store import Store
from infra.capabilities.web_service import Web, WebService

_PROGRAM: Final = "ingest_service"
_PORT: Final = 8001
# GiB. Parts of requests wait on disk until they are in S3: several times what the program lets in at a time.
_DISK: Final = 40
_NOBODY: Final = '{"sources":[]}'


class IngestService(Construct):
    """STOW-RS, presigned uploads, ends of batches and messages of feeds.

    Parameters
    ----------
    hints
        The queue of ended batches.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: Store,
        network: Network,
        entrance: Entrance,
        hints: sqs.IQueue,
    ) -> None:
        super().__init__(scope, construct_id)
        self.sources = self._sources()
        self.web = WebService(
            self,
            "Web",
            network=network,
            key=store.keys.data,
            web=Web(
                _PROGRAM,
                _PORT,
                {
                    "INCOMING_BUCKET": store.buckets.incoming.bucket_name,
                    "LEDGER_TABLE": store.tables.ledger.table_name,
                    "HINTS_QUEUE_URL": hints.queue_url,
                    "REFERENCE_KEY_ID": store.keys.references.key_id,
                },
                secrets={"SOURCES": ecs.Secret.from_secrets_manager(self.sources)},
                disk=_DISK,
                # A request of gigabytes over a hospital's line is let through to its end.
                farewell=Duration.minutes(15),
            ),
        )
        self._allow(store, hints)
        self.web.stand_behind(entrance.listener, paths=INGEST_PATHS, priority=10)

    def _sources(self) -> secrets.Secret:
        """Make the secret with the sources and the digests of their tokens; nobody may send at first."""
        return secret_with_key(
            self,
            "Sources",
            key_id="SourcesKey",
            key_for="FirstRead: who may send",
            description="FirstRead: who may send, and the SHA-256 of each sender's token",
            value=SecretValue.unsafe_plain_text(_NOBODY),
            keep=True,
            unrotated="A token is changed together with its sender, by a person; nothing here could change both.",
        )

    def _allow(self, store: Store, hints: sqs.IQueue) -> None:
        role, keys = self.web.role, store.keys
        use_key(role, keys.data)
        put_objects_only(role, store.buckets.incoming, keys.incoming, below=(ARRIVALS_PREFIX, FEED_PREFIX))
        use_table(
            role,
            store.tables.ledger,
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            indexes=("by_study",),
        )
        send_messages(role, hints)
        make_references(role, keys.references)
