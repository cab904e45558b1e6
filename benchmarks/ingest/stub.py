"""A model service that takes no time: whatever is asked for is recorded as flagged at once."""

import threading
from typing import Any

import boto3

from firstread.clock import now, to_text
from firstread.environment import (
    AnalyzeQueuesSettings,
    ModelsSettings,
    OutboxSettings,
    ResultsSettings,
    StudiesSettings,
)
from firstread.messages import AnalyzeRequest
from firstread.records.instances import InstanceRepository
from firstread.records.models import ModelRepository
from firstread.records.results import ResultRepository
from firstread.result import Code, Finding, OperatingPoint, Result, ResultStatus, result_id
from firstread.routing import RegisteredModel, RoutingRule
from firstread.study import Risk

MODEL = "benchmark@1"


class Settings(ModelsSettings, OutboxSettings, ResultsSettings, StudiesSettings, AnalyzeQueuesSettings):
    """What the stub reads and writes."""


def register() -> None:
    """Register the stub for every image, and switch all other models off."""
    models = ModelRepository()
    for model in models.all():
        models.register(model.model_copy(update={"enabled": False}))
    models.register(
        RegisteredModel(
            model_id=MODEL, title="Stub", intended_use="benchmark", rule=RoutingRule(), bundle_sha256="0" * 64
        )
    )


class StubService(threading.Thread):
    """Reads both analyze queues until it is stopped."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._urls = settings.analyze_urgent_queue_url, settings.analyze_queue_url
        self._sqs: Any = boto3.client("sqs")
        self._over = threading.Event()
        self._results, self._instances = ResultRepository(), InstanceRepository()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.is_set():
            for url, wait in zip(self._urls, (0, 1), strict=True):
                answer = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
                for message in answer.get("Messages", []):
                    self._record(AnalyzeRequest.model_validate_json(message["Body"]))
                    self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _record(self, request: AnalyzeRequest) -> None:
        at = to_text(now())
        finding = Finding(
            label="Stub",
            code=Code(value="112001", scheme="DCM", meaning="Opacity"),
            probability=0.9,
            operating_point=OperatingPoint(threshold=0.5, chosen_on="none", sensitivity=1, specificity=1),
            risk=Risk.HIGH,
            sop_uid="2.25.1",
        )
        self._results.record(
            Result(
                study_uid=request.study_uid,
                result_id=result_id(request.version, request.model_id),
                version=request.version,
                model_id=request.model_id,
                status=ResultStatus.DONE,
                findings=(finding,),
                started_at=at,
                finished_at=at,
            )
        )
