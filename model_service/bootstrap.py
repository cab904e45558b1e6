"""Wire the worker to its environment."""

from collections.abc import Callable
from functools import partial

from pydantic import Field
from pynamodb.exceptions import PynamoDBException

from firstread.environment import (
    AnalyzeQueuesSettings,
    InferenceSettings,
    InstancesSettings,
    ModelsBucketSettings,
    ModelsSettings,
    OutboxSettings,
    ResultsBucketSettings,
    ResultsSettings,
    StudiesBucketSettings,
    StudiesSettings,
)
from firstread.handling import describe
from firstread.records import tables
from firstread.records.instances import InstanceRepository
from firstread.records.models import ModelRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.routing import ModelState
from firstread.storage import Bucket
from model_service.analyse import Analyse
from model_service.heartbeat import Heartbeat
from model_service.inbox import Inbox
from model_service.inference import load_model
from model_service.log import logger
from model_service.models import Models
from model_service.protection import Protection
from model_service.running import in_a_process
from model_service.store import open_store
from model_service.worker import Worker, meter


class AnalyseSettings(
    StudiesBucketSettings,
    ResultsBucketSettings,
    InstancesSettings,
    StudiesSettings,
    ResultsSettings,
    OutboxSettings,
    ModelsSettings,
    ModelsBucketSettings,
    InferenceSettings,
):
    """The environment of an analysis."""

    model_memory_mb: int = Field(
        4096, ge=1, description="Memory for loaded models; the least recently used goes."
    )


class Settings(AnalyseSettings, AnalyzeQueuesSettings):
    """The environment of the worker."""


def analyse(settings: AnalyseSettings | None = None) -> Analyse:
    """Return the step `analyse` for this process's environment."""
    settings = settings or AnalyseSettings()
    tables.bind(settings)
    return Analyse(
        studies=StudyRepository(),
        instances=InstanceRepository(),
        results=ResultRepository(),
        registrations=ModelRepository(),
        studies_bucket=Bucket(settings.studies_bucket),
        results_bucket=Bucket(settings.results_bucket),
        models=Models(
            open_store(settings).folder,
            partial(load_model, settings=settings),
            settings.model_memory_mb * 1024**2,
        ),
    )


def worker() -> Worker:
    """Return a worker for this process's environment."""
    settings = Settings()
    inbox = Inbox(settings.analyze_urgent_queue_url, settings.analyze_queue_url, meter)
    step = analyse(settings)
    try:
        step.models.warm_up(each for each in step.registrations.all() if each.state is not ModelState.OFF)
    except PynamoDBException as error:
        # The table is out of reach for now: the worker waits for it as it does later, and loads when asked.
        logger.error("models not loaded ahead", extra=describe(error))
    return Worker(inbox, step, last_try=in_a_process, beat=_beat(Heartbeat(), Protection.of_environment()))


def _beat(heartbeat: Heartbeat, protection: Protection) -> Callable[[bool], None]:
    def beat(busy: bool) -> None:
        heartbeat.beat()
        protection.hold(busy=busy)

    return beat
