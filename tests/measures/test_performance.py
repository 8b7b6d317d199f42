"""Performance against the same numbers from the raw rows, computed by other people's code."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as oracle

from exporter import names
from tests.measures.raw import MODEL, ROWS, frame, weighted
from tests.strategies import baseline_of, built, measured, model_of, prediction, value_of


def test_performance_of_a_binary_model_is_scikit_learns(case: Any) -> None:
    samples, rows, _, _ = case
    truth, said, score, w = rows["label"], rows["prediction"], rows["score"], rows["weight"]
    low, high = score.clip(1e-15, 1), (1 - score).clip(1e-15, 1)
    expected = {
        names.MODEL_ACCURACY: oracle.accuracy_score(truth, said, sample_weight=w),
        names.MODEL_PRECISION: oracle.precision_score(truth, said, sample_weight=w),
        names.MODEL_RECALL: oracle.recall_score(truth, said, sample_weight=w),
        names.MODEL_F1: oracle.f1_score(truth, said, sample_weight=w),
        names.MODEL_LOG_LOSS: -np.average(np.where(truth == 1, np.log(low), np.log(high)), weights=w),
        names.MODEL_BRIER_SCORE: oracle.brier_score_loss(truth, score, sample_weight=w),
        names.LABELLED_PREDICTIONS_TOTAL: w.sum(),
        names.CORRECT_PREDICTIONS_TOTAL: w[truth == said].sum(),
        names.MODEL_OUTCOME_COVERAGE_RATIO: 1.0,
    }
    for family, value in expected.items():
        assert value_of(samples, family) == pytest.approx(value, rel=1e-9), family.name
    area = oracle.roc_auc_score(truth, score, sample_weight=w)
    assert value_of(samples, names.MODEL_AUC) == pytest.approx(area, abs=1e-3)
    cells = np.minimum((score * 10).astype(int), 9)
    error = sum(abs((w * (rows["label"] - score))[cells == cell].sum()) for cell in range(10)) / w.sum()
    assert value_of(samples, names.MODEL_CALIBRATION_ERROR) == pytest.approx(error, rel=1e-9)


def test_bounds_surround_the_value_and_are_wider_for_weighted_rows(case: Any) -> None:
    samples, _, _, _ = case
    for value, low, high in (
        (names.MODEL_ACCURACY, names.MODEL_ACCURACY_LOWER, names.MODEL_ACCURACY_UPPER),
        (names.MODEL_AUC, names.MODEL_AUC_LOWER, names.MODEL_AUC_UPPER),
        (names.MODEL_CALIBRATION_ERROR, names.MODEL_CALIBRATION_ERROR_LOWER, names.MODEL_CALIBRATION_ERROR_UPPER),
    ):
        inside, lower, upper = (value_of(samples, family) for family in (value, low, high))
        assert lower is not None and inside is not None and upper is not None  # noqa: PT018 - all are there
        assert lower < inside < upper
        assert 0.01 < upper - lower < 0.1


def test_a_score_on_the_threshold_is_positive_and_a_named_class_wins_over_it() -> None:
    samples, _ = measured(
        MODEL, baseline_of(), [prediction(score=0.5, label=1), prediction(score=0.9, prediction=0, label=0)]
    )
    assert value_of(samples, names.MODEL_ACCURACY) == 1.0


@pytest.mark.parametrize("weighting", [False, True])
def test_performance_of_a_multiclass_model_is_scikit_learns(*, weighting: bool) -> None:
    rng = np.random.default_rng(21)
    truth = rng.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1])
    said = np.where(rng.random(ROWS) < 0.7, truth, rng.choice(["a", "b", "c"], ROWS))
    rows = [prediction(score=None, prediction=p, label=y) for p, y in zip(said.tolist(), truth.tolist(), strict=True)]
    rows = weighted(rows, 22) if weighting else rows
    w = frame(rows)["weight"]
    model = model_of("multiclass")
    samples, _ = measured(model, built(model, rows), rows)
    options: dict[str, Any] = {"average": "macro", "sample_weight": w}
    expected = {
        names.MODEL_ACCURACY: oracle.accuracy_score(truth, said, sample_weight=w),
        names.MODEL_PRECISION: oracle.precision_score(truth, said, **options),
        names.MODEL_RECALL: oracle.recall_score(truth, said, **options),
        names.MODEL_F1: oracle.f1_score(truth, said, **options),
        names.CORRECT_PREDICTIONS_TOTAL: w[truth == said].sum(),
    }
    for family, value in expected.items():
        assert value_of(samples, family) == pytest.approx(value, rel=1e-9), family.name
    assert value_of(samples, names.PREDICTION_DRIFT_SCORE, "psi") == 0.0
    for metric in ("accuracy", "precision", "recall", "f1"):
        assert value_of(samples, names.MODEL_PERFORMANCE_BASELINE_RATIO, metric) == pytest.approx(1.0)


@pytest.mark.parametrize("weighting", [False, True])
def test_performance_of_a_regression_is_scikit_learns(*, weighting: bool) -> None:
    rng = np.random.default_rng(31)
    truth = rng.normal(1e6, 3, ROWS)
    said = truth + rng.normal(0.5, 1, ROWS)
    rows = [prediction(score=None, prediction=p, label=y) for p, y in zip(said.tolist(), truth.tolist(), strict=True)]
    rows = weighted(rows, 32) if weighting else rows
    w = frame(rows)["weight"]
    model = model_of("regression")
    samples, _ = measured(model, built(model, rows), rows)
    assert value_of(samples, names.MODEL_MAE) == pytest.approx(
        oracle.mean_absolute_error(truth, said, sample_weight=w), rel=1e-9
    )
    root = oracle.root_mean_squared_error(truth, said, sample_weight=w)
    assert value_of(samples, names.MODEL_RMSE) == pytest.approx(root, rel=1e-9)
    assert value_of(samples, names.MODEL_R2) == pytest.approx(oracle.r2_score(truth, said, sample_weight=w), rel=1e-7)
    assert value_of(samples, names.OUTCOME_DRIFT_SCORE, "psi") == 0.0
    assert value_of(samples, names.CORRECT_PREDICTIONS_TOTAL) is None
