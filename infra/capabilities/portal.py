"""The portal: what people see of studies and results."""

from typing import Final

from aws_cdk import aws_ecs as ecs
from constructs import Construct

from firstread.storage import METADATA_PREFIX, REVIEWS_PREFIX
from infra.capabilities.access import (
    APPEND,
    READ,
    WRITE,
    make_references,
    read_objects,
    use_key,
    use_table,
    write_objects,
)
from infra.capabilities.entrance import Entrance
from infra.capabilities.identity import Identity
from infra.capabilities.network import Network
from infra.capabilities.store import Store
from infra.capabilities.web_service import Web, WebService
from infra.config import Config

_PROGRAM: Final = "portal"
_PORT: Final = 8000


class Portal(Construct):
    """The web application; it takes every request that nobody else takes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: Store,
        network: Network,
        entrance: Entrance,
        config: Config,
    ) -> None:
        super().__init__(scope, construct_id)
        buckets, tables = store.buckets, store.tables
        self.identity = Identity(self, "Identity", portal_url=config.portal_url)
        self.web = WebService(
            self,
            "Web",
            network=network,
            key=store.keys.data,
            web=Web(
                _PROGRAM,
                _PORT,
                {
                    "STUDIES_BUCKET": buckets.studies.bucket_name,
                    "RESULTS_BUCKET": buckets.results.bucket_name,
                    "INSTANCES_TABLE": tables.instances.table_name,
                    "STUDIES_TABLE": tables.studies.table_name,
                    "RESULTS_TABLE": tables.results.table_name,
                    "ALERTS_TABLE": tables.alerts.table_name,
                    "MODELS_TABLE": tables.models.table_name,
                    "AUDIT_TABLE": tables.audit.table_name,
                    "REVIEWS_TABLE": tables.reviews.table_name,
                    "SESSIONS_TABLE": tables.sessions.table_name,
                    "ORDERS_TABLE": tables.orders.table_name,
                    "REFERENCE_KEY_ID": store.keys.references.key_id,
                    "VAULT": "dynamodb",
                    "VAULT_TABLE": tables.vault.table_name,
                    "VAULT_KEY_ID": store.keys.vault.key_id,
                    "ALERTING": config.alerting_json,
                    "PORTAL_URL": config.portal_url,
                    "OIDC_ISSUER": self.identity.issuer,
                    "OIDC_CLIENT_ID": self.identity.client_id,
                    "MACHINE_CLIENTS": self.identity.machine_clients,
                    # The load balancer, which says that the reader came over https.
                    "TRUSTED_PROXIES": network.vpc.vpc_cidr_block,
                    "TEACHING_TABLE": tables.teaching.table_name,
                },
                secrets={"OIDC_CLIENT_SECRET": ecs.Secret.from_secrets_manager(self.identity.secret)},
                # Pages of a user pool have no interface inside the network.
                reaches_out=True,
            ),
        )
        self._allow(store)
        self.web.stand_behind(entrance.listener)

    def _allow(self, store: Store) -> None:
        role, buckets, tables = self.web.role, store.buckets, store.tables
        use_key(role, store.keys.data)
        read_objects(role, buckets.studies)
        read_objects(role, buckets.results)
        # Objects of signed reviews, and the metadata of series, which DICOMweb makes once; no result can be written.
        write_objects(role, buckets.results, below=REVIEWS_PREFIX)
        write_objects(role, buckets.results, below=METADATA_PREFIX)
        # Where a reader asks for an accession number: the key of its reference, and nothing of the vault.
        make_references(role, store.keys.references)
        for table in (tables.instances, tables.results, tables.models, tables.orders):
            use_table(role, table, *READ)
        use_table(role, tables.studies, *READ, *WRITE, indexes=("worklist", "by_patient", "by_date"))
        use_table(role, tables.reviews, *READ, *WRITE)
        use_table(role, tables.sessions, *READ, *WRITE, "dynamodb:DeleteItem")
        use_table(role, tables.teaching, *READ, *WRITE, "dynamodb:DeleteItem")
        use_table(role, tables.alerts, *READ, *WRITE, indexes=("by_study", "open", "by_day"))
        # An event is added and read, never changed or taken back: no UpdateItem, no DeleteItem.
        use_table(role, tables.audit, *APPEND, *READ, indexes=("by_day", "by_actor"))
        # Whose a study is, for those who may know: looked up, never entered or changed (ADR 0020).
        use_table(role, tables.vault, "dynamodb:BatchGetItem")
        store.keys.vault.grant(role, "kms:Decrypt")
