"""Figures of models that tell kinds of images apart and may answer "unknown"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
from typing_extensions import override

from model_service.evaluation.cases import Case, fold
from model_service.evaluation.judging import Drawn, Fault, Judge, Subject, cell, ratio
from model_service.evaluation.pictures import with_map
from model_service.evaluation.reading import Source
from model_service.evaluation.reasons import CaseError, CaseReason
from model_service.evaluation.report import Confusion
from model_service.evaluation.resample import Rows
from model_service.manifest import Recognition
from model_service.prediction import Classified, Prediction
from model_service.training import metrics

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Outcome:
    """Number of the answer and of the truth among the classes, the last number being "unknown"."""

    confidence: float
    likeliest: int
    answer: int
    truth: int | None


class RecognitionJudge(Judge[int, Outcome]):
    """Judges which kind of image a model says it is.

    Parameters
    ----------
    output : Recognition
        Of the manifest.
    """

    columns = ("answer", "likeliest", "probability")

    def __init__(self, output: Recognition) -> None:
        self._output = output
        self._names = [*(each.label for each in output.classes), UNKNOWN]
        self._folded = [fold(name) for name in self._names]
        self.rules = (
            "The answer is \u201cunknown\u201d where the highest calibrated probability is below "
            f"{output.unknown_below:g}.",
            "Accuracy counts \u201cunknown\u201d as wrong, unless the label itself is \u201cunknown\u201d: "
            "an image of no class that the model has.",
            "Coverage is the share of images that got another answer than \u201cunknown\u201d.",
            "The expected calibration error (ECE) is that of the likeliest class, in 15 bins of equal width.",
        )

    @override
    def truth(self, case: Case, source: Source) -> int | None:
        if case.label is None:
            return None
        try:
            return self._folded.index(fold(case.label))
        except ValueError:
            raise CaseError(CaseReason.UNKNOWN_LABEL) from None

    @override
    def outcome(self, source: Source, predictions: Sequence[Prediction], truth: int | None) -> Outcome:
        scores = np.array([each.probabilities for each in predictions if isinstance(each, Classified)])
        frame, likeliest = (int(i) for i in np.unravel_index(scores.argmax(), scores.shape))
        confidence = float(scores[frame, likeliest])
        known = confidence >= self._output.unknown_below
        return Outcome(confidence, likeliest, likeliest if known else len(self._output.classes), truth)

    @override
    def subjects(self, outcomes: Sequence[Outcome]) -> list[Subject]:
        unknown = len(self._names) - 1
        truths = np.array([each.truth for each in outcomes], dtype=np.int64)
        answers = np.array([each.answer for each in outcomes], dtype=np.int64)
        confidence = np.array([each.confidence for each in outcomes], dtype=np.float64)
        likely_right = (np.array([each.likeliest for each in outcomes]) == truths).astype(np.int64)

        def statistics(rows: Rows) -> Mapping[str, float]:
            right, answered = (truths == answers)[rows], (answers != unknown)[rows]
            return {
                "accuracy": ratio(right.sum(), len(rows)),
                "coverage": ratio(answered.sum(), len(rows)),
                "accuracy_answered": ratio((right & answered).sum(), answered.sum()),
                "ece": metrics.calibration_error(likely_right[rows], confidence[rows]),
            }

        def counts(rows: Rows) -> Mapping[str, int]:
            return {
                "right": int((truths == answers)[rows].sum()),
                "unknown": int((answers == unknown)[rows].sum()),
                "wrong": int(((truths != answers) & (answers != unknown))[rows].sum()),
            }

        headline = ("accuracy", "coverage", "accuracy_answered")
        drawn = Drawn(confusion=self._confusion(truths, answers))
        return [Subject("Kind of image", statistics, counts, headline, drawn)]

    def _confusion(self, truths: metrics.Labels, answers: metrics.Labels) -> Confusion:
        size = len(self._names)
        table = np.bincount(truths * size + answers, minlength=size * size).reshape(size, size)
        present = [i for i in range(size) if table[i].any()]
        return Confusion(
            truths=tuple(self._names[i] for i in present),
            answers=tuple(self._names),
            cases=tuple(tuple(table[i].tolist()) for i in present),
        )

    @override
    def row(self, outcome: Outcome) -> list[str]:
        return [self._names[outcome.answer], self._names[outcome.likeliest], cell(outcome.confidence)]

    @override
    def fault(self, outcome: Outcome) -> Fault | None:
        if outcome.truth is None:
            return Fault("Least sure; nobody has said what is true", 1 - outcome.confidence)
        if outcome.answer == outcome.truth:
            return None
        unknown = outcome.answer == len(self._output.classes)
        return Fault("Answered \u201cunknown\u201d" if unknown else "Wrong answers", outcome.confidence)

    @override
    def picture(
        self,
        source: Source,
        predictions: Sequence[Prediction],
        truth: int | None,
    ) -> PIL.Image.Image:
        return with_map(source.image(), None)

    @override
    def caption(self, outcome: Outcome) -> str:
        label = "" if outcome.truth is None else f", label {self._names[outcome.truth]}"
        return f"Answer {self._names[outcome.answer]} ({outcome.confidence:.3f}){label}"
