"""Figures of segmentations: each segment by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import PIL.Image
from typing_extensions import override

from model_service.evaluation.cases import Case
from model_service.evaluation.judging import Drawn, Fault, Judge, Subject, cell
from model_service.evaluation.overlap import dice, hausdorff_95
from model_service.evaluation.pictures import with_outlines
from model_service.evaluation.reading import Source, load_mask
from model_service.evaluation.reasons import CaseError, CaseReason
from model_service.evaluation.report import Size
from model_service.evaluation.resample import Rows
from model_service.manifest import Segmentation
from model_service.prediction import LabelMap, Prediction, Segmented

_LIMITS = 1.96  # standard deviations: Bland and Altman's limits of agreement
_NOTHING = float("nan")


@dataclass(frozen=True)
class Measured:
    """One segment of one case; sizes and distances in pixels and, where the spacing is known, in millimetres."""

    predicted: int
    reference: int | None
    dice: float
    hd95_px: float
    hd95_mm: float


@dataclass(frozen=True)
class Outcome:
    """All segments of a case; `element` is the size of a voxel or pixel in mm, None where it is not known."""

    segments: tuple[Measured, ...]
    element: float | None


class SegmentationJudge(Judge[LabelMap, Outcome]):
    """Judges label maps.

    Parameters
    ----------
    output : Segmentation
        Of the manifest.
    volumes : bool
        Whether cases are volumes, which are measured in mm3, or images: mm2 where all spacings are known.
    """

    rules = (
        "Dice and distances are computed on the grid of the case itself, per segment and case, then averaged.",
        "Empty masks: where reference and prediction are both empty, the case counts for neither Dice nor HD95; where "
        "only one is, Dice is 0 and there is no HD95. Both are counted in the table.",
        "HD95 is the 95th percentile of the distances between the surfaces, the larger of both directions.",
        "Sizes: the difference is prediction minus reference; the limits of agreement are its mean \u00b1 1.96 "
        "standard deviations (Bland and Altman).",
    )

    def __init__(self, output: Segmentation, *, volumes: bool) -> None:
        self._segments = output.segments
        self._power = 3 if volumes else 2
        self.columns = tuple(
            f"{what} {each.label}"
            for each in output.segments
            for what in ("size", "reference", "dice", "hd95")
        )

    @override
    def truth(self, case: Case, source: Source) -> LabelMap | None:
        if case.mask is None:
            return None
        return load_mask(case.mask, source, len(self._segments))

    @override
    def outcome(self, source: Source, predictions: Sequence[Prediction], truth: LabelMap | None) -> Outcome:
        labels = label_map(predictions)
        spacing = source.spacing_mm
        measured = tuple(self._measured(labels, truth, each.number, spacing) for each in self._segments)
        return Outcome(measured, None if spacing is None else float(np.prod(spacing)))

    def _measured(
        self, labels: LabelMap, truth: LabelMap | None, number: int, spacing: tuple[float, ...] | None
    ) -> Measured:
        predicted = labels == number
        size = int(predicted.sum())
        if truth is None:
            return Measured(size, None, _NOTHING, _NOTHING, _NOTHING)
        reference = truth == number
        apart = partial(hausdorff_95, reference, predicted)
        return Measured(
            size,
            int(reference.sum()),
            dice(reference, predicted),
            # A volume always has its spacing, and no distance transform is cheap there.
            apart([1.0] * labels.ndim) if labels.ndim == 2 else _NOTHING,
            apart(spacing) if spacing is not None else _NOTHING,
        )

    @override
    def subjects(self, outcomes: Sequence[Outcome]) -> list[Subject]:
        in_mm = all(each.element is not None for each in outcomes)
        return [self._subject(i, outcomes, in_mm=in_mm) for i in range(len(self._segments))]

    def _subject(self, i: int, outcomes: Sequence[Outcome], *, in_mm: bool) -> Subject:
        found = [each.segments[i] for each in outcomes]
        element = np.array([each.element if in_mm else 1.0 for each in outcomes], dtype=np.float64)
        reference = np.array([each.reference for each in found], dtype=np.float64) * element
        predicted = np.array([each.predicted for each in found], dtype=np.float64) * element
        overlaps = np.array([each.dice for each in found])
        distances = np.array([each.hd95_mm if in_mm else each.hd95_px for each in found])

        def statistics(rows: Rows) -> Mapping[str, float]:
            difference = (predicted - reference)[rows]
            spread = _LIMITS * float(difference.std(ddof=1)) if len(rows) > 1 else _NOTHING
            there = reference[rows] > 0
            return {
                "dice": _mean(overlaps[rows]),
                "hd95": _mean(distances[rows]),
                "size_difference": float(difference.mean()),
                "size_difference_lower_limit": float(difference.mean()) - spread,
                "size_difference_upper_limit": float(difference.mean()) + spread,
                "size_error_share": _mean(abs(difference[there]) / reference[rows][there]),
            }

        def counts(rows: Rows) -> Mapping[str, int]:
            there, said = reference[rows] > 0, predicted[rows] > 0
            return {
                "in_both": int((there & said).sum()),
                "missed": int((there & ~said).sum()),
                "only_predicted": int((~there & said).sum()),
                "in_neither": int((~there & ~said).sum()),
            }

        pairs = zip(reference.tolist(), predicted.tolist(), strict=True)
        drawn = Drawn(sizes=tuple(Size(reference=one, predicted=other) for one, other in pairs))
        units = ("mm", f"mm{self._power}") if in_mm else ("px", "px")
        return Subject(self._segments[i].label, statistics, counts, ("dice", "hd95"), drawn, *units)

    @override
    def row(self, outcome: Outcome) -> list[str]:
        cells = []
        for each in outcome.segments:
            element = outcome.element or 1.0
            reference = "" if each.reference is None else cell(each.reference * element)
            apart = each.hd95_px if outcome.element is None else each.hd95_mm
            cells += [cell(each.predicted * element), reference]
            cells += ["" if np.isnan(value) else cell(value) for value in (each.dice, apart)]
        return cells

    @override
    def fault(self, outcome: Outcome) -> Fault | None:
        known = [each.dice for each in outcome.segments if not np.isnan(each.dice)]
        if known:
            return Fault("Lowest Dice (mean of the segments)", 1 - float(np.mean(known)))
        unlabelled = outcome.segments[0].reference is None
        return Fault("The first cases; nobody has said what is true", 0.0) if unlabelled else None

    @override
    def picture(
        self, source: Source, predictions: Sequence[Prediction], truth: LabelMap | None
    ) -> PIL.Image.Image:
        return with_outlines(source.inputs[0], truth, label_map(predictions))

    @override
    def caption(self, outcome: Outcome) -> str:
        unit = {2: " mm\u00b2", 3: " mm\u00b3"}[self._power] if outcome.element is not None else " px"
        parts = []
        for segment, each in zip(self._segments, outcome.segments, strict=True):
            size = each.predicted * (outcome.element or 1.0)
            agreement = "" if np.isnan(each.dice) else f", Dice {each.dice:.3f}"
            parts.append(f"{segment.label}: {size:.0f}{unit}{agreement}")
        return "; ".join(parts)


def label_map(predictions: Sequence[Prediction]) -> LabelMap:
    """Return the label map of a case of one frame or volume.

    Raises
    ------
    CaseError
        If there are several frames: nobody has said to which of them a mask belongs.
    """
    if len(predictions) > 1:
        raise CaseError(CaseReason.SEVERAL_FRAMES)
    said = predictions[0]
    if not isinstance(said, Segmented):
        raise TypeError("a segmentation gives label maps")
    return said.labels


def _mean(values: npt.NDArray[np.float64]) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else _NOTHING
