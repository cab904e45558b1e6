"""SQS batches of ``ResultRecorded`` events -> `RankAndAlert.result`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from firstread.environment import (
    AlertsSettings,
    InstancesSettings,
    ModelsSettings,
    OutboxSettings,
    ResultsSettings,
    StudiesSettings,
)
from firstread.handling import Event, batch, logger, meter
from firstread.messages import ResultRecordedEvent
from firstread.metrics import Stage
from firstread.queues import Topic
from firstread.records import tables
from firstread.records.alerts import AlertRepository
from firstread.records.instances import InstanceRepository
from firstread.records.models import ModelRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from functions.alert.logic import RankAndAlert


class Settings(
    StudiesSettings, ResultsSettings, AlertsSettings, InstancesSettings, ModelsSettings, OutboxSettings
):
    """The environment of `alert`."""

    alert_topic_arn: str = Field(description="Topic that alert notices are published to.")
    portal_url: str = Field(description="Root of the portal that notices link to.")


@lru_cache(maxsize=1)
def bootstrap() -> RankAndAlert:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    return RankAndAlert(
        studies=StudyRepository(),
        results=ResultRepository(),
        alerts=AlertRepository(),
        instances=InstanceRepository(),
        models=ModelRepository(),
        topic=Topic(settings.alert_topic_arn),
        portal_url=settings.portal_url.rstrip("/"),
    )


def handle_record(record: Event) -> None:
    """Handle one event."""
    step = bootstrap()
    alert = step.result(ResultRecordedEvent.model_validate_json(record["body"]).detail)
    if alert is None:
        return
    logger.info("alert published", extra={"model": alert.model_id, "simulated": alert.simulated})
    result = step.results.get(alert.study_uid, alert.result_id)
    if result is not None:
        meter.stage(Stage.RESULT_TO_ALERT, result.finished_at, alert.delivered_at)


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    return batch(EventType.SQS, handle_record, event, context)
