"""One analyze request -> one recorded result, whatever happens and however often it is asked for."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pydicom

from firstread.clock import now, to_text
from firstread.dicom.reader import quiet
from firstread.errors import FirstReadError, NotFoundError
from firstread.gathering.summary import present
from firstread.imaging.pixels import PixelError
from firstread.imaging.render import grayscale
from firstread.messages import AnalyzeRequest
from firstread.records.instances import InstanceRepository
from firstread.records.results import ResultRepository
from firstread.records.studies import StudyRepository
from firstread.result import Code, Finding, OperatingPoint, Result, ResultStatus, result_id
from firstread.routing import select
from firstread.storage import Bucket, result_key
from firstread.study import Instance, Risk, StudyVersion
from model_service.manifest import BundleManifest
from model_service.overlay import render_overlay
from model_service.predict import Prediction
from model_service.registry import digest

PRECISION = "fp32"
NO_INSTANCE = "no_matching_instance"
"""Reason of a result for which the bundle's own rule accepts no instance of the version."""
UNEXPECTED = "unexpected_error"
"""Reason of a result that was given up after the last try; the log names the error."""


class UnknownModelError(FirstReadError):
    """The request names a model that this service does not have."""


class Model(Protocol):
    """What an analysis needs of a loaded model."""

    manifest: BundleManifest

    def predict(self, image: npt.NDArray[np.float32]) -> Prediction:
        """Classify one image."""

    def flagged(self, prediction: Prediction) -> bool:
        """Tell whether a prediction reaches the operating point."""


@dataclass
class Analyse:
    """The step `analyse`.

    Parameters
    ----------
    studies, instances, results
        The records.
    studies_bucket, results_bucket
        Where images are and overlays go.
    bundles
        Model id -> bundle folder.
    load
        Loads a bundle; each is loaded once and kept.
    clock
        The present moment.
    """

    studies: StudyRepository
    instances: InstanceRepository
    results: ResultRepository
    studies_bucket: Bucket
    results_bucket: Bucket
    bundles: Mapping[str, Path]
    load: Callable[[Path], Model]
    clock: Callable[[], datetime] = now

    def __post_init__(self) -> None:
        self._loaded: dict[str, Model] = {}
        self._digests: dict[str, str] = {}

    def warm_up(self) -> None:
        """Load every model before the first request."""
        for each in self.bundles:
            self._model(each)

    def request(self, request: AnalyzeRequest) -> Result | None:
        """Analyse a study version with one model.

        Returns
        -------
        Result or None
            What was recorded; None where a result was recorded before or the version is no longer current.

        Raises
        ------
        NotFoundError, UnknownModelError
            If the request names a study or model that is not there.
        """
        version = self._current(request)
        if version is None:
            return None
        started = to_text(self.clock())
        model = self._model(request.model_id)
        chosen = [
            instance
            for instance in select(
                model.manifest.routing, present(self.instances.of_study(request.study_uid))
            ).instances
            if instance.stored_at <= version.completed_at  # later ones belong to the next version
        ]
        if not chosen:
            # Done without a finding would read as looked at.
            return self._record(request, started, chosen, reason=NO_INSTANCE)
        try:
            findings = tuple(self._finding(model, instance) for instance in chosen)
        except PixelError as error:
            return self._record(request, started, chosen, reason=error.reason.value)
        return self._record(request, started, chosen, findings=findings)

    def give_up(self, request: AnalyzeRequest) -> Result | None:
        """Record that the analysis failed for good, so that the study says so on the worklist."""
        if self._current(request) is None:
            return None
        return self._record(request, to_text(self.clock()), [], reason=UNEXPECTED)

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

    def _model(self, model_id: str) -> Model:
        if model_id not in self.bundles:
            raise UnknownModelError("this service does not have the model")
        if model_id not in self._loaded:
            self._loaded[model_id] = self.load(self.bundles[model_id])
            self._digests[model_id] = digest(self.bundles[model_id])
        return self._loaded[model_id]

    def _finding(self, model: Model, instance: Instance) -> Finding:
        with self.studies_bucket.open(instance.studies_key) as file, quiet():
            dataset = pydicom.dcmread(file)
            # The whole range, not the window somebody left: windows differ between viewers of one image.
            image = grayscale(dataset, window="full")
        prediction = model.predict(image)
        overlay = render_overlay(prediction.activation_map)
        key = result_key(instance.study_uid, hashlib.sha256(overlay).hexdigest(), "png")
        self.results_bucket.put(key, overlay, "image/png")
        return _finding(model, prediction, instance.sop_uid, key)

    def _record(
        self,
        request: AnalyzeRequest,
        started: str,
        chosen: list[Instance],
        findings: tuple[Finding, ...] = (),
        reason: str = "",
    ) -> Result | None:
        result = Result(
            study_uid=request.study_uid,
            result_id=result_id(request.version, request.model_id),
            version=request.version,
            model_id=request.model_id,
            status=ResultStatus.FAILED if reason else ResultStatus.DONE,
            reason=reason,
            findings=findings,
            started_at=started,
            finished_at=to_text(self.clock()),
            precision=PRECISION,
            bundle_sha256=self._digests.get(request.model_id, ""),
            simulated=any(instance.facts.simulated for instance in chosen),
        )
        return result if self.results.record(result, request.correlation_id) else None


def _finding(model: Model, prediction: Prediction, sop_uid: str, key: str) -> Finding:
    (wanted,) = model.manifest.output.classes  # type: ignore[union-attr]
    flagged = model.flagged(prediction)
    return Finding(
        label=wanted.finding.label,
        code=Code.model_validate(wanted.finding.concept.model_dump()),
        probability=prediction.probability,
        operating_point=OperatingPoint.model_validate(wanted.operating_point.model_dump()),
        risk=Risk.HIGH if flagged else Risk.NOT_FLAGGED,
        sop_uid=sop_uid,
        overlay_key=key,
    )
