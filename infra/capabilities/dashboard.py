"""One page for who looks after the pipeline."""

from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.capabilities.metrics import FIVE_MINUTES, SWEEP, anywhere, of_function, oldest, own, waiting

_OUTCOMES: Final = (
    "ObjectsArrived",
    "ObjectsStored",
    "ObjectsDuplicate",
    "ObjectsQuarantined",
    "RecordsFailed",
)
_LEFT_BEHIND: Final = ("StudiesOverdue", "LedgerImbalance")
_AGES: Final = ("LedgerPendingOldestSeconds", "OutboxUndeliveredOldestSeconds")


def dashboard(
    scope: Construct,
    queues: Mapping[str, sqs.IQueue],
    dead_letters: Mapping[str, sqs.IQueue],
    functions: Mapping[str, lambda_.IFunction],
) -> cloudwatch.Dashboard:
    """Make the dashboard: what came and what became of it, how long it took, what waits, what failed."""
    return cloudwatch.Dashboard(
        scope,
        "Dashboard",
        period_override=cloudwatch.PeriodOverride.INHERIT,
        widgets=[
            [
                _graph("Objects", [anywhere(name, "Sum") for name in _OUTCOMES]),
                _graph("Seconds of a stage, p95", [anywhere("StageSeconds", "p95", by="stage")]),
            ],
            [
                _graph(
                    "Left behind", [own(name, service=SWEEP, statistic="Maximum") for name in _LEFT_BEHIND]
                ),
                _graph(
                    "Oldest without an outcome, seconds",
                    [own(name, service=SWEEP, statistic="Maximum") for name in _AGES],
                ),
            ],
            [
                _graph("Waiting", [_named(waiting(queue), name) for name, queue in queues.items()]),
                _graph(
                    "Oldest message, seconds", [_named(oldest(queue), name) for name, queue in queues.items()]
                ),
            ],
            [
                _graph(
                    "Dead letters", [_named(waiting(queue), name) for name, queue in dead_letters.items()]
                ),
                _graph(
                    "Errors and throttles of functions",
                    [
                        _named(of_function(function, kind), f"{name} {kind.lower()}")
                        for name, function in functions.items()
                        for kind in ("Errors", "Throttles")
                    ],
                ),
            ],
        ],
    )


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=12, period=FIVE_MINUTES)


def _named(metric: cloudwatch.Metric, label: str) -> cloudwatch.Metric:
    return metric.with_(label=label)
