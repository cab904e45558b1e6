"""Figures of detections: FROC of the lesions, and whether an image has any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import PIL.Image
from scipy import ndimage
from typing_extensions import override

from model_service.evaluation.binary import binary_subject
from model_service.evaluation.cases import Area, Case
from model_service.evaluation.judging import Drawn, Fault, Judge, Subject, cell, ratio
from model_service.evaluation.pictures import with_boxes
from model_service.evaluation.reading import Source, load_mask
from model_service.evaluation.reasons import CaseError, CaseReason
from model_service.evaluation.report import Curve
from model_service.evaluation.resample import Rows
from model_service.manifest import Detection
from model_service.prediction import Box, Detected, Prediction

OVERLAP = 0.1
"""Intersection over union at which a box has found a lesion."""
RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per image at which the sensitivity is read, as in LUNA16."""
_MOST_POINTS = 400


@dataclass(frozen=True)
class Outcome:
    """Scores of one image.

    Parameters
    ----------
    highest : float
        Anywhere on the image.
    boxes : int
        How many were drawn.
    found : tuple of float, optional
        Per lesion, the score of the box that found it; minus infinity where none did. None without a truth.
    false : tuple of float
        Scores of the boxes that found nothing.
    """

    highest: float
    boxes: tuple[Box, ...]
    found: tuple[float, ...] | None = None
    false: tuple[float, ...] = ()


