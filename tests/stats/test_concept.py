"""Concept drift: its law without drift, its size with drift, and what it says of too little."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit

from exporter.profile.scorebins import CELLS, score_codes, score_mids
from exporter.stats.concept import concept_drift, concept_pvalue
from exporter.stats.estimation import CalibrationMap, calibration_map
from exporter.stats.result import NotEnoughData

Floats = NDArray[np.float64]

MIDS = score_mids()
TRUTH = expit(1.3 * logit(MIDS) - 0.2)


def score_shares(rng: np.random.Generator, a: float, b: float) -> Floats:
    return np.bincount(score_codes(rng.beta(a, b, 50_000)), minlength=CELLS) / 50_000


def reference_map(rng: np.random.Generator, rows: int, shares: Floats) -> CalibrationMap:
    counts = rng.multinomial(rows, shares)
    positive = rng.binomial(counts, TRUTH)
    answer = calibration_map(positive, counts - positive)
    assert isinstance(answer, CalibrationMap)
    return answer


def simulate(
    truth: Floats, reference: int, window: int, runs: int, scores: tuple[float, float]
) -> tuple[Floats, Floats]:
    """P-values and scores of windows whose labels follow `truth`, each against a reference of its own."""
    rng = np.random.default_rng(1)
    shares, moved = score_shares(rng, 2, 2), score_shares(rng, *scores)
    found = []
    for _ in range(runs):
        calibration = reference_map(rng, reference, shares)
        counts = rng.multinomial(window, moved)
        positive = rng.binomial(counts, truth)
        sides = positive, counts - positive
        found.append((concept_pvalue(*sides, calibration, window), concept_drift(*sides, calibration, window)))
    pvalues, scores_found = np.array(found, float).T
    return pvalues, scores_found


@pytest.mark.parametrize(("reference", "window"), [(100_000, 1_000), (20_000, 5_000), (5_000, 5_000)])
@pytest.mark.parametrize("scores", [(2.0, 2.0), (4.0, 2.0)])
def test_without_drift_p_values_are_uniform_even_when_scores_move(
    reference: int, window: int, scores: tuple[float, float]
) -> None:
    pvalues, drift = simulate(TRUTH, reference, window, 200, scores)
    assert (pvalues < 0.05).mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)
    assert pvalues.mean() == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 200))
    assert (drift == 0).mean() > 0.4
    assert drift.mean() < 1.5 / math.sqrt(window)


def test_a_window_larger_than_the_reference_does_not_cry_wolf() -> None:
    pvalues, _ = simulate(TRUTH, 1_000, 50_000, 100, (3.0, 2.0))
    assert (pvalues < 0.05).mean() <= 0.1


@pytest.mark.parametrize("size", [0.1, 0.2])
def test_rates_that_moved_are_found_and_measured_without_bias(size: float) -> None:
    away = np.where(TRUTH < 0.5, TRUTH + size, TRUTH - size)
    pvalues, drift = simulate(away, 100_000, 2_000, 60, (2.0, 2.0))
    assert (pvalues < 1e-3).mean() >= 0.95
    assert math.sqrt((drift**2).mean()) == pytest.approx(size, rel=0.1)


@given(st.integers(0, 50), st.sampled_from([1e-6, 0.1, 10.0, 1e6]))
def test_the_unit_of_the_windows_weights_changes_nothing(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    calibration = calibration_map(np.arange(1, 41) * 50, np.arange(41, 1, -1) * 50, mids=np.arange(40))
    assert isinstance(calibration, CalibrationMap)
    positive, negative = rng.integers(0, 40, (2, 40)).astype(float)
    for statistic in (concept_drift, concept_pvalue):
        one = statistic(positive, negative, calibration, 1_000)
        assert isinstance(one, float)
        assert 0 <= one <= 1
        other = statistic(positive * factor, negative * factor, calibration, 1_000)
        assert other == pytest.approx(one, rel=1e-6, abs=1e-9)


@given(st.lists(st.tuples(st.floats(0, 1e300), st.floats(0, 1e300)), min_size=3, max_size=3), st.floats(0, 1e9))
def test_any_counts_have_a_defined_answer(cells: list[tuple[float, float]], rows: float) -> None:
    calibration = calibration_map([1, 50, 99], [99, 50, 1], mids=[0, 1, 2])
    assert isinstance(calibration, CalibrationMap)
    positive, negative = np.array(cells).T
    drift = concept_drift(positive, negative, calibration, rows)
    pvalue = concept_pvalue(positive, negative, calibration, rows)
    assert isinstance(drift, NotEnoughData) == isinstance(pvalue, NotEnoughData)
    for value in (drift, pvalue):
        assert isinstance(value, NotEnoughData) or 0 <= value <= 1


@pytest.mark.parametrize(
    ("positive", "negative", "rows"),
    [([0, 0], [0, 0], 0), ([0, 0], [0, 0], 100), ([1, 0], [0, 0], 1), ([2, 4], [4, 2], 12), ([20, 20], [20, 20], 0)],
)
def test_too_few_labels_give_no_value(positive: list[float], negative: list[float], rows: float) -> None:
    calibration = calibration_map([100, 900], [900, 100], mids=[0, 1])
    assert isinstance(calibration, CalibrationMap)
    for statistic in (concept_drift, concept_pvalue):
        answer = statistic(positive, negative, calibration, rows)
        assert isinstance(answer, float) if rows == 12 else isinstance(answer, NotEnoughData)


def test_one_class_alone_is_drift_where_two_are_expected() -> None:
    calibration = calibration_map([1_000, 9_000], [9_000, 1_000], mids=[0, 1])
    assert isinstance(calibration, CalibrationMap)
    drift = concept_drift([100, 100], [0, 0], calibration, 200)
    assert drift == pytest.approx(math.sqrt((0.9**2 + 0.1**2) / 2), rel=0.01)
    pvalue = concept_pvalue([100, 100], [0, 0], calibration, 200)
    assert isinstance(pvalue, float)
    assert pvalue < 1e-12


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_bad_input_is_refused(bad: float) -> None:
    calibration = calibration_map([1, 2], [2, 1], mids=[0, 1])
    assert isinstance(calibration, CalibrationMap)
    for statistic in (concept_drift, concept_pvalue):
        with pytest.raises(ValueError, match="finite numbers"):
            statistic([1, bad], [1, 1], calibration, 10)
        with pytest.raises(ValueError, match="effective rows"):
            statistic([1, 1], [1, 1], calibration, bad)
        with pytest.raises(ValueError, match="map's cells"):
            statistic([1], [1], calibration, 10)
