"""SQS batches of ``ResultRecorded`` events -> `RankAndAlert.result`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.environment import (
    AuditSettings,
    InstancesSettings,
    ModelsSettings,
    NoticesSettings,
    OutboxSettings,
    ResultsSettings,
    SchedulesSettings,
    StudiesSettings,
)
from firstread.handling import Event, batch, logger, meter
from firstread.messages import ResultRecordedEvent
from firstread.metrics import Metric, Stage
from firstread.notices import Notices
from firstread.queues import Topic
from firstread.records import tables
from firstread.records.alerts import AlertRepository
from firstread.records.instances import InstanceRepository
from firstread.records.models import ModelRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.schedules import Schedules
from functions.alert.logic import RankAndAlert


class Settings(
    StudiesSettings,
    ResultsSettings,
    InstancesSettings,
    ModelsSettings,
    OutboxSettings,
    AuditSettings,
    NoticesSettings,
    SchedulesSettings,
):
    """The environment of `alert`."""


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
        notices=Notices(Topic(settings.alert_topic_arn), settings.portal_url.rstrip("/")),
        deadlines=Schedules(
            settings.escalation_schedule_group,
            settings.escalations_queue_arn,
            settings.escalations_dlq_arn,
            settings.escalation_schedule_role_arn,
        ),
        policy=settings.alerting,
        created=lambda _alert: meter.add(Metric.ALERTS_CREATED),
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
