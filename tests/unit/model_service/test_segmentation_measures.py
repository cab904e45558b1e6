import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_service.training import metrics
from model_service.training.segmentation import measures
from model_service.training.segmentation.plot import bland_altman_svg, reliability_svg
from model_service.training.segmentation.predict import largest_part, masks

EMPTY = np.zeros((4, 4, 4), dtype=bool)


def cube(low: int, high: int, side: int = 12) -> npt.NDArray[np.bool_]:
    mask = np.zeros((side, side, side), dtype=bool)
    mask[low:high, low:high, low:high] = True
    return mask


def test_dice_is_twice_the_overlap_over_the_sum() -> None:
    assert measures.dice(cube(2, 6), cube(2, 6)) == 1.0
    assert measures.dice(cube(2, 6), cube(4, 8)) == pytest.approx(2 * 8 / 128)


def test_empty_masks_follow_the_stated_rule() -> None:
    full = ~EMPTY
    assert measures.dice(EMPTY, EMPTY) == 1.0 and measures.hausdorff95(EMPTY, EMPTY, (1, 1, 1)) == 0.0
    for one, other in ((EMPTY, full), (full, EMPTY)):
        assert measures.dice(one, other) == 0.0
        assert measures.hausdorff95(one, other, (1, 2, 2)) == pytest.approx(12.0)


def test_distance_counts_the_spacing() -> None:
    moved = np.roll(cube(3, 7), 2, axis=0)
    assert measures.hausdorff95(moved, cube(3, 7), (1.0, 1.0, 1.0)) == pytest.approx(2.0)
    assert measures.hausdorff95(moved, cube(3, 7), (1.5, 1.0, 1.0)) == pytest.approx(3.0)


@given(st.lists(st.tuples(st.integers(0, 999), st.booleans()), min_size=2, max_size=60))
def test_binned_areas_are_those_of_the_scores(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([(number + 0.5) / 1000 for number, _ in rows])
    labels = np.array([label for _, label in rows])
    if labels.all() or not labels.any():
        return
    counts = measures.histogram(scores, labels)
    assert measures.auroc(counts) == pytest.approx(metrics.auroc(labels.astype(np.int64), scores))
    expected = metrics.average_precision(labels.astype(np.int64), scores)
    assert measures.average_precision(counts) == pytest.approx(expected)


def test_calibration_error_weighs_the_gap_of_each_tenth() -> None:
    probabilities = np.array([0.05] * 50 + [0.95] * 50)
    positives = np.array([False] * 50 + [True] * 40 + [False] * 10)
    counts = measures.histogram(probabilities, positives)
    assert measures.calibration_error(counts) == pytest.approx(0.5 * 0.05 + 0.5 * 0.15)
    assert measures.calibration_error(counts, above=0.5) == pytest.approx(0.15)
    assert [row["observed"] for row in measures.reliability(counts)] == [0.0, 0.8]
    assert measures.sensitivity(counts, 0.5) == 1.0
    assert measures.specificity(counts, 0.5) == pytest.approx(50 / 60)


def test_bootstrap_draws_patients_and_not_cases() -> None:
    """Ten cases of one patient and ten of another: the mean is 0, 0.5 or 1, whatever is drawn."""
    cases = [measures.CaseScores("s", str(i // 10), {"dice": float(i // 10)}) for i in range(20)]
    found = measures.bootstrap(cases, {}, 1000, 1)["dice"]
    assert (found["value"], found["low"], found["high"]) == (0.5, 0.0, 1.0)


def test_bootstrap_of_a_pooled_figure_sums_histograms() -> None:
    generator = np.random.default_rng(1)
    cases = []
    for number in range(8):
        labels = generator.random(400) < 0.3
        scores = np.clip(generator.normal(0.4 + 0.2 * labels, 0.1), 0, 0.999)
        cases.append(
            measures.CaseScores("s", str(number), {"x": 1.0}, {"all": measures.histogram(scores, labels)})
        )
    found = measures.bootstrap(cases, {"auroc": ("all", measures.auroc)}, 1000, 1)
    assert 0.88 < found["auroc"]["low"] < found["auroc"]["value"] < found["auroc"]["high"] < 0.96
    assert found["x"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_limits_of_agreement() -> None:
    reference = [100.0, 200.0, 300.0, 400.0]
    found = measures.bland_altman([110, 190, 310, 390], reference, ["a", "b", "c", "d"], 1000, 1)
    assert found["mean_difference"]["value"] == 0.0  # type: ignore[index]
    assert found["upper_limit"]["value"] == pytest.approx(1.96 * np.std([10, -10, 10, -10], ddof=1))  # type: ignore[index]
    assert found["mean_absolute_share"] == pytest.approx((0.1 + 0.05 + 1 / 30 + 0.025) / 4)


def test_only_the_largest_part_stays() -> None:
    mask = cube(1, 3) | cube(5, 9)
    assert np.array_equal(largest_part(mask), cube(5, 9))
    assert np.array_equal(largest_part(EMPTY), EMPTY)


def test_a_sigmoid_is_foreground_from_the_threshold_on() -> None:
    import torch

    logits = torch.logit(torch.tensor([[0.2, 0.4, 0.6]], dtype=torch.float64))
    (found,) = masks(logits, 0.4, keep_largest=False)
    assert found.tolist() == [False, True, True]


def test_plots_hold_every_point() -> None:
    bins = {"a": [{"predicted": 0.1, "observed": 0.2, "voxels": 5}], "b": []}
    assert reliability_svg(bins).count("<circle") == 1
    estimate = {"value": 5.0, "low": 1.0, "high": 9.0}
    row = {"points": [[100, 90], [200, 210]]} | dict.fromkeys(
        ("mean_difference", "lower_limit", "upper_limit"), estimate
    )
    drawn = bland_altman_svg({"a": row})
    assert drawn.count("<circle") == 2 and drawn.count("stroke-dasharray") == 3
