"""Log loss, Brier score and calibration error against scikit-learn and plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from exporter.stats.calibration import brier, calibration_error, log_loss
from exporter.stats.result import NotEnoughData


@pytest.mark.parametrize("seed", range(10))
def test_log_loss_and_brier_are_scikit_learns_on_weighted_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score, w = rng.uniform(0.01, 0.99, 300), rng.choice([1.0, 10.0], 300)
    label = (rng.random(300) < score).astype(int)
    losses = -np.log(np.where(label == 1, score, 1 - score))
    squares = (score - label) ** 2
    assert log_loss(w.sum(), (w * losses).sum()) == pytest.approx(sk.log_loss(label, score, sample_weight=w), rel=1e-9)
    assert brier(w.sum(), (w * squares).sum()) == pytest.approx(
        sk.brier_score_loss(label, score, sample_weight=w), rel=1e-9
    )


@pytest.mark.parametrize("seed", range(10))
def test_calibration_error_is_its_definition_counted_in_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score, w = rng.random(400), rng.choice([1.0, 10.0], 400)
    label = (rng.random(400) < score**2).astype(float)
    cell = np.minimum((score * 10).astype(int), 9)
    naive = 0.0
    for i in range(10):
        inside = cell == i
        rate, mean = np.average(label[inside], weights=w[inside]), np.average(score[inside], weights=w[inside])
        naive += w[inside].sum() / w.sum() * abs(rate - mean)
    sums = [np.bincount(cell, w * column, 10) for column in (np.ones(400), score, label)]
    assert calibration_error(*sums) == pytest.approx(naive, rel=1e-9)


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_calibration_error_is_a_share_and_zero_when_rates_are_scores(cells: list[tuple[float, float, float]]) -> None:
    weight, mean, rate = np.array(cells).T
    answer = calibration_error(weight, weight * mean, weight * rate)
    if not weight.any():
        assert answer == NotEnoughData(0.0, 1.0, "no labelled predictions with a score")
        return
    assert isinstance(answer, float)
    assert 0 <= answer <= 1 + 1e-12
    assert calibration_error(weight, weight * mean, weight * mean) == 0.0


@given(st.floats(1e-3, 1e3), st.integers(0, 100))
def test_calibration_error_depends_neither_on_the_weights_unit_nor_on_the_order_of_cells(
    factor: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.random(10) + 0.1
    sums = np.array([weight, weight * rng.random(10), weight * rng.random(10)])
    plain = calibration_error(*sums)
    assert calibration_error(*(sums * factor)) == pytest.approx(plain, rel=1e-9)
    assert calibration_error(*sums[:, rng.permutation(10)]) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("metric", [log_loss, brier])
def test_without_rows_or_with_overflowed_sums_there_is_no_value(metric: object) -> None:
    assert callable(metric)
    assert metric(0, 0) == NotEnoughData(0.0, 1.0, "no labelled predictions with a score")
    assert isinstance(metric(3, math.inf), NotEnoughData)
    assert isinstance(metric(3, math.nan), NotEnoughData)


def test_the_edges_of_calibration_error() -> None:
    assert calibration_error([], [], []) == NotEnoughData(0.0, 1.0, "no labelled predictions with a score")
    assert calibration_error([1], [0.75], [1]) == 0.25
    assert calibration_error([0, 2], [0, 1], [0, 2]) == 0.5
    assert calibration_error([1e300, 1e300], [5e299, 5e299], [1e300, 0]) == 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_sums_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        calibration_error([1.0], [bad], [1.0])
    with pytest.raises(ValueError, match="same cells"):
        calibration_error([1.0, 1.0], [1.0], [1.0])
