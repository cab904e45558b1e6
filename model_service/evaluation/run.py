"""The evaluation itself: read, predict, compare, estimate, write."""

import csv
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from firstread.clock import now, to_text
from firstread.errors import FirstReadError
from firstread.imaging.volume import Volume
from model_service.evaluation import nifti, reading, report
from model_service.evaluation.cases import Case, Found, discover, fold
from model_service.evaluation.classification import ClassificationJudge
from model_service.evaluation.detection import DetectionJudge
from model_service.evaluation.judging import Fault, Judge, Subject
from model_service.evaluation.pictures import data_uri
from model_service.evaluation.reasons import CaseError, CaseReason, EvaluationError
from model_service.evaluation.recognition import RecognitionJudge
from model_service.evaluation.resample import REPEATS, SEED, estimate
from model_service.evaluation.segmentation import SegmentationJudge, label_map
from model_service.manifest import (
    BundleManifest,
    Classification,
    Detection,
    Recognition,
    Segmentation,
    VolumeInput,
)
from model_service.prediction import Model, Prediction

_LOG = logging.getLogger(__name__)
_BATCH = 16  # images; volumes go one by one
_SHOWN = 6  # cases of one fault
_MOST_VALUES = 20  # of a subgroup column; more are no groups


@dataclass(frozen=True)
class Options:
    """What to evaluate on, and where to write.

    Parameters
    ----------
    data : pathlib.Path
        Folder of cases.
    report : pathlib.Path
        Folder to write to; made where it is missing.
    labels : pathlib.Path, optional
        CSV of what is known of the cases.
    positive : tuple of str
        Labels or class folders that are positive, for models with one class.
    save : bool
        Whether label maps are written too.
    repeats, seed : int
        Of the bootstrap.
    """

    data: Path
    report: Path
    labels: Path | None = None
    positive: tuple[str, ...] = ()
    save: bool = False
    repeats: int = REPEATS
    seed: int = SEED


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


