"""SQS batches of `DescribeSeriesRequest` -> `DescribeSeries.version`."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.clock import now, to_text
from firstread.dicomweb.documents import Maker
from firstread.dicomweb.held import Place
from firstread.environment import InstancesSettings, ResultsBucketSettings, StudiesBucketSettings
from firstread.handling import Event, batch, logger, meter
from firstread.messages import DescribeSeriesRequest
from firstread.metrics import Metric, Stage
from firstread.records import tables
from firstread.records.instances import InstanceRepository
from firstread.storage import Bucket
from functions.describe_series.logic import DescribeSeries


class Settings(InstancesSettings, StudiesBucketSettings, ResultsBucketSettings):
    """The environment of `describe_series`."""


@lru_cache(maxsize=1)
def bootstrap() -> DescribeSeries:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    return DescribeSeries(
        instances=InstanceRepository(),
        maker=Maker({Place.STUDIES: Bucket(settings.studies_bucket)}),
        shelf=Bucket(settings.results_bucket),
    )


def handle_record(record: Event) -> None:
    """Describe the series of one version."""
    request = DescribeSeriesRequest.model_validate_json(record["body"])
    found = bootstrap().version(request)
    logger.info("series described", extra=asdict(found))
    meter.add(Metric.SERIES_DESCRIBED, found.made)
    if found.unreadable:
        meter.add(Metric.SERIES_UNREADABLE, found.unreadable)
    meter.stage(Stage.COMPLETE_TO_DESCRIBED, request.completed_at, to_text(now()))


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point; a batch is one message."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    return batch(EventType.SQS, handle_record, event, context)
