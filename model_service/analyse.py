"""One analyze request -> one recorded result, whatever happens and however often it is asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from firstread.clock import now, to_text
from firstread.errors import FirstReadError, NotFoundError
from firstread.gathering.summary import present
from firstread.imaging.pixels import PixelError
from firstread.imaging.verdict import VolumeError
from firstread.messages import AnalyzeRequest
from firstread.recognition import completed, disagreement, recognised
from firstread.records.instances import InstanceRepository
from firstread.records.models import ModelRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.result import Recognised, Result, ResultStatus, result_id
from firstread.routing import ModelRole, ModelState, RegisteredModel, Selection, select
from firstread.storage import Bucket
from firstread.study import Instance, StudyVersion
from model_service.inputs import Inputs, read
from model_service.manifest import Recognition
from model_service.models import Models
from model_service.objects.describe import describe
from model_service.objects.said import Said
from model_service.prediction import Classified, Model, Prediction

NO_INSTANCE = "no_matching_instance"
"""Reason of a result for which the bundle's own rule accepts no instance of the version."""
UNEXPECTED = "unexpected_error"
"""Reason of a result that was given up after the last try; the log names the error."""
SWITCHED_OFF = "model_switched_off"
"""Reason of a result that was skipped: the model was switched off after it had been asked."""


class UnknownModelError(FirstReadError):
    """The request names a model that is not registered."""


@dataclass(frozen=True)
class Job:
    """A request that has been read and decoded: what is left is for the model to say.

    Parameters
    ----------
    model
        None where `reason` says why it is not asked.
    status
        Of the result, where there is a reason.
    """

    request: AnalyzeRequest
    version: StudyVersion
    registered: RegisteredModel
    started_at: str
    model: Model | None = None
    selected: tuple[Instance, ...] = ()
    passed_over: Mapping[str, str] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=lambda: Inputs((), ()))
    reason: str = ""
    status: ResultStatus = ResultStatus.FAILED


