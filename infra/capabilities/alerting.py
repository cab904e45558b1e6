"""From a recorded result to a reader who has acknowledged: alert, deadlines, escalate, and who is called."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import Aws, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.capabilities.access import (
    APPEND,
    READ,
    WRITE,
    acknowledge_own_policy,
    publish,
    use_key,
    use_table,
)
from infra.capabilities.function import Function, Size
from infra.capabilities.queues import WorkQueue
from infra.capabilities.store import Store
from infra.capabilities.wiring import event_to_queue, queue_to_function
from infra.config import Config, Subscriber
from infra.guard import acknowledge

EVENT_SOURCE = "firstread"
RESULT_RECORDED = "ResultRecorded"
_SMALL = Size()
_ALERTS_AT_ONCE = 50
_LOOKS_AT_ONCE = 10
_PROTOCOLS: Final = {
    "email": sns.SubscriptionProtocol.EMAIL,
    "sms": sns.SubscriptionProtocol.SMS,
    "https": sns.SubscriptionProtocol.HTTPS,
}


class Deadlines(Construct):
    """One-shot schedules of EventBridge Scheduler, each of which asks for a look at an alert.

    Attributes
    ----------
    looks
        Alerts to be looked at.
    group
        The schedules; nothing else is in it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        self.looks = WorkQueue(self, "Escalations", key=key, visibility=_SMALL.visibility)
        self.group = scheduler.CfnScheduleGroup(self, "Group")
        self._place = f"{Aws.PARTITION}:scheduler:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={
                    "StringEquals": {
                        "aws:SourceAccount": Aws.ACCOUNT_ID,
                        "aws:SourceArn": f"arn:{self._place}:schedule-group/{self.group.ref}",
                    }
                },
            ),
        )
        use_key(self.role, key)
        acknowledge_own_policy(self.role)
        for queue in (self.looks.queue, self.looks.dead_letters):
            queue.grant(self.role, "sqs:SendMessage")

    def settings(self) -> dict[str, str]:
        """Return what a program is told that makes schedules."""
        return {
            "ESCALATION_SCHEDULE_GROUP": self.group.ref,
            "ESCALATION_SCHEDULE_ROLE_ARN": self.role.role_arn,
            "ESCALATIONS_QUEUE_ARN": self.looks.queue.queue_arn,
            "ESCALATIONS_DLQ_ARN": self.looks.dead_letters.queue_arn,
        }

    def allow_making(self, role: iam.Role) -> None:
        """Allow to make schedules in the group, and to give them the role they send under."""
        schedules = f"arn:{self._place}:schedule/{self.group.ref}/*"
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=["scheduler:CreateSchedule"], resources=[schedules])
        )
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
            )
        )
        group = Stack.of(self).resolve(self.group.logical_id)
        acknowledge(
            role,
            f"IAM5[Resource::arn:<AWS::Partition>:scheduler:<AWS::Region>:<AWS::AccountId>:schedule/<{group}>/*]",
            reason="Schedules of this one group: each is named after an alert, unknown beforehand.",
        )


class Alerting(Construct):
    """A recorded result sets the priority of its study, and may call a radiologist until somebody acknowledges.

    Attributes
    ----------
    results
        Events "result recorded".
    looks
        Alerts to be looked at: a deadline is over, or the study was dealt with.
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
        key = store.keys.data
        self._store, self._code = store, code
        self.results = WorkQueue(self, "Results", key=key, visibility=_SMALL.visibility)
        events.Rule(
            self,
            "ResultRecorded",
            description="A model's result for a study version was recorded",
            event_bus=bus,
            event_pattern=events.EventPattern(source=[EVENT_SOURCE], detail_type=[RESULT_RECORDED]),
            targets=[event_to_queue(self.results)],
        )
        self._deadlines = Deadlines(self, "Deadlines", key=key)
        self.looks = self._deadlines.looks
        self.topic = sns.Topic(
            self, "Alerts", display_name="FirstRead alerts", master_key=key, enforce_ssl=True
        )
        _subscribe(self, self.topic, config.alert_subscribers)
        self._notices = {
            "STUDIES_TABLE": store.tables.studies.table_name,
            "ALERTS_TABLE": store.tables.alerts.table_name,
            "AUDIT_TABLE": store.tables.audit.table_name,
            "ALERT_TOPIC_ARN": self.topic.topic_arn,
            "PORTAL_URL": config.portal_url,
            "ALERTING": config.alerting_json,
        }
        self._alert()
        self._escalate()

    def _alert(self) -> None:
        tables = self._store.tables
        alert = self._function(
            "Alert",
            "alert",
            {
                "RESULTS_TABLE": tables.results.table_name,
                "INSTANCES_TABLE": tables.instances.table_name,
                "MODELS_TABLE": tables.models.table_name,
                "OUTBOX_TABLE": tables.outbox.table_name,
                **self._deadlines.settings(),
            },
        )
        queue_to_function(self.results, alert, at_once=_ALERTS_AT_ONCE)
        use_table(alert.role, tables.studies, *READ, *WRITE)
        for table in (tables.results, tables.instances, tables.models):
            use_table(alert.role, table, *READ)
        # What pixels say of a silent header may call for more models.
        use_table(alert.role, tables.outbox, *WRITE)
        use_table(alert.role, tables.alerts, *READ, *WRITE)
        self._deadlines.allow_making(alert.role)

    def _escalate(self) -> None:
        tables = self._store.tables
        escalate = self._function("Escalate", "escalate", {})
        queue_to_function(self.looks, escalate, at_once=_LOOKS_AT_ONCE)
        use_table(escalate.role, tables.studies, *READ)
        use_table(escalate.role, tables.alerts, *READ, *WRITE, indexes=("by_study",))

    def _function(self, construct_id: str, name: str, more: dict[str, str]) -> Function:
        made = Function(
            self,
            construct_id,
            name=name,
            code=self._code,
            key=self._store.keys.data,
            size=_SMALL,
            environment={**self._notices, **more},
        )
        use_table(made.role, self._store.tables.audit, *APPEND, *READ)
        publish(made.role, self.topic)
        return made


def _subscribe(scope: Construct, topic: sns.Topic, subscribers: Sequence[Subscriber]) -> None:
    for number, each in enumerate(subscribers, start=1):
        chosen = {"group": sns.SubscriptionFilter.string_filter(allowlist=list(each.groups))}
        sns.Subscription(
            scope,
            f"Subscriber{number}",
            topic=topic,
            protocol=_PROTOCOLS[each.protocol],
            endpoint=each.endpoint,
            filter_policy=chosen if each.groups else None,
        )
