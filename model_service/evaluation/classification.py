"""Figures of classifiers: each class against the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
from typing_extensions import override

from model_service.evaluation.binary import binary_subject
from model_service.evaluation.cases import Case, fold
from model_service.evaluation.judging import Fault, Judge, Subject, cell
from model_service.evaluation.pictures import with_map
from model_service.evaluation.reading import Source
from model_service.evaluation.reasons import CaseError, CaseReason, EvaluationError
from model_service.manifest import Classification
from model_service.prediction import Classified, Prediction

Truths = tuple[bool, ...]
YES, NO = frozenset({"1", "true", "yes", "positive"}), frozenset({"0", "false", "no", "negative", "none"})


@dataclass(frozen=True)
class Outcome:
    """Calibrated probability, and truth where it is known, per class."""

    probabilities: tuple[float, ...]
    truths: Truths | None


class ClassificationJudge(Judge[Truths, Outcome]):
    """Judges the scored classes of a classifier.

    Parameters
    ----------
    output : Classification
        Of the manifest.
    positive : sequence of str
        Labels that are positive; for models with one class.
    """

    def __init__(self, output: Classification, positive: Sequence[str]) -> None:
        if positive and len(output.classes) > 1:
            raise EvaluationError("--positive is for models with one class; this one has several")
        self._classes = output.classes
        self._names = [fold(each.finding.label) for each in output.classes]
        self._positive = frozenset(fold(name) for name in positive)
        self.columns = tuple(
            f"{what} {each.finding.label}"
            for each in output.classes
            for what in ("probability", "flagged", "truth")
        )
        self.rules = (
            "Flagged means: the calibrated probability is at or above the operating point that the bundle brings; "
            "nothing is chosen on these cases.",
            "Sensitivity at a fixed specificity reads its threshold off these cases themselves: it says how well the "
            "score ranks, not how the model would behave.",
            "PPV and NPV are those of this collection and its share of positives; elsewhere they differ.",
            "The expected calibration error (ECE) has 15 bins of equal width.",
            "Of an image with several frames, the highest probability counts.",
        )

    @override
    def truth(self, case: Case, source: Source) -> Truths | None:
        if case.label is None:
            return None
        told = {fold(part) for part in case.label.split(";")}
        if self._positive:
            return (bool(told & self._positive),)
        if len(self._classes) == 1 and told <= YES | NO:
            return (bool(told & YES),)
        if not told <= {*self._names, *NO}:
            raise CaseError(CaseReason.UNKNOWN_LABEL)
        return tuple(name in told for name in self._names)

    @override
    def outcome(self, source: Source, predictions: Sequence[Prediction], truth: Truths | None) -> Outcome:
        scores = np.array([each.probabilities for each in predictions if isinstance(each, Classified)])
        best = scores.max(axis=0)
        return Outcome(tuple(float(probability) for probability in best), truth)

    @override
    def subjects(self, outcomes: Sequence[Outcome]) -> list[Subject]:
        truths = np.array([each.truths for each in outcomes], dtype=bool)
        scores = np.array([each.probabilities for each in outcomes], dtype=np.float64)
        return [
            binary_subject(each.finding.label, truths[:, i], scores[:, i], each.operating_point.threshold)
            for i, each in enumerate(self._classes)
        ]

    @override
    def row(self, outcome: Outcome) -> list[str]:
        cells = []
        for i, probability in enumerate(outcome.probabilities):
            truth = "" if outcome.truths is None else str(int(outcome.truths[i]))
            cells += [cell(probability), str(int(self._flagged(outcome, i))), truth]
        return cells

    @override
    def fault(self, outcome: Outcome) -> Fault | None:
        if outcome.truths is None:
            return Fault("Highest probability; nobody has said what is true", max(outcome.probabilities))
        wrong = [
            Fault("Not flagged, though labelled positive", 1 - probability)
            if truth
            else Fault("Flagged, though labelled negative", probability)
            for i, (probability, truth) in enumerate(zip(outcome.probabilities, outcome.truths, strict=True))
            if self._flagged(outcome, i) != truth
        ]
        return max(wrong, key=lambda each: each.weight, default=None)

    @override
    def picture(
        self,
        source: Source,
        predictions: Sequence[Prediction],
        truth: Truths | None,
    ) -> PIL.Image.Image:
        said = [each for each in predictions if isinstance(each, Classified)]
        frame = max(range(len(said)), key=lambda i: max(said[i].probabilities))
        best = said[frame]
        name = int(np.argmax(best.probabilities))
        return with_map(source.image(frame), best.maps[name] if best.maps else None)

    @override
    def caption(self, outcome: Outcome) -> str:
        parts = []
        for i, each in enumerate(self._classes):
            truth = (
                "" if outcome.truths is None else f", label {'positive' if outcome.truths[i] else 'negative'}"
            )
            said = "flagged" if self._flagged(outcome, i) else "not flagged"
            parts.append(f"{each.finding.label}: {outcome.probabilities[i]:.3f}, {said}{truth}")
        return "; ".join(parts)

    def _flagged(self, outcome: Outcome, i: int) -> bool:
        return outcome.probabilities[i] >= self._classes[i].operating_point.threshold
