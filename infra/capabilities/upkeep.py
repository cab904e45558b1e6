"""Once a minute: find what waits for an event that never came, and send it again."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.capabilities.access import READ, UPDATE, send_messages, use_table
from infra.capabilities.function import Function, Size
from infra.capabilities.store import Store
from infra.config import Config

_SMALL = Size()
_EVERY = Duration.minutes(1)


class Upkeep(Construct):
    """`sweep` looks at the indexes of what is overdue; it reads no object, only that one is waiting.

    Parameters
    ----------
    queues
        Setting -> queue that it may send to.
    bus
        Where undelivered events go.
    config
        Whom alerts call, and when.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: Store,
        code: lambda_.Code,
        queues: Mapping[str, sqs.IQueue],
        bus: events.IEventBus,
        config: Config,
    ) -> None:
        super().__init__(scope, construct_id)
        tables = store.tables
        sweep = Function(
            self,
            "Sweep",
            name="sweep",
            code=code,
            key=store.keys.data,
            size=_SMALL,
            # Two sweeps at once would send everything twice.
            at_once=1,
            environment={
                # The name only, for the events it sends again: its role may not read there.
                "INCOMING_BUCKET": store.buckets.incoming.bucket_name,
                "LEDGER_TABLE": tables.ledger.table_name,
                "INSTANCES_TABLE": tables.instances.table_name,
                "STUDIES_TABLE": tables.studies.table_name,
                "OUTBOX_TABLE": tables.outbox.table_name,
                "ALERTS_TABLE": tables.alerts.table_name,
                "ALERTING": config.alerting_json,
                "EVENT_BUS": bus.event_bus_name,
                **{setting: queue.queue_url for setting, queue in queues.items()},
            },
        )
        events.Rule(
            self,
            "EveryMinute",
            description="Look for what waits for an event that never came",
            schedule=events.Schedule.rate(_EVERY),
            # The next minute tries again; an old tick says nothing new.
            targets=[targets.LambdaFunction(sweep.function, retry_attempts=0, max_event_age=_EVERY)],
        )
        use_table(sweep.role, tables.ledger, *READ, indexes=("by_attention",))
        use_table(sweep.role, tables.instances, *READ)
        use_table(sweep.role, tables.studies, *READ, indexes=("due",))
        use_table(sweep.role, tables.outbox, *READ, *UPDATE, indexes=("undelivered",))
        use_table(sweep.role, tables.alerts, *READ, indexes=("open",))
        for queue in queues.values():
            send_messages(sweep.role, queue)
        bus.grant_put_events_to(sweep.role)
