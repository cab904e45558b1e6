"""The metrics that alarms and the dashboard look at."""

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

NAMESPACE: Final = "FirstRead"
"""Of the programs' own metrics, which they write into their logs (CloudWatch embedded metric format)."""
ARRIVALS: Final = "deidentify"
"""The program that meets every object first, and so counts what arrived."""
SWEEP: Final = "sweep"
"""The program that looks once a minute at what waits."""
FIVE_MINUTES: Final = Duration.minutes(5)


def own(name: str, *, service: str, statistic: str, period: Duration = FIVE_MINUTES) -> cloudwatch.Metric:
    """Return a metric that a program writes."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": service},
        statistic=statistic,
        period=period,
    )


def anywhere(name: str, statistic: str, *, by: str = "") -> cloudwatch.MathExpression:
    """Return a metric of whichever programs write it, for the dashboard: an alarm may not search.

    Parameters
    ----------
    by
        Another dimension than the program.
    """
    dimensions = ",".join([NAMESPACE, "service", *([by] if by else [])])
    return cloudwatch.MathExpression(
        expression=f"SEARCH('{{{dimensions}}} MetricName=\"{name}\"', '{statistic}', 300)",
        label="",
        period=FIVE_MINUTES,
        using_metrics={},
    )


def waiting(queue: sqs.IQueue) -> cloudwatch.Metric:
    """Return how many messages of a queue nobody has taken."""
    return queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=FIVE_MINUTES)


def oldest(queue: sqs.IQueue) -> cloudwatch.Metric:
    """Return the age of a queue's oldest message in seconds."""
    return queue.metric_approximate_age_of_oldest_message(statistic="Maximum", period=FIVE_MINUTES)


def of_function(function: lambda_.IFunction, name: str) -> cloudwatch.Metric:
    """Return how often something happened to a function."""
    return function.metric(name, statistic="Sum", period=FIVE_MINUTES)