def match(boxes: Sequence[Box], lesions: Sequence[Area]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give each lesion the box of the highest score that overlaps it enough.

    A box finds the lesion that it overlaps most, if by at least `OVERLAP`. Further boxes on a lesion that was found
    already count neither as found nor as false.

    Returns
    -------
    tuple
        Per lesion the score that found it or minus infinity, and the scores of boxes that overlap no lesion.
    """
    found = [-np.inf] * len(lesions)
    false = []
    for box in sorted(boxes, key=lambda each: -each.probability):
        overlaps = [_overlap(box, lesion) for lesion in lesions]
        best = max(range(len(lesions)), key=overlaps.__getitem__, default=None)
        if best is None or overlaps[best] < OVERLAP:
            false.append(box.probability)
        else:
            found[best] = max(found[best], box.probability)
    return tuple(found), tuple(false)


def _overlap(box: Box, lesion: Area) -> float:
    top, bottom, left, right = lesion
    common = max(0, min(box.bottom, bottom) - max(box.top, top)) * max(
        0, min(box.right, right) - max(box.left, left)
    )
    either = (box.bottom - box.top) * (box.right - box.left) + (bottom - top) * (right - left) - common
    return ratio(common, either)


def sensitivity_at(
    found: npt.NDArray[np.float64], false: npt.NDArray[np.float64], images: int, rate: float
) -> float:
    """Return the sensitivity at the lowest threshold with no more than ``rate`` false positives per image.

    Parameters
    ----------
    found : numpy.ndarray
        Per lesion, as `match` gives it.
    false : numpy.ndarray
        Scores of false boxes, of all images.
    images : int
        How many there are.
    rate : float
        False positives per image.
    """
    allowed = int(rate * images + 1e-9)  # a rate may have been made by dividing by the number of images
    highest = np.sort(false)[::-1]
    # With one false box more the rate would be passed: only what scores above that box counts.
    above = highest[allowed] if len(highest) > allowed else -np.inf
    return ratio((found > above).sum(), len(found))


class DetectionJudge(Judge[tuple[Area, ...], Outcome]):
    """Judges boxes.

    Parameters
    ----------
    output : Detection
        Of the manifest.
    """

    columns = ("highest", "flagged", "boxes", "lesions", "found")
    rules = (
        f"A box finds a lesion where they overlap by at least {OVERLAP:g} (intersection over union of the boxes); each "
        "lesion is found once, by the box of the highest score.",
        "Lesions are the boxes of the CSV, or the connected parts of the mask.",
        "The FROC score is the mean of the sensitivities at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives per image.",
        "An image is flagged where its highest score is at or above the operating point.",
    )

    def __init__(self, output: Detection) -> None:
        self._label = output.finding.label
        self._threshold = output.operating_point.threshold

    @override
    def truth(self, case: Case, source: Source) -> tuple[Area, ...] | None:
        if case.mask is None:
            return case.boxes
        parts, _ = ndimage.label(load_mask(case.mask, source, 1))
        return tuple(
            (rows.start, rows.stop, cols.start, cols.stop) for rows, cols in ndimage.find_objects(parts)
        )

    @override
    def outcome(
        self,
        source: Source,
        predictions: Sequence[Prediction],
        truth: tuple[Area, ...] | None,
    ) -> Outcome:
        said = _only(predictions)
        if truth is None:
            return Outcome(said.highest, said.boxes)
        return Outcome(said.highest, said.boxes, *match(said.boxes, truth))

    @override
    def subjects(self, outcomes: Sequence[Outcome]) -> list[Subject]:
        found = [np.array(each.found or (), dtype=np.float64) for each in outcomes]
        false = [np.array(each.false, dtype=np.float64) for each in outcomes]

        def statistics(rows: Rows) -> Mapping[str, float]:
            hits = np.concatenate([found[row] for row in rows])
            alarms = np.concatenate([false[row] for row in rows])
            at = {
                f"sensitivity_at_{rate:g}_fp": sensitivity_at(hits, alarms, len(rows), rate) for rate in RATES
            }
            return {
                "froc_score": float(np.mean(list(at.values()))),
                **at,
                "lesion_sensitivity": ratio((hits >= self._threshold).sum(), len(hits)),
                "false_positives_per_image": ratio((alarms >= self._threshold).sum(), len(rows)),
            }

        def counts(rows: Rows) -> Mapping[str, int]:
            return {"images": len(rows), "lesions": sum(len(found[row]) for row in rows)}

        headline = ("froc_score", "lesion_sensitivity", "false_positives_per_image")
        drawn = Drawn(curves=_froc(found, false))
        there = np.array([len(each) > 0 for each in found], dtype=bool)
        highest = np.array([each.highest for each in outcomes], dtype=np.float64)
        return [
            Subject(f"{self._label}: lesions", statistics, counts, headline, drawn),
            binary_subject(f"{self._label}: images with any", there, highest, self._threshold),
        ]

    @override
    def row(self, outcome: Outcome) -> list[str]:
        flagged = str(int(outcome.highest >= self._threshold))
        cells = [cell(outcome.highest), flagged, str(len(outcome.boxes))]
        if outcome.found is None:
            return [*cells, "", ""]
        return [*cells, str(len(outcome.found)), str(self._found(outcome.found))]

    @override
    def fault(self, outcome: Outcome) -> Fault | None:
        if outcome.found is None:
            return Fault("Highest score; nobody has said what is true", outcome.highest)
        missed = len(outcome.found) - self._found(outcome.found)
        if missed:
            return Fault("Lesions missed at the operating point", missed)
        wrong = sum(score >= self._threshold for score in outcome.false)
        return Fault("False positives at the operating point", wrong) if wrong else None

    @override
    def picture(
        self, source: Source, predictions: Sequence[Prediction], truth: tuple[Area, ...] | None
    ) -> PIL.Image.Image:
        boxes = [
            (each.top, each.bottom, each.left, each.right)
            for each in _only(predictions).boxes
            if each.probability >= self._threshold
        ]
        return with_boxes(source.image(), truth or (), boxes)

    @override
    def caption(self, outcome: Outcome) -> str:
        text = f"Highest score {outcome.highest:.3f}"
        if outcome.found is None:
            return text
        return f"{text}; {self._found(outcome.found)} of {len(outcome.found)} lesions found at the operating point"

    def _found(self, scores: Sequence[float]) -> int:
        return sum(score >= self._threshold for score in scores)


def _only(predictions: Sequence[Prediction]) -> Detected:
    if len(predictions) > 1:
        raise CaseError(CaseReason.SEVERAL_FRAMES)
    said = predictions[0]
    if not isinstance(said, Detected):
        raise TypeError("a detection gives boxes")
    return said


def _froc(
    found: Sequence[npt.NDArray[np.float64]], false: Sequence[npt.NDArray[np.float64]]
) -> dict[str, Curve]:
    hits, alarms = np.concatenate(found), np.concatenate(false)
    if not len(hits):
        return {}
    rates = np.arange(len(alarms) + 1) / len(found)
    kept = np.unique(np.linspace(0, len(rates) - 1, min(len(rates), _MOST_POINTS)).round().astype(int))
    shown = rates[kept]
    return {
        "froc": Curve(
            x=tuple(shown.round(6).tolist()),
            y=tuple(round(sensitivity_at(hits, alarms, len(found), rate), 6) for rate in shown),
        )
    }
