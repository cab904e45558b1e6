"""Figures against scikit-learn, MONAI, and what can be counted by hand."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from sklearn.metrics import (  # type: ignore[import-untyped]
    average_precision_score,
    brier_score_loss,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from model_service.evaluation.binary import binary_subject
from model_service.evaluation.cases import Area, Case, Kind
from model_service.evaluation.classification import ClassificationJudge
from model_service.evaluation.detection import RATES, DetectionJudge, match, sensitivity_at
from model_service.evaluation.detection import Outcome as Detections
from model_service.evaluation.overlap import dice, hausdorff_95
from model_service.evaluation.reading import Source
from model_service.evaluation.reasons import CaseError, EvaluationError
from model_service.evaluation.recognition import Outcome as Recognised
from model_service.evaluation.recognition import RecognitionJudge
from model_service.evaluation.resample import estimate
from model_service.evaluation.segmentation import Outcome as Measured
from model_service.evaluation.segmentation import SegmentationJudge
from model_service.manifest import Classification, Detection, Recognition, Segmentation
from model_service.prediction import Box, Segmented
from model_service.training import metrics
from tests.support import models

EMPTY = Source((np.zeros((4, 4), np.float32),))


def scored(seed: int = 0, cases: int = 200) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    truths = generator.random(cases) < 0.3
    # Rounded, so that there are ties.
    return truths, np.clip(generator.normal(0.35 + 0.3 * truths, 0.2), 0, 1).round(2)


def test_binary_figures_are_those_of_scikit_learn() -> None:
    truths, scores = scored()
    found = binary_subject("x", truths, scores, 0.5).statistics(np.arange(200))
    flagged = scores >= 0.5
    wanted = {
        "auroc": roc_auc_score(truths, scores),
        "auprc": average_precision_score(truths, scores),
        "sensitivity": recall_score(truths, flagged),
        "specificity": recall_score(~truths, ~flagged),
        "ppv": precision_score(truths, flagged),
        "npv": precision_score(~truths, ~flagged),
        "brier": brier_score_loss(truths, scores),
        "flagged_share": flagged.mean(),
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value), name
    false_alarms, hits, _ = roc_curve(truths, scores, drop_intermediate=False)
    for target in (0.90, 0.95):
        assert found[f"sensitivity_at_specificity_{target:.2f}"] == hits[1 - false_alarms >= target].max()


def test_curves_are_those_of_scikit_learn() -> None:
    truths, scores = scored()
    curves = binary_subject("x", truths, scores, 0.5).drawn.curves
    false_alarms, hits, _ = roc_curve(truths, scores, drop_intermediate=False)
    assert np.allclose(curves["roc"].x, false_alarms, atol=1e-5)
    assert np.allclose(curves["roc"].y, hits, atol=1e-5)
    precision, recall, _ = precision_recall_curve(truths, scores)
    assert np.allclose(curves["precision_recall"].x, recall[-2::-1], atol=1e-5)
    assert np.allclose(curves["precision_recall"].y, precision[-2::-1], atol=1e-5)


def test_the_reliability_table_adds_up_to_the_calibration_error() -> None:
    truths, scores = scored()
    subject = binary_subject("x", truths, scores, 0.5)
    bins = [each for each in subject.drawn.reliability if each.cases]
    error = sum(each.cases * abs((each.observed or 0) - (each.mean_probability or 0)) for each in bins) / 200
    assert subject.statistics(np.arange(200))["ece"] == pytest.approx(error)
    assert sum(each.cases for each in bins) == 200
    assert subject.drawn.histogram is not None
    assert sum(subject.drawn.histogram.positive) == truths.sum()


def test_one_class_alone_defines_no_ranking_and_nothing_fails() -> None:
    truths, scores = np.ones(5, bool), np.full(5, 0.2)
    subject = binary_subject("x", truths, scores, 0.5)
    found = estimate(subject.statistics, np.arange(5), list("abcde"))
    assert {name for name, each in found.items() if each.value is None} == {
        "auroc",
        "auprc",
        "sensitivity_at_specificity_0.90",
        "sensitivity_at_specificity_0.95",
        "specificity",
        "ppv",
    }
    assert found["sensitivity"].value == 0
    assert subject.drawn.curves == {}


def test_the_interval_of_the_training_s_bootstrap_is_the_same() -> None:
    truths, scores = scored()
    patients = [str(i // 2) for i in range(200)]
    found = estimate(binary_subject("x", truths, scores, 0.5).statistics, np.arange(200), patients, 300, 5)
    wanted = metrics.bootstrap(truths.astype(np.int64), scores, patients, {"auroc": metrics.auroc}, 300, 5)[
        "auroc"
    ]
    assert (found["auroc"].value, found["auroc"].low, found["auroc"].high) == (
        wanted.value,
        wanted.low,
        wanted.high,
    )


def test_patients_are_resampled_whole() -> None:
    """With all cases of one patient there is nothing to resample; with one patient each there is."""
    values = np.arange(10.0)
    mean = lambda rows: {"mean": float(values[rows].mean())}  # noqa: E731
    alone = estimate(mean, np.arange(10), ["a"] * 10)["mean"]
    assert (alone.value, alone.low, alone.high) == (4.5, None, None)
    pairs = estimate(mean, np.arange(10), [str(i % 5) for i in range(10)])["mean"]
    each = estimate(mean, np.arange(10), [str(i) for i in range(10)])["mean"]
    assert pairs.low is not None and pairs.high is not None and each.low is not None and each.high is not None
    assert pairs.high - pairs.low < each.high - each.low  # pairs of i and i + 5 vary less
    assert each == estimate(mean, np.arange(10), [str(i) for i in range(10)])["mean"]


def label(text: str | None) -> Case:
    return Case("a.png", Kind.RASTER, (), label=text)


@pytest.mark.parametrize(
    ("text", "truth"),
    [("1", True), ("yes", True), ("0", False), ("Negative", False), ("brightness", True), (None, None)],
)
def test_labels_of_one_class(text: str | None, truth: bool | None) -> None:
    output = models.classifier().manifest.output
    assert isinstance(output, Classification)
    told = ClassificationJudge(output, ()).truth(label(text), EMPTY)
    assert told == (None if truth is None else (truth,))
    with pytest.raises(CaseError, match="unknown_label"):
        ClassificationJudge(output, ()).truth(label("perhaps"), EMPTY)
    assert ClassificationJudge(output, ("Perhaps",)).truth(label("perhaps"), EMPTY) == (True,)
    assert ClassificationJudge(output, ("Perhaps",)).truth(label("else"), EMPTY) == (False,)


def test_labels_of_several_classes() -> None:
    output = models.two_classes().manifest.output
    assert isinstance(output, Classification)
    judge = ClassificationJudge(output, ())
    for text, truth in {
        "left_side;RIGHT side": (True, True),
        "right side": (False, True),
        "none": (False, False),
    }.items():
        assert judge.truth(label(text), EMPTY) == truth
    with pytest.raises(CaseError, match="unknown_label"):
        judge.truth(label("left side;middle"), EMPTY)
    with pytest.raises(EvaluationError, match="several"):
        ClassificationJudge(output, ("x",))


def test_recognition_by_hand() -> None:
    output = models.recognition().manifest.output
    assert isinstance(output, Recognition)
    judge = RecognitionJudge(output)
    # Answer and truth: 0 and 1 are the classes, 2 is "unknown".
    cases = [(0, 0), (0, 0), (1, 0), (2, 1), (2, 2), (1, 2)]
    (subject,) = judge.subjects([Recognised(0.9, min(answer, 1), answer, truth) for answer, truth in cases])
    found = subject.statistics(np.arange(6))
    assert found["accuracy"] == 3 / 6
    assert found["coverage"] == 4 / 6
    assert found["accuracy_answered"] == 2 / 4
    assert found["ece"] == pytest.approx(
        abs(3 / 6 - 0.9)
    )  # the likeliest is right in three, one of them unanswered
    assert subject.counts(np.arange(6)) == {"right": 3, "unknown": 2, "wrong": 2}
    assert subject.drawn.confusion is not None
    assert subject.drawn.confusion.cases == ((2, 1, 0), (0, 0, 1), (0, 1, 1))
    assert judge.truth(label("bright-mr"), EMPTY) == 1
    with pytest.raises(CaseError, match="unknown_label"):
        judge.truth(label("ultrasound"), EMPTY)


masks = st.integers(0, 2**32 - 1).map(
    lambda seed: (
        np.random.default_rng(seed).random((2, 6, 9, 8)) < np.random.default_rng(seed).uniform(0.05, 0.7)
    )
)


@pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges:FutureWarning")  # MONAI of itself
@given(masks)
@settings(max_examples=30, deadline=None)
def test_hd95_is_that_of_monai(both: npt.NDArray[np.bool_]) -> None:
    reference, predicted = both
    spacing = (2.0, 0.5, 1.0)
    if not (reference.any() and predicted.any()):
        assert np.isnan(hausdorff_95(reference, predicted, spacing))
        return
    theirs = compute_hausdorff_distance(
        torch.from_numpy(predicted)[None, None].float(),
        torch.from_numpy(reference)[None, None].float(),
        include_background=True,
        percentile=95,
        spacing=list(spacing),
    )
    assert hausdorff_95(reference, predicted, spacing) == pytest.approx(float(theirs), abs=1e-5)


def test_distance_and_overlap_by_hand() -> None:
    one, other = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    one[2:5, 2:5] = other[2:5, 5:8] = True
    assert dice(one, other) == 0
    assert hausdorff_95(one, other, (1, 2)) == 6  # three columns of two
    assert dice(one, one) == 1
    assert hausdorff_95(one, one, (1, 1)) == 0
    assert np.isnan(dice(~one & one, ~one & one))


def segmented(
    reference: npt.NDArray[np.uint8] | None,
    predicted: npt.NDArray[np.uint8],
    spacing: tuple[float, ...] | None,
) -> tuple[SegmentationJudge, list[Measured]]:
    output = models.segmenter().manifest.output
    assert isinstance(output, Segmentation)
    judge = SegmentationJudge(output, volumes=False)
    source = Source((np.zeros(predicted.shape, np.float32),), spacing)
    return judge, [judge.outcome(source, [Segmented(predicted)], reference)]


def test_empty_masks_follow_the_rule() -> None:
    nothing, something = np.zeros((4, 4), np.uint8), np.eye(4, dtype=np.uint8)
    pairs = [(something, something), (something, nothing), (nothing, something), (nothing, nothing)]
    outcomes = []
    for reference, predicted in pairs:
        judge, made = segmented(reference, predicted, (1.0, 1.0))
        outcomes += made
    (subject,) = judge.subjects(outcomes)
    rows = np.arange(4)
    assert subject.counts(rows) == {"in_both": 1, "missed": 1, "only_predicted": 1, "in_neither": 1}
    found = subject.statistics(rows)
    assert found["dice"] == pytest.approx(1 / 3)
    assert found["hd95"] == 0
    assert found["size_difference"] == 0
    assert found["size_error_share"] == 0.5
    limit = 1.96 * np.std([0, -4, 4, 0], ddof=1)
    assert found["size_difference_upper_limit"] == pytest.approx(limit)
    assert found["size_difference_lower_limit"] == pytest.approx(-limit)


def test_sizes_are_in_millimetres_only_where_all_spacings_are_known() -> None:
    mask = np.ones((4, 4), np.uint8)
    judge, known = segmented(mask, mask, (0.5, 2.0))
    _, unknown = segmented(mask, mask, None)
    (subject,) = judge.subjects(known)
    assert (subject.distance_unit, subject.size_unit) == ("mm", "mm2")
    assert subject.drawn.sizes[0].reference == 16
    (subject,) = judge.subjects([*known, *unknown])
    assert (subject.distance_unit, subject.size_unit) == ("px", "px")


def box(probability: float, area: Area) -> Box:
    return Box(probability, *area)


def test_boxes_find_lesions_once() -> None:
    lesions = [(0, 10, 0, 10), (20, 30, 20, 30), (50, 60, 50, 60)]
    boxes = [
        box(0.4, (0, 10, 0, 10)),
        box(0.9, (0, 9, 0, 9)),  # the same lesion, surer
        box(0.7, (20, 30, 24, 34)),  # 60 common of 140
        box(0.8, (0, 60, 0, 60)),  # everything: overlaps no lesion by a tenth
        box(0.6, (40, 45, 40, 45)),
    ]
    found, false = match(boxes, lesions)
    assert found == (0.9, 0.7, -np.inf)
    assert false == (0.8, 0.6)
    assert match([], []) == ((), ())


@given(
    found=st.lists(st.sampled_from([-np.inf, 0.1, 0.2, 0.3, 0.5, 0.8]), min_size=1, max_size=8),
    false=st.lists(st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.5, 0.9]), max_size=8),
    images=st.integers(1, 5),
    rate=st.sampled_from(RATES),
)
def test_froc_is_the_best_that_any_threshold_gives(
    found: list[float], false: list[float], images: int, rate: float
) -> None:
    hits, alarms = np.array(found), np.array(false)
    thresholds = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 0.9, 1.0]
    allowed = [each for each in thresholds if (alarms >= each).sum() <= rate * images]
    best = max(float((hits >= each).mean()) for each in allowed)
    assert sensitivity_at(hits, alarms, images, rate) == best


def test_detections_by_hand() -> None:
    output = models.detector().manifest.output
    assert isinstance(output, Detection)
    judge = DetectionJudge(output)
    outcomes = [
        Detections(0.9, (), (0.9, -np.inf), (0.4,)),
        Detections(0.6, (), (), (0.6,)),
        Detections(0.3, (), (0.3,), ()),
        Detections(0.1, (), (), ()),
    ]
    lesions, images = judge.subjects(outcomes)
    rows = np.arange(4)
    found = lesions.statistics(rows)
    assert found["sensitivity_at_0.125_fp"] == 1 / 3
    assert found["sensitivity_at_0.25_fp"] == 1 / 3
    assert found["sensitivity_at_0.5_fp"] == 2 / 3
    assert found["froc_score"] == pytest.approx((2 * 1 / 3 + 5 * 2 / 3) / 7)
    assert found["lesion_sensitivity"] == 1 / 3
    assert found["false_positives_per_image"] == 1 / 4
    assert lesions.counts(rows) == {"images": 4, "lesions": 3}
    assert images.counts(rows) == {"positive": 2, "negative": 2}
    assert lesions.drawn.curves["froc"].x == (0, 0.25, 0.5)
    assert lesions.drawn.curves["froc"].y == (0.333333, 0.333333, 0.666667)
