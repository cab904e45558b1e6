"""How many workers there are: none for an empty queue, more for a longer one, never fewer while one works."""

from collections.abc import Mapping, Sequence

from aws_cdk import Aws, Duration
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

# Application Auto Scaling always acts on ECS through this role and makes it where it is missing.
_SERVICE_LINKED_ROLE = (
    f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_ECSService"
)
_MINUTE = Duration.minutes(1)
_IDLE = Duration.minutes(5)
# A GPU instance takes minutes to start; until then the same backlog must not ask for another one.
_START = Duration.minutes(5)


class WorkerScaling(Construct):
    """Three rules, because backlog per worker is undefined while there is no worker.

    Wake: messages wait and nobody works, so start one. Grow: more messages wait per worker than one does in
    good time, so add some. Rest: nothing waits or is in flight for a quarter of an hour, so stop all.
    No rule stops a part of the workers: a message in flight is a study in work.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        cluster: ecs.ICluster,
        service: ecs.BaseService,
        queues: Sequence[sqs.IQueue],
        max_workers: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self._cluster, self._service, self._queues = cluster, service, queues
        self._target = scaling.ScalableTarget(
            self,
            "Workers",
            service_namespace=scaling.ServiceNamespace.ECS,
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=f"service/{cluster.cluster_name}/{service.service_name}",
            min_capacity=0,
            max_capacity=max_workers,
            role=iam.Role.from_role_arn(self, "ServiceLinkedRole", _SERVICE_LINKED_ROLE),
        )
        self._wake()
        self._grow()
        self._rest()

    def _wake(self) -> None:
        wake = self._action("Wake", scaling.AdjustmentType.EXACT_CAPACITY)
        wake.add_adjustment(adjustment=1, lower_bound=0)
        alarm = self._expression(
            "IF(FILL(workers, 0) < 1, {waiting}, 0)", "waiting without a worker", _MINUTE
        )
        self._alarm("Waiting", alarm, 1, wake)

    def _grow(self) -> None:
        grow = self._action("Grow", scaling.AdjustmentType.CHANGE_IN_CAPACITY, cooldown=_START)
        # Bounds count from the alarm's threshold of 5: 5 to 20 messages per worker add one, more add two.
        grow.add_adjustment(adjustment=1, lower_bound=0, upper_bound=15)
        grow.add_adjustment(adjustment=2, lower_bound=15)
        backlog = self._expression(
            "IF(FILL(workers, 0) > 0, ({waiting}) / FILL(workers, 1), 0)", "waiting per worker", _MINUTE
        )
        self._alarm("Backlog", backlog, 5, grow, periods=2)

    def _rest(self) -> None:
        rest = self._action("Rest", scaling.AdjustmentType.EXACT_CAPACITY)
        rest.add_adjustment(adjustment=0, upper_bound=0)
        busy = self._expression("{waiting} + {in_flight}", "waiting and in flight", _IDLE)
        self._alarm(
            "Idle",
            busy,
            0,
            rest,
            periods=3,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD,
        )

    def _action(
        self, name: str, kind: scaling.AdjustmentType, cooldown: Duration | None = None
    ) -> scaling.StepScalingAction:
        return scaling.StepScalingAction(
            self,
            name,
            scaling_target=self._target,
            adjustment_type=kind,
            cooldown=cooldown,
            metric_aggregation_type=scaling.MetricAggregationType.MAXIMUM,
        )

    def _expression(self, expression: str, label: str, period: Duration) -> cloudwatch.MathExpression:
        """Make an expression over ``workers``, ``{waiting}`` and ``{in_flight}``, the latter summed over the queues.

        A queue that was quiet for hours reports nothing, and nothing plus the other queue would be nothing.
        """
        metrics = self._metrics(period)
        sums = {
            name: " + ".join(f"FILL({metric}, 0)" for metric in metrics if metric.startswith(name))
            for name in ("waiting", "in_flight")
        }
        text = expression.format(**sums)
        used = {name: metric for name, metric in metrics.items() if name in text}
        return cloudwatch.MathExpression(expression=text, label=label, period=period, using_metrics=used)

    def _metrics(self, period: Duration) -> Mapping[str, cloudwatch.IMetric]:
        metrics: dict[str, cloudwatch.IMetric] = {
            "workers": cloudwatch.Metric(
                namespace="ECS/ContainerInsights",
                metric_name="DesiredTaskCount",
                dimensions_map={
                    "ClusterName": self._cluster.cluster_name,
                    "ServiceName": self._service.service_name,
                },
                statistic="Maximum",
                period=period,
            )
        }
        for number, queue in enumerate(self._queues):
            metrics[f"waiting{number}"] = queue.metric_approximate_number_of_messages_visible(
                statistic="Maximum", period=period
            )
            metrics[f"in_flight{number}"] = queue.metric_approximate_number_of_messages_not_visible(
                statistic="Maximum", period=period
            )
        return metrics

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        action: scaling.StepScalingAction,
        *,
        periods: int = 1,
        comparison: cloudwatch.ComparisonOperator = (
            cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        ),
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            f"{name}Alarm",
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison,
            # SQS reports nothing for a queue that was quiet for hours: that is rest, not alarm.
            treat_missing_data=cloudwatch.TreatMissingData.IGNORE,
        )
        alarm.add_alarm_action(actions.ApplicationScalingAction(action))
