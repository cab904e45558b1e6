"""From a complete study to what follows from it: deliver the messages of the outbox."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.capabilities.access import UPDATE, send_messages, use_table
from infra.capabilities.function import Function, Size
from infra.capabilities.queues import WorkQueue, stream_dead_letter_queue
from infra.capabilities.store import Store
from infra.capabilities.wiring import stream_to_function

_SMALL = Size()
_ANALYSIS = Duration.seconds(900)


class Delivery(Construct):
    """Every follow-on message leaves through the outbox: none is lost, none is sent for what was not written.

    Parameters
    ----------
    describe
        Queue of study versions whose series are to be described.

    Attributes
    ----------
    analyze, analyze_urgent
        One message per study version and model; the workers empty the urgent queue first.
    bus
        Events of the pipeline, for whoever wants to listen.
    dead_letters
        Positions in the outbox's stream that `deliver` could not process.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, store: Store, code: lambda_.Code, describe: sqs.IQueue
    ) -> None:
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
                "DESCRIBE_SERIES_QUEUE_URL": describe.queue_url,
                "EVENT_BUS": self.bus.event_bus_name,
            },
        )
        # Only inserts: marking a row as delivered must not deliver it again, nor its expiry.
        stream_to_function(outbox, deliver, "INSERT", dead_letters=self.dead_letters)
        use_table(deliver.role, outbox, *UPDATE)
        for queue in (self.analyze_urgent.queue, self.analyze.queue, describe):
            send_messages(deliver.role, queue)
        self.bus.grant_put_events_to(deliver.role)