def evaluate(
    model: Model,
    options: Options,
    load_seconds: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[report.Report, list[Shown]]:
    """Evaluate a model, and write ``predictions.csv`` and, on demand, label maps.

    Parameters
    ----------
    model : Model
        Loaded.
    options : Options
        What on.
    load_seconds : float
        How long loading took, for the report.
    progress : callable, optional
        Is told how many of how many cases are done.

    Returns
    -------
    tuple of Report and list of Shown
        The report, and the cases to show in it, by fault, the worst first.

    Raises
    ------
    EvaluationError
        If there is nothing to evaluate, or the options contradict the model.
    """
    manifest = model.manifest
    judge = _judge(manifest, options)
    volumes = isinstance(manifest.input, VolumeInput)
    found = discover(
        options.data,
        volumes=volumes,
        labels=options.labels,
        positive=options.positive,
        classes=_classes(manifest),
    )
    _check_positive(found, options)
    options.report.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    analysed = Analysed(refused=list(found.refused))
    for batch in _batches(found.cases, 1 if volumes else _BATCH):
        _analyse(model, judge, batch, options, analysed)
        if progress is not None:
            progress(len(analysed.cases) + len(analysed.refused) - len(found.refused), len(found.cases))
    if not analysed.cases:
        raise EvaluationError(_nothing(analysed.refused))
    analyse_seconds = time.perf_counter() - started
    _write_predictions(options.report / "predictions.csv", judge, analysed)
    started = time.perf_counter()
    figures = _figures(judge, analysed, options)
    seconds = report.Seconds(
        load=round(load_seconds, 3),
        analyse=round(analyse_seconds, 3),
        figures=round(time.perf_counter() - started, 3),
        cases_per_second=round(len(analysed.cases) / analyse_seconds, 3),
    )
    made = report.Report(
        made_at=to_text(now()),
        bundle=report.Bundle(
            name=manifest.name,
            version=manifest.version,
            title=manifest.title,
            task=manifest.output.task,
            intended_use=manifest.intended_use,
            sha256=model.bundle_sha256,
        ),
        engine=model.engine.name,
        precision=model.engine.precision,
        data=_data(found, analysed, options),
        bootstrap=report.Resampling(repeats=options.repeats, seed=options.seed),
        seconds=seconds,
        rules=judge.rules,
        figures=figures,
    )
    return made, sorted(analysed.shown, key=lambda each: (each.fault.title, -each.fault.weight))


def _judge(manifest: BundleManifest, options: Options) -> Judge[Any, Any]:
    output = manifest.output
    if options.positive and not isinstance(output, Classification):
        raise EvaluationError("--positive is for classifiers")
    if options.save and not isinstance(output, Segmentation):
        raise EvaluationError("--save is for segmentations")
    match output:
        case Classification():
            return ClassificationJudge(output, options.positive)
        case Recognition():
            return RecognitionJudge(output)
        case Segmentation():
            return SegmentationJudge(output, volumes=isinstance(manifest.input, VolumeInput))
        case Detection():
            return DetectionJudge(output)


def _classes(manifest: BundleManifest) -> list[str]:
    """Return the names by which class folders are known as such."""
    output = manifest.output
    if isinstance(output, Recognition):
        return [*(each.label for each in output.classes), "unknown"]
    return [each.finding.label for each in output.classes] if isinstance(output, Classification) else []


def _check_positive(found: Found, options: Options) -> None:
    told = {fold(part) for case in found.cases for part in (case.label or "").split(";")}
    if missing := [name for name in options.positive if fold(name) not in told]:
        raise EvaluationError(f"--positive: no case has the label {', '.join(missing)}")


def _batches(cases: Sequence[Case], size: int) -> Iterator[Sequence[Case]]:
    for start in range(0, len(cases), size):
        yield cases[start : start + size]


def _analyse(
    model: Model, judge: Judge[Any, Any], batch: Sequence[Case], options: Options, into: Analysed
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
            _keep(judge, each, predictions, options, into)
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
    judge: Judge[Any, Any], ready: Ready, predictions: list[Prediction], options: Options, into: Analysed
) -> None:
    case, source = ready.case, ready.source
    outcome = judge.outcome(source, predictions, ready.truth)
    labelled = ready.truth is not None
    into.cases.append(case)
    into.outcomes.append(outcome)
    into.labelled.append(labelled)
    into.patients.append(_patient(case, source))
    if options.save:
        _save(options.report / "labels", case, source, predictions)
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


def _write_predictions(path: Path, judge: Judge[Any, Any], analysed: Analysed) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", *judge.columns])
        for case, outcome in zip(analysed.cases, analysed.outcomes, strict=True):
            writer.writerow([case.name, case.label or "", *judge.row(outcome)])


def _figures(judge: Judge[Any, Any], analysed: Analysed, options: Options) -> tuple[report.Figures, ...]:
    rows = np.flatnonzero(analysed.labelled)
    if not len(rows):
        return ()
    cases = [analysed.cases[row] for row in rows]
    patients = [analysed.patients[row] for row in rows]
    return tuple(
        _figure(subject, cases, patients, options)
        for subject in judge.subjects([analysed.outcomes[row] for row in rows])
    )


def _figure(
    subject: Subject, cases: Sequence[Case], patients: Sequence[str], options: Options
) -> report.Figures:
    everybody = np.arange(len(cases))
    drawn = subject.drawn
    return report.Figures(
        label=subject.label,
        distance_unit=subject.distance_unit,
        size_unit=subject.size_unit,
        counts=dict(subject.counts(everybody)),
        metrics=estimate(subject.statistics, everybody, patients, options.repeats, options.seed),
        subgroups=tuple(_subgroups(subject, cases, patients, options)),
        curves=dict(drawn.curves),
        reliability=drawn.reliability,
        histogram=drawn.histogram,
        sizes=drawn.sizes,
        confusion=drawn.confusion,
    )


def _subgroups(
    subject: Subject, cases: Sequence[Case], patients: Sequence[str], options: Options
) -> Iterator[report.Subgroup]:
    for column in sorted({name for case in cases for name in case.groups}):
        values = np.array([case.groups.get(column, "") for case in cases])
        distinct = sorted(set(values.tolist()))
        if not 1 < len(distinct) <= _MOST_VALUES:
            continue
        for value in distinct:
            rows = np.flatnonzero(values == value)

            def headline(rows: Any) -> Mapping[str, float]:  # noqa: ANN401
                found = subject.statistics(rows)
                return {name: found[name] for name in subject.headline}

            yield report.Subgroup(
                column=column,
                value=value or "(empty)",
                cases=len(rows),
                patients=len({patients[int(row)] for row in rows}),
                counts=dict(subject.counts(rows)),
                metrics=estimate(headline, rows, patients, options.repeats, options.seed),
            )


def _data(found: Found, analysed: Analysed, options: Options) -> report.Data:
    labelled = [row for row, known in enumerate(analysed.labelled) if known]
    patients = [analysed.patients[row] for row in labelled or range(len(analysed.cases))]
    return report.Data(
        cases=len(analysed.cases),
        labelled=len(labelled),
        patients=len(set(patients)),
        patients_known=sum(not each.startswith("case ") for each in patients),
        labels_from=found.labels_from,
        positive=options.positive,
        passed_over=found.passed_over,
        refused=tuple(report.Refused(name=name, reason=reason) for name, reason in sorted(analysed.refused)),
    )


def _nothing(refused: Sequence[tuple[str, str]]) -> str:
    if not refused:
        return "no image or volume was found that this model takes"
    counts = Counter(reason for _, reason in refused)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return f"no case could be analysed: {told}"