@dataclass(frozen=True)
class Analyse:
    """The step `analyse`, in two halves with the model between them.

    Parameters
    ----------
    studies, instances, results, registrations
        The records.
    studies_bucket, results_bucket
        Where images are and result objects go.
    models
        The loaded models.
    clock
        The present moment.
    """

    studies: StudyRepository
    instances: InstanceRepository
    results: ResultRepository
    registrations: ModelRepository
    studies_bucket: Bucket
    results_bucket: Bucket
    models: Models
    clock: Callable[[], datetime] = now

    def request(self, request: AnalyzeRequest) -> Result | None:
        """Analyse a study version with one model: `prepare`, ask, `record`.

        Returns
        -------
        Result or None
            What was recorded; None where a result was recorded before or the version is no longer current.

        Raises
        ------
        NotFoundError, UnknownModelError
            If the request names a study or model that is not there.
        """
        job = self.prepare(request)
        if job is None:
            return None
        return self.record(job, job.model.predict(job.inputs.model_inputs) if job.model else [])

    def prepare(self, request: AnalyzeRequest) -> Job | None:
        """Read what a request is about; None where nothing is left to do.

        Raises
        ------
        NotFoundError, UnknownModelError
            If the request names a study or model that is not there.
        """
        version = self._current(request)
        if version is None:
            return None
        registered = self.registrations.get(request.model_id)
        if registered is None:
            raise UnknownModelError("the model is not registered")
        started = to_text(self.clock())
        if registered.state is ModelState.OFF:
            return Job(
                request,
                version,
                registered,
                started,
                reason=SWITCHED_OFF,
                status=ResultStatus.SKIPPED,
            )
        model = self.models.get(registered)
        selection = self._select(model, version)
        told: dict[str, Any] = {"selected": selection.instances, "passed_over": selection.passed_over}
        if not selection.instances:
            # Done without a finding would read as looked at.
            return Job(request, version, registered, started, reason=NO_INSTANCE, **told)
        try:
            inputs = read(self.studies_bucket, model.manifest, selection.instances)
        except (PixelError, VolumeError) as error:
            return Job(request, version, registered, started, reason=error.reason.value, **told)
        return Job(request, version, registered, started, model=model, inputs=inputs, **told)

    def record(self, job: Job, predictions: Sequence[Prediction]) -> Result | None:
        """Write what a model said, objects first, and the result once.

        Parameters
        ----------
        job
            As `prepare` returned it.
        predictions
            One per input; none where the model was not asked.

        Returns
        -------
        Result or None
            None where another worker was faster.
        """
        said = self._said(job, predictions) if job.model else {"status": job.status, "reason": job.reason}
        result = Result.model_validate(
            {
                "study_uid": job.request.study_uid,
                "result_id": result_id(job.request.version, job.request.model_id),
                "version": job.request.version,
                "model_id": job.request.model_id,
                "beside": job.registered.role is ModelRole.AID or job.registered.state is ModelState.SHADOW,
                "shadow": job.registered.state is ModelState.SHADOW,
                "passed_over": dict(job.passed_over),
                "started_at": job.started_at,
                "finished_at": to_text(self.clock()),
                "bundle_sha256": job.registered.bundle_sha256,
                "simulated": any(each.facts.simulated for each in job.selected),
                **said,
            }
        )
        return result if self.results.record(result, job.request.correlation_id) else None

    def give_up(self, request: AnalyzeRequest, reason: str = UNEXPECTED) -> Result | None:
        """Record that the analysis failed for good, so that the study says so on the worklist."""
        version = self._current(request)
        registered = self.registrations.get(request.model_id)
        if version is None or registered is None:
            return None
        return self.record(Job(request, version, registered, to_text(self.clock()), reason=reason), [])

    def completed_at(self, request: AnalyzeRequest) -> str:
        """Return when the study version of a request was complete; "" where there is none."""
        version = self.studies.version(request.study_uid, request.version)
        return version.completed_at if version is not None else ""

    def _current(self, request: AnalyzeRequest) -> StudyVersion | None:
        study = self.studies.get(request.study_uid)
        version = self.studies.version(request.study_uid, request.version)
        if study is None or version is None:
            raise NotFoundError("no such study version")
        if study.version != request.version:
            return None
        wanted = result_id(request.version, request.model_id)
        return None if self.results.get(request.study_uid, wanted) else version

    def _select(self, model: Model, version: StudyVersion) -> Selection:
        # Later ones belong to the next version.
        found = [
            each
            for each in present(self.instances.of_study(version.study_uid))
            if each.stored_at <= version.completed_at
        ]
        selection = select(model.manifest.routing, found)
        if selection.instances:
            return selection
        # The header may be silent, and an aid has seen what it is.
        seen = recognised(self.results.of_version(version.study_uid, version.version))
        return select(model.manifest.routing, completed(found, seen)) if seen else selection

    def _said(self, job: Job, predictions: Sequence[Prediction]) -> dict[str, Any]:
        model = job.model
        assert model is not None  # noqa: S101 - the caller has asked
        series = tuple(dict.fromkeys(each.facts.series_uid for each in job.selected))
        told: dict[str, Any] = {
            "status": ResultStatus.DONE,
            "series": series,
            "engine": model.engine.name,
            "precision": model.engine.precision,
        }
        if isinstance(model.manifest.output, Recognition):
            return told | _recognition(job, model.manifest.output, predictions)
        described = describe(
            Said(
                manifest=model.manifest,
                bundle_sha256=model.bundle_sha256,
                engine=model.engine.name,
                precision=model.engine.precision,
                study_uid=job.request.study_uid,
                version=job.request.version,
                sources=job.inputs.sources,
                frames=job.inputs.frames,
                predictions=predictions,
                volume=job.inputs.volume,
            )
        )
        objects = [part.result_object(job.request.study_uid) for part in described.parts]
        for part, each in zip(described.parts, objects, strict=True):
            self.results_bucket.put(each.key, part.content, part.content_type)
        remarks = [*described.remarks]
        if job.inputs.passed_over:
            looked = len(job.inputs.frames)
            remarks.append(f"{looked} of {looked + job.inputs.passed_over} images were looked at")
        return told | {"findings": described.findings, "objects": tuple(objects), "remarks": tuple(remarks)}


def _recognition(job: Job, output: Recognition, predictions: Sequence[Prediction]) -> dict[str, Any]:
    facts = {each.sop_uid: each.facts for each in job.selected}
    seen, remarks = [], []
    for frame, prediction in zip(job.inputs.frames, predictions, strict=True):
        if not isinstance(prediction, Classified):
            raise TypeError("a recognition returns probabilities")
        probability = max(prediction.probabilities)
        kind = output.classes[prediction.probabilities.index(probability)]
        known = probability >= output.unknown_below and bool(kind.modalities)
        found = Recognised(
            series_uid=facts[frame.sop_uid].series_uid,
            label=kind.label if known else "",
            probability=probability,
            modalities=kind.modalities if known else (),
            body_parts=kind.body_parts if known else (),
        )
        seen.append(found)
        remarks.append(disagreement(facts[frame.sop_uid], found))
    return {"recognised": tuple(seen), "remarks": tuple(dict.fromkeys(each for each in remarks if each))}
