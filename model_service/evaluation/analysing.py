"""From cases to outcomes: read, predict, compare; the pixels of a case are let go of before the next batch."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import PIL.Image

from firstread.errors import FirstReadError
from firstread.imaging.volume import Volume
from model_service.evaluation import nifti, reading
from model_service.evaluation.cases import Case
from model_service.evaluation.judging import Fault, Judge
from model_service.evaluation.pictures import data_uri
from model_service.evaluation.reasons import CaseError, CaseReason
from model_service.evaluation.segmentation import label_map
from model_service.manifest import VolumeInput
from model_service.prediction import Model, Prediction

_LOG = logging.getLogger(__name__)
_BATCH = 16  # images; volumes go one by one
_SHOWN = 6  # cases of one fault


@dataclass(frozen=True)
class Shown:
    """A case in the report's pictures."""

    name: str
    caption: str
    picture: str
    fault: Fault


@dataclass
class Analysed:
    """What is kept of the cases: no pixels."""

    cases: list[Case] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    outcomes: list[Any] = field(default_factory=list)
    labelled: list[bool] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)


@dataclass(frozen=True)
class Ready:
    """A case that was read."""

    case: Case
    source: reading.Source
    truth: Any


def analyse(
    model: Model,
    judge: Judge[Any, Any],
    cases: Sequence[Case],
    save_to: Path | None,
    progress: Callable[[int, int], None] | None,
) -> Analysed:
    """Read, predict and compare cases.

    Parameters
    ----------
    model, judge
        Of one task.
    cases : sequence of Case
        To analyse.
    save_to : pathlib.Path, optional
        Folder for the label maps.
    progress : callable, optional
        Is told how many of how many cases are done.
    """
    into = Analysed()
    size = 1 if isinstance(model.manifest.input, VolumeInput) else _BATCH
    for start in range(0, len(cases), size):
        _batch(model, judge, cases[start : start + size], save_to, into)
        if progress is not None:
            progress(min(start + size, len(cases)), len(cases))
    return into


def _batch(
    model: Model, judge: Judge[Any, Any], batch: Sequence[Case], save_to: Path | None, into: Analysed
) -> None:
    ready = []
    for case in batch:
        try:
            source = reading.load(case, model.manifest.input)
            ready.append(Ready(case, source, judge.truth(case, source)))
        except FirstReadError as error:  # typed: its text is the reason
            into.refused.append((case.name, str(error)))
        except OSError:
            into.refused.append((case.name, CaseReason.NOT_READABLE.value))
    for each, predictions in _predicted(model, ready):
        try:
            if predictions is None:
                raise CaseError(CaseReason.MODEL_FAILED)
            _keep(judge, each, predictions, save_to, into)
        except CaseError as error:
            into.refused.append((each.case.name, error.reason.value))


def _predicted(model: Model, ready: Sequence[Ready]) -> Iterator[tuple[Ready, list[Prediction] | None]]:
    """Yield the predictions of each case; None where the model fails on it alone."""
    if not ready:
        return
    try:
        said = iter(model.predict([each for case in ready for each in case.source.inputs]))
    except Exception as error:
        if len(ready) > 1:
            for case in ready:
                yield from _predicted(model, [case])
            return
        _LOG.warning("the model failed on a case: %s", type(error).__name__)  # its text may quote the case
        yield ready[0], None
        return
    for case in ready:
        yield case, [next(said) for _ in case.source.inputs]


def _keep(
    judge: Judge[Any, Any], ready: Ready, predictions: list[Prediction], save_to: Path | None, into: Analysed
) -> None:
    case, source = ready.case, ready.source
    outcome = judge.outcome(source, predictions, ready.truth)
    labelled = ready.truth is not None
    into.cases.append(case)
    into.outcomes.append(outcome)
    into.labelled.append(labelled)
    into.patients.append(_patient(case, source))
    if save_to is not None:
        _save(save_to, case, source, predictions)
    fault = judge.fault(outcome)
    alike = [each for each in into.shown if fault is not None and each.fault.title == fault.title]
    mildest = min(alike, key=lambda each: each.fault.weight) if len(alike) >= _SHOWN else None
    if fault is None or (mildest is not None and fault.weight <= mildest.fault.weight):
        return
    if mildest is not None:
        into.shown.remove(mildest)
    picture = data_uri(judge.picture(source, predictions, ready.truth))
    into.shown.append(Shown(case.name, judge.caption(outcome), picture, fault))


def _patient(case: Case, source: reading.Source) -> str:
    if case.patient is not None:
        return f"csv {case.patient}"
    return f"dicom {source.patient}" if source.patient is not None else f"case {case.name}"


def _save(folder: Path, case: Case, source: reading.Source, predictions: Sequence[Prediction]) -> None:
    labels, first = label_map(predictions), source.inputs[0]
    suffix = ".nii.gz" if isinstance(first, Volume) else ".png"
    path = folder / (case.name if case.name.endswith(suffix) else case.name + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(first, Volume):
        nifti.save(path, labels, first.affine)
    else:
        PIL.Image.fromarray(labels).save(path)
