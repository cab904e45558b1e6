"""What tells people that something is wrong: alarms, one topic, one dashboard."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aws_cdk import Aws
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.capabilities.dashboard import dashboard
from infra.capabilities.metrics import ARRIVALS, SWEEP, of_function, oldest, own, waiting
from infra.config import Config

# Seconds that a message may wait before somebody should look: for whom a patient waits, minutes.
_LATE: Final = {
    "INGEST_URGENT": 120,
    "INGEST": 900,
    "INGEST_BULK": 6 * 3600,
    "CLEAN_PIXELS": 3600,
    "FEEDS": 900,
    "HINTS": 300,
    # A message of this queue may be delayed by 15 minutes, and is none the worse for it.
    "QUIET_TIMER": 1800,
    # Whoever reads first makes the document otherwise; nobody waits for the queue.
    "DESCRIBE_SERIES": 3600,
    "ANALYZE_URGENT": 600,
    "ANALYZE": 3600,
    "RESULTS": 300,
    "ESCALATIONS": 120,
}
_STUCK_SECONDS: Final = 6 * 3600
_UNDELIVERED_SECONDS: Final = 600
_ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD


@dataclass(frozen=True)
class Watched:
    """What there is to look at, by name.

    Parameters
    ----------
    queues
        Work queues.
    dead_letters
        Of queues and streams; each should be empty.
    functions
        All of the pipeline.
    """

    queues: Mapping[str, sqs.IQueue]
    dead_letters: Mapping[str, sqs.IQueue]
    functions: Mapping[str, lambda_.IFunction]


class Watch(Construct):
    """Alarms on what must never be, and a dashboard of how it is.

    Attributes
    ----------
    topic
        Told when an alarm goes on and off. It is not the topic of the alerts: those are for readers.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, key: kms.IKey, watched: Watched, config: Config
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(
            self, "Operations", display_name="FirstRead operations", master_key=key, enforce_ssl=True
        )
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        if config.operations_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(config.operations_email))
        self._watch_queues(watched)
        self._watch_functions(watched)
        self._watch_ledger()
        if config.expect_arrivals_minutes:
            self._watch_arrivals(config.expect_arrivals_minutes)
        dashboard(self, watched.queues, watched.dead_letters, watched.functions)

    def _watch_queues(self, watched: Watched) -> None:
        for name, queue in watched.dead_letters.items():
            self._alarm(f"{_title(name)}DeadLetters", waiting(queue), 0, "Something could not be processed")
        for name, queue in watched.queues.items():
            self._alarm(f"{_title(name)}Late", oldest(queue), _LATE[name], "A message waits for too long")

    def _watch_functions(self, watched: Watched) -> None:
        for name, function in watched.functions.items():
            for kind in ("Errors", "Throttles"):
                self._alarm(
                    f"{name}{kind}", of_function(function, kind), 0, f"{kind} of a function", periods=3
                )

    def _watch_ledger(self) -> None:
        self._alarm(
            "LedgerImbalance",
            own("LedgerImbalance", service=SWEEP, statistic="Maximum"),
            0,
            "Received is not stored + duplicate + quarantined + pending: see `firstread reconcile`",
        )
        self._alarm(
            "LedgerPending",
            own("LedgerPendingOldestSeconds", service=SWEEP, statistic="Maximum"),
            _STUCK_SECONDS,
            "An object that arrived has no outcome for hours",
        )
        self._alarm(
            "OutboxUndelivered",
            own("OutboxUndeliveredOldestSeconds", service=SWEEP, statistic="Maximum"),
            _UNDELIVERED_SECONDS,
            "A message does not leave the outbox",
        )
        self._alarm(
            "StudiesOverdue",
            own("StudiesOverdue", service=SWEEP, statistic="Minimum"),
            0,
            "Studies wait for a look that nobody takes",
            periods=3,
        )

    def _watch_arrivals(self, minutes: int) -> None:
        self._alarm(
            "NoArrivals",
            own("ObjectsArrived", service=ARRIVALS, statistic="Sum"),
            1,
            "Nothing arrives: the hospital's network, a gateway or the door may be down",
            periods=minutes // 5,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            # No object, no metric: silence is what this alarm is for.
            missing=cloudwatch.TreatMissingData.BREACHING,
        )

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        description: str,
        *,
        periods: int = 1,
        comparison: cloudwatch.ComparisonOperator = _ABOVE,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        alarm.add_ok_action(actions.SnsAction(self.topic))


def _title(name: str) -> str:
    return name.title().replace("_", "")
