"""Performance without labels: the map against scikit-learn, estimates against labels simulated from the map."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from exporter.profile.scorebins import CELLS, score_codes, score_mids
from exporter.stats import estimation, performance
from exporter.stats.auc import auc
from exporter.stats.estimation import ESTIMATES, CalibrationMap, calibration_map, estimated_interval
from exporter.stats.result import Interval, NotEnoughData, Value

Floats = NDArray[np.float64]

MIDS = score_mids()
TRUTH = expit(1.3 * logit(MIDS) - 0.2)  # a score that is no probability


def score_shares(rng: np.random.Generator, a: float, b: float) -> Floats:
    return np.bincount(score_codes(rng.beta(a, b, 50_000)), minlength=CELLS) / 50_000


def learned(positive: Any, negative: Any, rows: float | None = None, mids: Any = None) -> CalibrationMap:
    answer = calibration_map(positive, negative, rows, mids)
    assert isinstance(answer, CalibrationMap)
    return answer


def reference_map(rng: np.random.Generator, rows: int, truth: Floats = TRUTH) -> CalibrationMap:
    counts = rng.multinomial(rows, score_shares(rng, 2, 2))
    positive = rng.binomial(counts, truth)
    return learned(positive, counts - positive)


def by_class(counts: Any) -> Any:
    return np.stack([np.where(MIDS < 0.5, counts, 0), np.where(MIDS >= 0.5, counts, 0)])


def realised(table: Any, positive: Any) -> dict[str, Value]:
    confusion = np.array([(table - positive).sum(axis=1), positive.sum(axis=1)])
    found = {name: getattr(performance, name)(confusion) for name in ("accuracy", "precision", "recall", "f1")}
    return found | {"auc": auc(positive.sum(axis=0), (table - positive).sum(axis=0))}


# The map


@pytest.mark.parametrize("seed", range(10))
def test_the_map_is_scikit_learns_isotonic_regression_on_the_cells_that_hold_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive, negative = rng.integers(0, 4, (2, 60)) * rng.choice([1.0, 10.0], (2, 60))
    mids, labelled = np.linspace(0.01, 0.99, 60), positive + negative
    held = labelled > 0
    oracle = IsotonicRegression().fit(mids[held], positive[held] / labelled[held], sample_weight=labelled[held])
    np.testing.assert_allclose(
        learned(positive, negative, mids=mids).chance, oracle.predict(np.clip(mids, *mids[held][[0, -1]])), atol=1e-12
    )


counts_of_labels = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30)


@given(counts_of_labels)
def test_chances_never_fall_and_add_up_to_the_references_positives(cells: list[tuple[float, float]]) -> None:
    positive, negative = np.array(cells).T
    answer = calibration_map(positive, negative, mids=np.arange(positive.size))
    if not (positive.any() and negative.any()):
        assert isinstance(answer, NotEnoughData)
        return
    assert isinstance(answer, CalibrationMap)
    assert (np.diff(answer.chance) >= -1e-12).all()
    assert ((answer.chance >= 0) & (answer.chance <= 1)).all()
    assert float((positive + negative) @ answer.chance) == pytest.approx(positive.sum(), rel=1e-9)
    np.testing.assert_allclose(answer.spread.sum(axis=1), 1.0)


@given(st.integers(0, 100), st.sampled_from([1e-9, 0.1, 7.0, 1e9]))
def test_the_weights_unit_changes_no_chance(seed: int, factor: float) -> None:
    positive, negative = np.random.default_rng(seed).integers(1, 50, (2, 20))
    one, other = (learned(positive * f, negative * f, 1_000, np.arange(20)) for f in (1.0, factor))
    np.testing.assert_allclose(one.chance, other.chance, rtol=1e-9)
    np.testing.assert_allclose(one.rate_variance, other.rate_variance, rtol=1e-9)


def test_cells_without_labels_lie_on_the_line_between_neighbours_and_keep_the_ends() -> None:
    answer = learned([0, 1, 0, 0, 3, 0], [0, 3, 0, 0, 1, 0], mids=[0, 1, 2, 4, 5, 9])
    assert answer.chance.tolist() == [0.25, 0.25, 0.375, 0.625, 0.75, 0.75]


def test_chances_come_near_the_truth_as_labels_come() -> None:
    rng = np.random.default_rng(0)
    shares = score_shares(rng, 2, 2)
    errors = [float(shares @ np.abs(reference_map(rng, rows).chance - TRUTH)) for rows in (300, 3_000, 300_000)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01


@pytest.mark.parametrize(
    ("positive", "negative", "why"),
    [
        ([0, 0], [0, 0], "no positive labels"),
        ([0, 0], [1, 2], "no positive labels"),
        ([1, 2], [0, 0], "no negative labels"),
        ([], [], "no positive labels"),
    ],
)
def test_without_both_classes_there_is_no_map(positive: list[float], negative: list[float], why: str) -> None:
    answer = calibration_map(positive, negative, mids=np.arange(len(positive)))
    assert answer == NotEnoughData(0.0, 1.0, why)
    assert isinstance(calibration_map([1, 2], [3, 4], 0, mids=[0, 1]), NotEnoughData)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 1e301])
def test_counts_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        calibration_map([1, bad], [1, 1], mids=[0, 1])
    with pytest.raises(ValueError, match="finite numbers"):
        estimation.estimated_accuracy(np.array([[1, bad], [1, 1]]), learned([1, 2], [2, 1], mids=[0, 1]))


def test_shapes_and_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="mids must"):
        calibration_map([1, 1], [1, 1])
    with pytest.raises(ValueError, match="mids must"):
        calibration_map([1, 1], [1, 1], mids=[1, 1])
    calibration = learned([1, 2], [2, 1], mids=[0, 1])
    with pytest.raises(ValueError, match="2 classes"):
        estimation.estimated_auc([[1, 1, 1], [1, 1, 1]], calibration)
    for rows in (math.nan, -1.0, math.inf):
        with pytest.raises(ValueError, match="effective rows"):
            estimated_interval("accuracy", [[1, 1], [1, 1]], calibration, rows)
        with pytest.raises(ValueError, match="effective rows"):
            calibration_map([1, 1], [1, 1], rows, [0, 1])


# Estimates


@pytest.mark.parametrize("name", ESTIMATES)
def test_over_labels_drawn_from_the_map_the_mean_realised_value_is_the_estimate(name: str) -> None:
    rng = np.random.default_rng(1)
    calibration = reference_map(rng, 20_000)
    table = by_class(rng.multinomial(3_000, score_shares(rng, 3, 2)))
    labels = [rng.binomial(table, calibration.chance) for _ in range(300)]
    values = np.array([realised(table, positive)[name] for positive in labels], dtype=np.float64)
    estimate = ESTIMATES[name][0](table, calibration)
    bias = 0.0005  # ratios of sums that both vary are off by the order of 1 / rows
    assert estimate == pytest.approx(values.mean(), abs=4 * values.std() / math.sqrt(300) + bias)


@pytest.mark.parametrize(("reference", "window"), [(100_000, 1_000), (5_000, 5_000), (1_500, 10_000)])
def test_realised_values_of_windows_whose_scores_moved_lie_within_the_interval(reference: int, window: int) -> None:
    rng = np.random.default_rng(2)
    moved, runs = score_shares(rng, 3, 2), 80
    hits = dict.fromkeys(ESTIMATES, 0)
    for _ in range(runs):
        calibration = reference_map(rng, reference)
        table = by_class(rng.multinomial(window, moved))
        for name, value in realised(table, rng.binomial(table, TRUTH)).items():
            interval = estimated_interval(name, table, calibration, window)
            assert isinstance(interval, Interval)
            assert isinstance(value, float)
            hits[name] += interval.lower <= value <= interval.upper
    # 95 %, less three standard errors of 80 runs
    assert min(hits.values()) >= (0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)) * runs


def test_an_interval_without_the_maps_uncertainty_would_be_too_narrow() -> None:
    rng = np.random.default_rng(3)
    calibration = reference_map(rng, 1_000)
    table = by_class(rng.multinomial(1_000, score_shares(rng, 2, 2)))
    interval = estimated_interval("accuracy", table, calibration, 1_000)
    assert isinstance(interval, Interval)
    labels_alone = 1.96 * math.sqrt(float(table.sum(axis=0) @ calibration.label_variance)) / 1_000
    assert interval.upper - interval.lower > 1.2 * 2 * labels_alone


@pytest.mark.parametrize("name", ESTIMATES)
def test_gradients_are_the_derivatives_by_the_chances(name: str) -> None:
    rng = np.random.default_rng(4)
    estimate, gradient = ESTIMATES[name]
    calibration = learned(rng.integers(5, 9, 8).cumsum(), rng.integers(5, 9, 8)[::-1].cumsum(), mids=np.arange(8))
    share = rng.dirichlet(np.ones(16)).reshape(2, 8)
    chance = np.linspace(0.1, 0.8, 8)

    def value(at: Floats) -> float:
        answer = estimate(share, CalibrationMap(at, calibration.spread, at, at, 1.0))
        assert isinstance(answer, float)
        return answer

    slope = (share * gradient(share, chance, value(chance))).sum(axis=0)
    for cell, unit in enumerate(np.eye(8)):
        assert (value(chance + 1e-6 * unit) - value(chance - 1e-6 * unit)) / 2e-6 == pytest.approx(
            slope[cell], abs=1e-7
        )


def test_drifted_scores_are_followed_and_concept_drift_by_design_is_not() -> None:
    rng = np.random.default_rng(5)
    calibration = reference_map(rng, 200_000)
    table = by_class(rng.multinomial(100_000, score_shares(rng, 6, 6)))  # scores crowd where the model is unsure
    estimate = estimation.estimated_accuracy(table, calibration)
    followed = realised(table, rng.binomial(table, TRUTH))["accuracy"]
    swapped = realised(table, rng.binomial(table, 1 - TRUTH))["accuracy"]
    assert isinstance(swapped, float)
    assert estimate == pytest.approx(followed, abs=0.01)
    assert isinstance(estimate, float)
    assert estimate - swapped > 0.2


@given(counts_of_labels, st.sampled_from(sorted(ESTIMATES)), st.floats(0, 1e6))
def test_estimates_and_their_intervals_are_shares(cells: list[tuple[float, float]], name: str, rows: float) -> None:
    table = np.array(cells).T
    calibration = learned([1] + [0] * len(cells), [0] * len(cells) + [1], mids=np.arange(len(cells) + 1))
    counts = np.column_stack([table, [1.0, 2.0]])
    value, interval = ESTIMATES[name][0](counts, calibration), estimated_interval(name, counts, calibration, rows)
    assert isinstance(value, float)
    assert 0 <= value <= 1
    assert isinstance(interval, NotEnoughData) == (rows == 0)
    if isinstance(interval, Interval):
        assert 0 <= interval.lower <= value <= interval.upper <= 1


@pytest.mark.parametrize("name", ESTIMATES)
def test_the_edges_of_the_estimates(name: str) -> None:
    estimate = ESTIMATES[name][0]
    calibration = learned([1, 3], [3, 1], mids=[0, 1])
    assert isinstance(estimate(np.zeros((2, 2)), calibration), NotEnoughData)
    assert isinstance(estimated_interval(name, np.zeros((2, 2)), calibration, 0), NotEnoughData)
    assert isinstance(estimated_interval(name, np.ones((2, 2)), calibration, 0), NotEnoughData)
    assert estimate(np.full((2, 2), 1e300), calibration) == pytest.approx(estimate(np.ones((2, 2)), calibration))


@pytest.mark.parametrize("name", ["accuracy", "precision"])
def test_of_one_row_nothing_is_known(name: str) -> None:
    assert estimated_interval(name, [[0, 0], [0, 1]], learned([1, 3], [3, 1], mids=[0, 1]), 1) == (0.0, 1.0)


def test_what_a_window_cannot_have_is_not_made_up() -> None:
    sure = learned([0, 3], [3, 0], mids=[0, 1])
    assert estimation.estimated_auc([[3, 0], [0, 0]], sure) == NotEnoughData(0.0, 1.0, "no positive labels")
    assert isinstance(estimation.estimated_precision([[3, 3], [0, 0]], sure), NotEnoughData)
    assert isinstance(estimation.estimated_recall([[3, 0], [3, 0]], sure), NotEnoughData)
    assert estimation.estimated_f1([[0, 3], [0, 0]], sure) == 0.0
