"""The evaluation itself: find cases, analyse them, estimate, write."""

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firstread.clock import now, to_text
from model_service.evaluation import report
from model_service.evaluation.analysing import Analysed, Shown, analyse
from model_service.evaluation.cases import Case, Found, discover, fold
from model_service.evaluation.classification import ClassificationJudge
from model_service.evaluation.detection import DetectionJudge
from model_service.evaluation.judging import Judge, Subject
from model_service.evaluation.reasons import EvaluationError
from model_service.evaluation.recognition import RecognitionJudge
from model_service.evaluation.resample import REPEATS, SEED, estimate
from model_service.evaluation.segmentation import SegmentationJudge
from model_service.manifest import (
    BundleManifest,
    Classification,
    Detection,
    Recognition,
    Segmentation,
    VolumeInput,
)
from model_service.prediction import Model

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
    analysed = analyse(
        model, judge, found.cases, options.report / "labels" if options.save else None, progress
    )
    analysed.refused += found.refused
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
