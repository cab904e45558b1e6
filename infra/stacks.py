"""The stacks: thin, each a handful of capabilities with one reason to change."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.capabilities.alerting import Alerting
from infra.capabilities.audit_export import AuditExport
from infra.capabilities.backups import Backups
from infra.capabilities.buckets import Buckets
from infra.capabilities.description import Description
from infra.capabilities.entrance import Entrance
from infra.capabilities.feeds import Feeds
from infra.capabilities.function import Function
from infra.capabilities.gathering import Gathering
from infra.capabilities.ingest import Arrivals
from infra.capabilities.ingest_service import IngestService
from infra.capabilities.keys import Keys
from infra.capabilities.lambda_code import lambda_code
from infra.capabilities.network import Network
from infra.capabilities.outcome import Delivery
from infra.capabilities.portal import Portal
from infra.capabilities.store import Store
from infra.capabilities.tables import Tables
from infra.capabilities.upkeep import Upkeep
from infra.capabilities.watch import Watch, Watched
from infra.capabilities.worker import Worker
from infra.config import Config
from infra.settings import Setting

DATA_STACK: Final = "FirstRead-Data"
PIPELINE_STACK: Final = "FirstRead-Pipeline"
NETWORK_STACK: Final = "FirstRead-Network"
COMPUTE_STACK: Final = "FirstRead-Compute"
PORTAL_STACK: Final = "FirstRead-Portal"
BACKUP_STACK: Final = "FirstRead-Backup"
OPERATIONS_STACK: Final = "FirstRead-Operations"
# In the order in which they are created. The engine on a laptop creates these and no others.
LOCAL_STACKS: Final = (DATA_STACK, PIPELINE_STACK)


class DataStack(Stack):
    """Everything that must outlive everything else: keys, buckets, tables."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        super().__init__(
            scope, construct_id, description="FirstRead: keys, buckets, tables", termination_protection=True
        )
        keys = Keys(self, "Keys")
        buckets = Buckets(self, "Buckets", keys=keys, audit_years=config.audit_years)
        tables = Tables(self, "Tables", keys=keys)
        self.store = Store(keys=keys, buckets=buckets, tables=tables)
        _publish(
            self,
            {
                Setting.INCOMING_BUCKET: buckets.incoming.bucket_name,
                Setting.STUDIES_BUCKET: buckets.studies.bucket_name,
                Setting.RESULTS_BUCKET: buckets.results.bucket_name,
                Setting.MODELS_BUCKET: buckets.models.bucket_name,
                Setting.AUDIT_BUCKET: buckets.audit.bucket_name,
                Setting.LEDGER_TABLE: tables.ledger.table_name,
                Setting.INSTANCES_TABLE: tables.instances.table_name,
                Setting.STUDIES_TABLE: tables.studies.table_name,
                Setting.RESULTS_TABLE: tables.results.table_name,
                Setting.ALERTS_TABLE: tables.alerts.table_name,
                Setting.OUTBOX_TABLE: tables.outbox.table_name,
                Setting.MODELS_TABLE: tables.models.table_name,
                Setting.BATCHES_TABLE: tables.batches.table_name,
                Setting.ORDERS_TABLE: tables.orders.table_name,
                Setting.REVIEWS_TABLE: tables.reviews.table_name,
                Setting.SESSIONS_TABLE: tables.sessions.table_name,
                Setting.TEACHING_TABLE: tables.teaching.table_name,
                Setting.AUDIT_TABLE: tables.audit.table_name,
                Setting.VAULT_TABLE: tables.vault.table_name,
                Setting.VAULT_KEY_ID: keys.vault.key_id,
                Setting.REFERENCE_KEY_ID: keys.references.key_id,
            },
        )


