"""Wire the worker to its environment."""

from firstread.environment import (
    AnalyzeQueuesSettings,
    InstancesSettings,
    ModelsBucketSettings,
    ModelsSettings,
    OutboxSettings,
    ResultsBucketSettings,
    ResultsSettings,
    StudiesBucketSettings,
    StudiesSettings,
)
from firstread.records import tables
from firstread.records.instances import InstanceRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.storage import Bucket
from model_service.analyse import Analyse
from model_service.predict import Classifier
from model_service.registry import bundles
from model_service.worker import Worker


class Settings(
    StudiesBucketSettings,
    ResultsBucketSettings,
    InstancesSettings,
    StudiesSettings,
    ResultsSettings,
    OutboxSettings,
    ModelsSettings,
    ModelsBucketSettings,
    AnalyzeQueuesSettings,
):
    """The environment of the worker."""


def worker() -> Worker:
    """Return a worker for this process's environment."""
    settings = Settings()
    tables.bind(settings)
    analyse = Analyse(
        studies=StudyRepository(),
        instances=InstanceRepository(),
        results=ResultRepository(),
        studies_bucket=Bucket(settings.studies_bucket),
        results_bucket=Bucket(settings.results_bucket),
        bundles=bundles(),
        load=Classifier.load,
    )
    # Before the first message: the first patient should not wait for torch.
    analyse.warm_up()
    return Worker(settings.analyze_urgent_queue_url, settings.analyze_queue_url, analyse)
