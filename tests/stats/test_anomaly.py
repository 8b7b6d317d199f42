"""Anomaly: deviations follow their law, repeats are found and their absence is quiet, edges are defined."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from exporter.stats import anomaly
from exporter.stats.anomaly import Usual
from exporter.stats.result import NotEnoughData, Value

Floats = NDArray[np.float64]

K = 1024
ROWS = 10_000


def number(value: Value) -> float:
    assert isinstance(value, float)
    return value


def hashed(rng: np.random.Generator, copies: list[int]) -> Floats:
    """Counters of inputs that come so often each, hashed at random."""
    return np.bincount(rng.integers(0, K, len(copies)), copies, K).astype(np.float64)


# Deviations


@pytest.mark.parametrize("windows", [3, 10, 100])
def test_without_anomaly_deviations_are_normal_however_few_the_reference_windows(windows: int) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(5, 2, (2_000, windows + 1))
    found = []
    for row in values:
        usual = Usual(row[1:].mean(), row[1:].std(ddof=1), windows)
        found.append(number(anomaly.deviation(row[0], usual)))
    assert scipy_stats.kstest(found, scipy_stats.halfnorm.cdf).pvalue > 1e-3


def test_the_plain_distance_would_cry_wolf_on_few_windows() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(5, 2, (2_000, 4))
    plain = np.abs(values[:, 0] - values[:, 1:].mean(axis=1)) / values[:, 1:].std(axis=1, ddof=1)
    assert (plain > 3).mean() > 20 * 0.0027


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3), st.integers(2, 1_000), st.floats(-1e9, 1e9))
def test_a_deviation_grows_both_ways_from_the_mean_and_stays_finite(
    mean: float, spread: float, windows: int, value: float
) -> None:
    usual = Usual(mean, spread, windows)
    found = number(anomaly.deviation(value, usual))
    assert 0 <= found <= 37.1
    assert number(anomaly.deviation(mean, usual)) == 0
    assert number(anomaly.deviation(mean + 2 * (value - mean), usual)) >= found - 1e-6
    assert number(anomaly.deviation(value, usual, least=2 * spread)) <= found + 1e-9


def test_the_edges_of_a_deviation() -> None:
    assert anomaly.deviation(1, Usual(0, 1, 1)) == NotEnoughData(
        1.0, 2.0, "too few reference windows to know a usual range"
    )
    assert isinstance(anomaly.deviation(1, Usual(0, 0, 9)), NotEnoughData)
    assert 2 < number(anomaly.deviation(1, Usual(0, 0, 9), least=0.3)) < 3
    assert number(anomaly.deviation(1e308, Usual(-1e308, 1e-300, 5))) > 30


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    for arguments in ((bad, Usual(0, 1, 5)), (0, Usual(bad, 1, 5)), (0, Usual(0, bad, 5))):
        with pytest.raises(ValueError, match="must be finite"):
            anomaly.deviation(*arguments)
    with pytest.raises(ValueError, match="must be finite"):
        anomaly.deviation(0, Usual(0, -1, 5))
    for counts in ([bad, 1], [-1, 1]):
        with pytest.raises(ValueError, match="finite numbers"):
            anomaly.entropy(counts)
        with pytest.raises(ValueError, match="finite numbers"):
            anomaly.repeated_share(counts, 2)
    with pytest.raises(ValueError, match="effective rows"):
        anomaly.repeated_share([1, 1], bad)


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=20))
def test_entropy_is_scipys_and_confidence_a_mean(counts: list[float]) -> None:
    cells = np.array(counts)
    confidences = np.linspace(0.5, 1, cells.size)
    if not cells.any():
        assert isinstance(anomaly.entropy(cells), NotEnoughData)
        assert isinstance(anomaly.mean_confidence(cells, confidences), NotEnoughData)
        return
    share = cells / cells.max()
    assert anomaly.entropy(cells) == pytest.approx(scipy_stats.entropy(share, base=2), abs=1e-9)
    assert anomaly.mean_confidence(cells, confidences) == pytest.approx(np.average(confidences, weights=share))


def test_confidences_that_are_no_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        anomaly.mean_confidence([1, 1], [0.5, 1.5])
    with pytest.raises(ValueError, match="between 0 and 1"):
        anomaly.mean_confidence([1, 1], [0.5])


# Repeated inputs


def test_with_unlike_inputs_the_repeated_share_is_near_zero_and_its_noise_is_as_documented() -> None:
    rng = np.random.default_rng(2)
    windows = [hashed(rng, [1] * ROWS) for _ in range(300)]
    found = np.array([number(anomaly.repeated_share(window, ROWS)) for window in windows])
    assert (found == 0).mean() == pytest.approx(0.5, abs=0.1)
    assert (found > 0.27 / math.sqrt(ROWS)).mean() == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 300))
    squares = np.array([number(anomaly._repeat_chance(window, ROWS)) for window in windows]) - 1 / ROWS
    assert squares.std() == pytest.approx(math.sqrt(2 / K) / ROWS, rel=0.15)
    assert squares.mean() == pytest.approx(0, abs=4 * squares.std() / math.sqrt(300))
    assert found.max() < 3 * anomaly.repeated_error(0.0, K, ROWS)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_one_input_repeated_among_unlike_ones_is_found_with_its_share(share: float) -> None:
    rng = np.random.default_rng(3)
    probes = round(share * ROWS)
    for _ in range(20):
        counters = hashed(rng, [probes] + [1] * (ROWS - probes))
        assert anomaly.repeated_share(counters, ROWS) == pytest.approx(share, abs=0.004)
        off = number(anomaly.repeated_share(counters, ROWS)) - share
        assert abs(off) < 4 * anomaly.repeated_error(share, K, ROWS)


def test_on_sampled_records_the_share_is_that_of_the_full_stream() -> None:
    rng = np.random.default_rng(4)
    always = np.ones(2_000)  # records kept always, one of whose inputs makes up a quarter of them
    sampled = np.full(800, 10.0)
    counters = hashed(rng, [500, *[1] * 1_500, *[10] * 800])
    weights = np.r_[always, sampled]
    rows = float(weights.sum() ** 2 / (weights**2).sum())
    assert anomaly.repeated_share(counters, rows) == pytest.approx(500 / 10_000, abs=0.01)


@given(st.lists(st.floats(0, 1e300), min_size=2, max_size=30), st.floats(0, 1e9))
def test_any_counters_have_a_defined_answer(counters: list[float], rows: float) -> None:
    repeated = anomaly.repeated_share(counters, rows)
    assert isinstance(repeated, NotEnoughData) == (rows == 0 or not any(counters))
    if isinstance(repeated, float):
        assert 0 <= repeated <= 1
        if rows >= 1:
            assert 0 < anomaly.repeated_error(repeated, len(counters), rows) < math.inf


@given(st.integers(0, 100), st.integers(0, 200))
def test_counters_add(seed: int, split: int) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 16, 200)
    parts = np.bincount(cells[:split], minlength=16) + np.bincount(cells[split:], minlength=16)
    assert anomaly.repeated_share(parts, 200) == anomaly.repeated_share(np.bincount(cells, minlength=16), 200)


def test_the_edges_of_repeats() -> None:
    assert isinstance(anomaly.repeated_share(np.zeros(K), 0), NotEnoughData)
    assert anomaly.repeated_share([1, 0], 1) == 0.0
    assert anomaly.repeated_share([1e300, 1e300], 4) == 0.0
    with pytest.raises(ValueError, match="two cells"):
        anomaly.repeated_share([1], 1)
