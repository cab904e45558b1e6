"""SQS batches of ``AlertLook`` messages -> `Escalate.look`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.utilities.batch import EventType
from aws_lambda_powertools.utilities.typing import LambdaContext

from firstread.environment import AuditSettings, NoticesSettings, StudiesSettings
from firstread.handling import Event, batch, logger, meter
from firstread.messages import AlertLook
from firstread.metrics import Metric
from firstread.notices import Notices
from firstread.queues import Topic
from firstread.records import tables
from firstread.records.alerts import AlertRepository
from firstread.records.studies import StudyRepository
from functions.escalate.logic import Escalate, Outcome


class Settings(StudiesSettings, AuditSettings, NoticesSettings):
    """The environment of `escalate`."""


@lru_cache(maxsize=1)
def bootstrap() -> Escalate:
    """Wire the logic to its environment, once per execution environment."""
    settings = Settings()
    tables.bind(settings)
    return Escalate(
        studies=StudyRepository(),
        alerts=AlertRepository(),
        notices=Notices(Topic(settings.alert_topic_arn), settings.portal_url.rstrip("/")),
        policy=settings.alerting,
    )


def handle_record(record: Event) -> None:
    """Handle one message."""
    message = AlertLook.model_validate_json(record["body"])
    outcome = bootstrap().look(message)
    logger.info("alert looked at", extra={"outcome": outcome.value, "level": message.level})
    if outcome is Outcome.ESCALATED:
        meter.add(Metric.ALERTS_ESCALATED)


def handle(event: Event, context: LambdaContext) -> Mapping[str, Any]:
    """Lambda entry point."""
    bootstrap()  # a wrong environment fails the invocation, not one record after the other
    return batch(EventType.SQS, handle_record, event, context)
