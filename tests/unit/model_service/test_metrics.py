import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (  # type: ignore[import-untyped]
    average_precision_score,
    brier_score_loss,
    roc_auc_score,
)

from model_service.training import metrics


def test_auroc_of_known_orders() -> None:
    labels = np.array([0, 0, 1, 1])
    assert metrics.auroc(labels, np.array([1.0, 2.0, 3.0, 4.0])) == 1.0
    assert metrics.auroc(labels, np.array([4.0, 3.0, 2.0, 1.0])) == 0.0
    assert metrics.auroc(labels, np.zeros(4)) == 0.5
    assert np.isnan(metrics.auroc(np.ones(4, np.int64), np.zeros(4)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=4, max_size=60))
def test_ranking_metrics_agree_with_scikit_learn(rows: list[tuple[int, int]]) -> None:
    labels = np.array([0, 1] + [label for label, _ in rows])
    scores = np.array([0.0, 0.5] + [value / 8 for _, value in rows])
    assert metrics.auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert metrics.average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))
    assert metrics.brier(labels, scores) == pytest.approx(brier_score_loss(labels, scores))


def test_threshold_is_the_lowest_that_reaches_the_specificity() -> None:
    labels = np.array([0] * 10 + [1] * 4)
    scores = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.85, 0.95, 0.86, 0.5])
    threshold = metrics.threshold_at_specificity(labels, scores, 0.9)
    assert 0.8 < threshold <= 0.85
    assert metrics.specificity(labels, scores >= threshold) == pytest.approx(0.9)
    assert metrics.sensitivity(labels, scores >= threshold) == 0.75
    assert metrics.sensitivity_at_specificity(labels, scores, 0.9) == 0.75


def test_threshold_exists_even_if_only_flagging_nothing_suffices() -> None:
    labels, scores = np.array([1, 0]), np.array([0.1, 0.9])
    threshold = metrics.threshold_at_specificity(labels, scores, 0.99)
    assert metrics.specificity(labels, scores >= threshold) == 1.0


def test_calibration_error_of_known_probabilities() -> None:
    labels = np.array([0, 1, 1, 1])
    assert metrics.calibration_error(labels, np.full(4, 0.75)) == pytest.approx(0.0)
    assert metrics.calibration_error(labels, np.full(4, 0.25)) == pytest.approx(0.5)
    assert metrics.calibration_error(labels, np.array([0.0, 1.0, 1.0, 1.0])) == 0.0


def test_temperature_undoes_overconfidence() -> None:
    generator = np.random.default_rng(0)
    honest = generator.normal(0, 2, (20000, 3))
    shares = metrics.softmax(honest)
    labels = (shares.cumsum(axis=1) < generator.random((20000, 1))).sum(axis=1)
    temperature = metrics.fit_temperature(labels, honest * 3)
    assert temperature == pytest.approx(3.0, rel=0.05)


def test_platt_undoes_overconfidence_and_shift() -> None:
    generator = np.random.default_rng(0)
    honest = generator.normal(0, 2, 20000)
    labels = (generator.random(20000) < metrics.sigmoid(honest)).astype(np.int64)
    shifted = honest * 3 + 2
    temperature, bias = metrics.fit_platt(labels, shifted)
    assert temperature == pytest.approx(3.0, rel=0.05)
    assert bias == pytest.approx(-2 / 3, abs=0.05)
    before = metrics.calibration_error(labels, metrics.sigmoid(shifted))
    after = metrics.calibration_error(labels, metrics.sigmoid(shifted / temperature + bias))
    assert after < before / 5


def test_platt_stays_finite_where_classes_separate() -> None:
    labels, logits = np.array([0, 0, 0, 1, 1, 1]), np.array([-30.0, -20.0, -10.0, 10.0, 20.0, 30.0])
    temperature, bias = metrics.fit_platt(labels, logits)
    assert 0 < temperature < 100
    assert abs(bias) < 1


def test_platt_refuses_scores_that_fall_with_the_label() -> None:
    with pytest.raises(ValueError, match="rise"):
        metrics.fit_platt(np.array([1, 1, 0, 0]), np.array([-2.0, -1.0, 1.0, 2.0]))


def test_reliability_tells_predicted_and_observed_per_bin() -> None:
    rows = metrics.reliability(np.array([0, 1, 1, 1]), np.array([0.01, 0.03, 0.99, 1.0]))
    assert [row["images"] for row in rows] == [2, 2]
    assert rows[0] == {"images": 2, "predicted": pytest.approx(0.02), "observed": 0.5}
    assert rows[1]["observed"] == 1.0


def test_sigmoid_has_no_overflow() -> None:
    assert metrics.sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


def test_bootstrap_of_patients_is_wider_than_of_images() -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat(generator.integers(0, 2, 30), 10)
    scores = np.repeat(generator.normal(0, 1, 30), 10) + labels
    wanted = {"auroc": metrics.auroc}
    patients = [str(i // 10) for i in range(300)]
    by_patient = metrics.bootstrap(labels, scores, patients, wanted, 300, 2)["auroc"]
    by_image = metrics.bootstrap(labels, scores, [str(i) for i in range(300)], wanted, 300, 2)["auroc"]
    assert by_patient.value == by_image.value
    assert by_patient.low < by_patient.value < by_patient.high
    assert by_patient.high - by_patient.low > 2 * (by_image.high - by_image.low)


def test_bootstrap_repeats_by_seed() -> None:
    labels, scores = np.array([0, 1] * 20), np.linspace(0, 1, 40)
    groups = [str(i) for i in range(40)]
    first = metrics.bootstrap(labels, scores, groups, {"auroc": metrics.auroc}, 50, 7)
    assert first == metrics.bootstrap(labels, scores, groups, {"auroc": metrics.auroc}, 50, 7)
