"""From instances to a complete study: gather, end batches, complete."""

from collections.abc import Mapping

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.capabilities.access import READ, WRITE, send_messages, use_table
from infra.capabilities.function import Function, Size
from infra.capabilities.queues import WorkQueue, stream_dead_letter_queue
from infra.capabilities.store import Store
from infra.capabilities.wiring import queue_to_function, stream_to_function
from infra.config import Config

_SMALL = Size()
# A look takes a fraction of a second, so these are hundreds of studies a second.
_AT_ONCE = 50


class Gathering(Construct):
    """Instances become a study version once no more are expected.

    Three functions look at a study, each when something else happened, and all may do the same with it.

    Parameters
    ----------
    alerts
        Queue of alerts to be looked at, once their study was read elsewhere or withdrawn.

    Attributes
    ----------
    quiet_timer
        Delayed messages that ask later whether a study has been quiet for long enough.
    hints
        What doors say of batches that have ended.
    gather_dead_letters
        Positions in the stream that `gather` could not process.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        store: Store,
        code: lambda_.Code,
        alerts: sqs.IQueue,
        config: Config,
    ) -> None:
        super().__init__(scope, construct_id)
        self._store, self._code, self._alerts = store, code, alerts
        key = store.keys.data
        self.quiet_timer = WorkQueue(self, "QuietTimer", key=key, visibility=_SMALL.visibility)
        self.hints = WorkQueue(self, "Hints", key=key, visibility=_SMALL.visibility)
        self.gather_dead_letters = stream_dead_letter_queue(self, "GatherDeadLetters", key=key)
        tables = store.tables
        self._settings: Mapping[str, str] = {
            "LEDGER_TABLE": tables.ledger.table_name,
            "INSTANCES_TABLE": tables.instances.table_name,
            "STUDIES_TABLE": tables.studies.table_name,
            "MODELS_TABLE": tables.models.table_name,
            "OUTBOX_TABLE": tables.outbox.table_name,
            "BATCHES_TABLE": tables.batches.table_name,
            "ORDERS_TABLE": tables.orders.table_name,
            "QUIET_TIMER_QUEUE_URL": self.quiet_timer.queue.queue_url,
            "ESCALATIONS_QUEUE_URL": alerts.queue_url,
            "COMPLETENESS": config.completeness_json,
        }
        stream_to_function(
            tables.instances,
            self._function("Gather", "gather"),
            "INSERT",
            "MODIFY",
            dead_letters=self.gather_dead_letters,
        )
        queue_to_function(
            self.quiet_timer, self._function("CompleteStudy", "complete_study"), at_once=_AT_ONCE
        )
        queue_to_function(self.hints, self._function("EndBatch", "end_batch"), at_once=_AT_ONCE)

    def _function(self, construct_id: str, name: str) -> Function:
        tables = self._store.tables
        function = Function(
            self,
            construct_id,
            name=name,
            code=self._code,
            key=self._store.keys.data,
            size=_SMALL,
            environment=self._settings,
        )
        use_table(function.role, tables.ledger, *READ, indexes=("by_study",))
        for table in (tables.instances, tables.models):
            use_table(function.role, table, *READ)
        for table in (tables.studies, tables.batches, tables.orders):
            use_table(function.role, table, *READ, *WRITE)
        use_table(function.role, tables.outbox, *WRITE)
        send_messages(function.role, self.quiet_timer.queue)
        send_messages(function.role, self._alerts)
        return function
