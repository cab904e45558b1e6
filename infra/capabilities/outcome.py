"""From a complete study to a radiologist: deliver messages, analyse, alert."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.capabilities.access import READ, UPDATE, WRITE, publish, send_messages, use_table
from infra.capabilities.function import Function, Size
from infra.capabilities.queues import WorkQueue, stream_dead_letter_queue
from infra.capabilities.store import Store
from infra.capabilities.wiring import event_to_queue, queue_to_function, stream_to_function
from infra.config import Config

EVENT_SOURCE = "firstread"
RESULT_RECORDED = "ResultRecorded"
_SMALL = Size()
_ALERTS_AT_ONCE = 50
_ANALYSIS = Duration.seconds(900)


class Delivery(Construct):
    """Every follow-on message leaves through the outbox: none is lost, none is sent for what was not written.

    Attributes
    ----------
    analyze, analyze_urgent
        One message per study version and model; the workers empty the urgent queue first.
    bus
        Events of the pipeline, for whoever wants to listen.
    dead_letters
        Positions in the outbox's stream that `deliver` could not process.
    """

    def __init__(self, scope: Construct, construct_id: str, *, store: Store, code: lambda_.Code) -> None:
        super().__init__(scope, construct_id)
        key, outbox = store.keys.data, store.tables.outbox
        self.analyze_urgent = WorkQueue(self, "AnalyzeUrgent", key=key, visibility=_ANALYSIS)
        self.analyze = WorkQueue(self, "Analyze", key=key, visibility=_ANALYSIS)
        self.bus = events.EventBus(self, "Events", description="FirstRead: what happened to studies")
        self.dead_letters = stream_dead_letter_queue(self, "DeliverDeadLetters", key=key)
        deliver = Function(
            self,
            "Deliver",
            name="deliver",
            code=code,
            key=key,
            size=_SMALL,
            environment={
                "OUTBOX_TABLE": outbox.table_name,
                "ANALYZE_URGENT_QUEUE_URL": self.analyze_urgent.queue.queue_url,
                "ANALYZE_QUEUE_URL": self.analyze.queue.queue_url,
                "EVENT_BUS": self.bus.event_bus_name,
            },
        )
        # Only inserts: marking a row as delivered must not deliver it again, nor its expiry.
        stream_to_function(outbox, deliver, "INSERT", dead_letters=self.dead_letters)
        use_table(deliver.role, outbox, *UPDATE)
        for work in (self.analyze_urgent, self.analyze):
            send_messages(deliver.role, work.queue)
        self.bus.grant_put_events_to(deliver.role)


class Alerting(Construct):
    """A recorded result sets the priority of its study and may call a radiologist.

    Attributes
    ----------
    results
        Events "result recorded".
    topic
        Whoever wants to be called subscribes here; no message on it carries PHI.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: Store,
        bus: events.IEventBus,
        code: lambda_.Code,
        config: Config,
    ) -> None:
        super().__init__(scope, construct_id)
        key, tables = store.keys.data, store.tables
        self.results = WorkQueue(self, "Results", key=key, visibility=_SMALL.visibility)
        events.Rule(
            self,
            "ResultRecorded",
            description="A model's result for a study version was recorded",
            event_bus=bus,
            event_pattern=events.EventPattern(source=[EVENT_SOURCE], detail_type=[RESULT_RECORDED]),
            targets=[event_to_queue(self.results)],
        )
        self.topic = sns.Topic(
            self, "Alerts", display_name="FirstRead alerts", master_key=key, enforce_ssl=True
        )
        alert = Function(
            self,
            "Alert",
            name="alert",
            code=code,
            key=key,
            size=_SMALL,
            environment={
                "STUDIES_TABLE": tables.studies.table_name,
                "RESULTS_TABLE": tables.results.table_name,
                "ALERTS_TABLE": tables.alerts.table_name,
                "INSTANCES_TABLE": tables.instances.table_name,
                "MODELS_TABLE": tables.models.table_name,
                "OUTBOX_TABLE": tables.outbox.table_name,
                "ALERT_TOPIC_ARN": self.topic.topic_arn,
                "PORTAL_URL": config.portal_url,
            },
        )
        queue_to_function(self.results, alert, at_once=_ALERTS_AT_ONCE)
        use_table(alert.role, tables.studies, *READ, *WRITE)
        for table in (tables.results, tables.instances, tables.models):
            use_table(alert.role, table, *READ)
        # What pixels say of a silent header may call for more models.
        use_table(alert.role, tables.outbox, *WRITE)
        use_table(alert.role, tables.alerts, *READ, *WRITE)
        publish(alert.role, self.topic)