class PipelineStack(Stack):
    """The way of a study, from an object that arrived to an alert; the model itself runs elsewhere.

    Attributes
    ----------
    analyze
        The queues that the model workers read, the urgent one first.
    hints
        The queue of ended batches.
    watched
        What somebody has to look at.
    """

    def __init__(self, scope: Construct, construct_id: str, *, store: Store, config: Config) -> None:
        super().__init__(scope, construct_id, description="FirstRead: the way of a study")
        code = lambda_code(config.lambda_assets)
        arrivals = Arrivals(self, "Arrivals", store=store, code=code)
        description = Description(self, "Description", store=store)
        delivery = Delivery(self, "Delivery", store=store, code=code, describe=description.requests.queue)
        alerting = Alerting(self, "Alerting", store=store, bus=delivery.bus, code=code, config=config)
        gathering = Gathering(
            self, "Gathering", store=store, code=code, alerts=alerting.looks.queue, config=config
        )
        feeds = Feeds(self, "Feeds", store=store, code=code, looks=gathering.quiet_timer.queue, config=config)
        self.analyze: tuple[sqs.IQueue, ...] = (delivery.analyze_urgent.queue, delivery.analyze.queue)
        repairable = {
            "INGEST_URGENT": arrivals.lanes["urgent"],
            "INGEST": arrivals.lanes["routine"],
            "INGEST_BULK": arrivals.lanes["bulk"],
            "FEEDS": feeds.messages,
            "QUIET_TIMER": gathering.quiet_timer,
            "DESCRIBE_SERIES": description.requests,
            "ANALYZE_URGENT": delivery.analyze_urgent,
            "ANALYZE": delivery.analyze,
            "ESCALATIONS": alerting.looks,
        }
        Upkeep(
            self,
            "Upkeep",
            store=store,
            code=code,
            queues={f"{name}_QUEUE_URL": work.queue for name, work in repairable.items()},
            bus=delivery.bus,
            config=config,
        )
        AuditExport(self, "AuditExport", store=store, code=code)
        work = {
            **repairable,
            "CLEAN_PIXELS": arrivals.pixels,
            "HINTS": gathering.hints,
            "RESULTS": alerting.results,
        }
        self.hints: sqs.IQueue = gathering.hints.queue
        self.watched = Watched(
            queues={name: each.queue for name, each in work.items()},
            dead_letters={
                **{name: each.dead_letters for name, each in work.items()},
                "GATHER": gathering.gather_dead_letters,
                "DELIVER": delivery.dead_letters,
            },
            functions={
                each.node.id: each.function for each in self.node.find_all() if isinstance(each, Function)
            },
        )
        _publish(
            self,
            {
                **{Setting[f"{name}_QUEUE_URL"]: each.queue.queue_url for name, each in work.items()},
                **{Setting[f"{name}_DLQ_URL"]: each.dead_letters.queue_url for name, each in work.items()},
                Setting.GATHER_DLQ_URL: gathering.gather_dead_letters.queue_url,
                Setting.DELIVER_DLQ_URL: delivery.dead_letters.queue_url,
                Setting.EVENT_BUS: delivery.bus.event_bus_name,
                Setting.ALERT_TOPIC_ARN: alerting.topic.topic_arn,
            },
        )


class NetworkStack(Stack):
    """The network and the cluster, which change rarely and serve both services."""

    def __init__(self, scope: Construct, construct_id: str, *, store: Store) -> None:
        super().__init__(scope, construct_id, description="FirstRead: network and cluster")
        self.network = Network(self, "Network", key=store.keys.data)


class ComputeStack(Stack):
    """The model workers and their capacity, in a stack of its own: nothing else needs a GPU."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: Store,
        network: Network,
        analyze: Sequence[sqs.IQueue],
        config: Config,
    ) -> None:
        super().__init__(scope, construct_id, description="FirstRead: model workers")
        Worker(self, "Worker", store=store, network=network, analyze=analyze, config=config)


class PortalStack(Stack):
    """The web application and the ingest service, behind one entrance.

    Attributes
    ----------
    entrance
        The load balancer.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: Store,
        network: Network,
        hints: sqs.IQueue,
        config: Config,
    ) -> None:
        super().__init__(scope, construct_id, description="FirstRead: portal and ingest service")
        self.entrance = Entrance(self, "Entrance", store=store, network=network, config=config)
        portal = Portal(
            self,
            "Portal",
            store=store,
            network=network,
            entrance=self.entrance,
            config=config,
        )
        ingest = IngestService(
            self, "Ingest", store=store, network=network, entrance=self.entrance, hints=hints
        )
        CfnOutput(self, "SourcesSecretArn", value=ingest.sources.secret_arn)
        CfnOutput(self, "UserPoolId", value=portal.identity.pool_id)


class BackupStack(Stack):
    """Copies of the records that nobody can delete before their time."""

    def __init__(self, scope: Construct, construct_id: str, *, store: Store) -> None:
        super().__init__(scope, construct_id, description="FirstRead: backups", termination_protection=True)
        Backups(self, "Backups", tables=store.tables)


class OperationsStack(Stack):
    """What tells people that something is wrong."""

    def __init__(
        self, scope: Construct, construct_id: str, *, store: Store, pipeline: PipelineStack, config: Config
    ) -> None:
        super().__init__(scope, construct_id, description="FirstRead: alarms and dashboard")
        watch = Watch(self, "Watch", key=store.keys.data, watched=pipeline.watched, config=config)
        CfnOutput(self, "OperationsTopicArn", value=watch.topic.topic_arn)


def _publish(stack: Stack, values: dict[Setting, str]) -> None:
    """Make each value an output whose logical id is the setting's."""
    for setting, value in values.items():
        CfnOutput(stack, setting.output_id, value=value)
