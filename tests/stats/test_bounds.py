"""Bounds: coverage by simulation, laws, edges."""

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from exporter.stats import bounds, distances
from exporter.stats.calibration import calibration_error
from exporter.stats.result import Z_95, Interval, NotEnoughData

Floats = NDArray[np.float64]

RUNS = 200
NOISE = 3 * math.sqrt(0.025 * 0.975 / RUNS)  # three standard errors of one side's misses


def misses(intervals: list[Interval | NotEnoughData], truth: float) -> tuple[float, float]:
    """The share of intervals above the truth, and of those below it."""
    ends = np.array([i for i in intervals if isinstance(i, Interval)])
    assert len(ends) == len(intervals)
    return float((ends[:, 0] > truth + 1e-9).mean()), float((ends[:, 1] < truth - 1e-9).mean())


def tilted(cells: int, tilt: float) -> Floats:
    shares: Floats = np.exp(tilt * np.linspace(-1.7, 1.7, cells))
    return np.asarray(shares / shares.sum())


@pytest.mark.parametrize("method", bounds.INTERVALS)
@pytest.mark.parametrize("tilt", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("cells", [2, 10])
def test_the_truth_lies_within_the_bounds_with_drift_and_without(method: str, tilt: float, cells: int) -> None:
    rng = np.random.default_rng(1)
    p, q = np.full(cells, 1 / cells), tilted(cells, tilt)
    truth = float(distances.each(method, p, q, 1e300, 1e300))
    references, currents = rng.multinomial(20_000, p, RUNS), rng.multinomial(1_000, q, RUNS)
    pairs = zip(references, currents, strict=True)
    above, below = misses([bounds.drift_interval(method, r, c, 20_000, 1_000) for r, c in pairs], truth)
    assert above <= 0.025 + NOISE
    assert below <= 0.025 + NOISE


@pytest.mark.parametrize("method", bounds.CHI_SQUARES)
def test_the_truth_lies_within_the_bounds_where_drift_left_cells_almost_empty(method: str) -> None:
    rng = np.random.default_rng(6)
    p, q = np.full(50, 1 / 50), tilted(50, 1.5)  # five cells expect fewer than one row
    truth = float(distances.each(method, p, q, 1e300, 1e300))
    pairs = zip(rng.multinomial(20_000, p, RUNS), rng.multinomial(1_000, q, RUNS), strict=True)
    above, below = misses([bounds.drift_interval(method, r, c, 20_000, 1_000) for r, c in pairs], truth)
    assert above <= 0.025 + NOISE
    assert below <= 0.025 + NOISE


@pytest.mark.parametrize("tilt", [0.0, 0.1, 1.0])
def test_wassersteins_truth_lies_within_its_bounds(tilt: float) -> None:
    rng = np.random.default_rng(2)
    p, q, at = np.full(20, 1 / 20), tilted(20, tilt), np.arange(20) ** 1.5
    truth = distances.wasserstein(p, q, at, 3.0)
    assert isinstance(truth, float)
    pairs = zip(rng.multinomial(5_000, p, RUNS), rng.multinomial(1_000, q, RUNS), strict=True)
    above, below = misses([bounds.wasserstein_interval(r, c, 5_000, 1_000, at, 3.0) for r, c in pairs], truth)
    assert above <= 0.025 + NOISE
    assert below <= 0.025 + NOISE


@pytest.mark.parametrize("off", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("rows", [200, 5_000])
def test_the_calibration_errors_truth_lies_within_its_bounds(off: float, rows: int) -> None:
    rng = np.random.default_rng(3)
    intervals = []
    for _ in range(RUNS):
        score = rng.random(rows)
        label = rng.random(rows) < np.clip(score + off * np.sign(0.5 - score), 0, 1)
        cell = (score * 10).astype(int)
        weight, said, positive = (np.bincount(cell, c, 10) for c in (np.ones(rows), score, label.astype(float)))
        intervals.append(bounds.calibration_error_interval(weight, said, positive, rows))
    above, below = misses(intervals, off)
    assert above <= 0.025 + NOISE
    assert below <= 0.025 + NOISE


def test_plain_two_sigma_bounds_would_exclude_zero_without_drift() -> None:
    rng = np.random.default_rng(4)
    p = np.full(10, 0.1)
    values = distances.each("js", rng.multinomial(20_000, p, RUNS), rng.multinomial(1_000, p, RUNS))
    assert (values - 1.96 * values.std() > 0).mean() > 0.5


@pytest.mark.parametrize("method", bounds.INTERVALS)
def test_on_weighted_records_the_effective_rows_keep_the_level_and_the_weighted_sums_do_not(method: str) -> None:
    rng = np.random.default_rng(5)
    weights = np.r_[np.ones(500), np.full(100, 30.0)]
    rows = float(weights.sum() ** 2 / (weights**2).sum())
    missed = {"effective": 0, "weighted": 0}
    reference = np.full(10, 1e5)
    for _ in range(RUNS):
        counts = np.bincount(rng.integers(0, 10, 600), weights, 10)
        for name, n in (("effective", rows), ("weighted", float(weights.sum()))):
            interval = bounds.drift_interval(method, reference, counts, 1e6, n)
            assert isinstance(interval, Interval)
            missed[name] += interval.lower > 0
    assert missed["effective"] / RUNS <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)
    assert missed["weighted"] / RUNS > 0.5


positive_counts = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=2, max_size=12)


@given(positive_counts, st.sampled_from(bounds.INTERVALS), st.floats(1, 1e9), st.floats(1, 1e9))
def test_the_plain_value_always_lies_within(cells: list[tuple[float, float]], method: str, n: float, m: float) -> None:
    r, c = np.array(cells).T
    interval = bounds.drift_interval(method, r, c, n, m)
    if isinstance(interval, NotEnoughData):
        assert not (r.any() and c.any())
        return
    value = float(distances.each(method, r, c, n, m))
    assert 0 <= interval.lower <= value + 1e-12
    assert value - 1e-12 <= interval.upper < math.inf
    assert method == "psi" or interval.upper <= 1


@pytest.mark.parametrize("method", bounds.INTERVALS)
def test_a_hundred_times_the_rows_narrow_the_bounds_some_tenfold(method: str) -> None:
    r, c = np.array([300, 400, 300]), np.array([200, 400, 400])
    few, many = (bounds.drift_interval(method, r, c, n, n) for n in (1e3, 1e5))
    assert isinstance(few, Interval)
    assert isinstance(many, Interval)
    assert 7 < (few.upper - few.lower) / (many.upper - many.lower) < 13


@pytest.mark.parametrize("method", bounds.INTERVALS)
@pytest.mark.parametrize(
    ("reference", "current", "n", "m"),
    [
        ([0, 0], [1, 1], 0, 2),
        ([1, 1], [0, 0], 2, 0),
        ([0, 0], [0, 0], 10, 10),
        ([1, 1], [1, 1], 0.5, 2),
        ([], [], 0, 0),
    ],
)
def test_without_rows_there_are_no_bounds(
    method: str, reference: list[float], current: list[float], n: float, m: float
) -> None:
    assert isinstance(bounds.drift_interval(method, reference, current, n, m), NotEnoughData)
    at = np.arange(len(reference))
    assert isinstance(bounds.wasserstein_interval(reference, current, n, m, at), NotEnoughData)


@pytest.mark.parametrize("method", bounds.INTERVALS)
@pytest.mark.parametrize(
    ("reference", "current", "n", "m"),
    [
        ([5.0, 0.0], [7.0, 0.0], 5, 7),  # one cell
        ([1.0, 0.0], [0.0, 1.0], 1, 1),  # one row each, nothing in common
        ([1e300, 1e300], [1e300, 1.0], 1e15, 1e15),  # huge
        ([1e-300, 1.0], [1.0, 1.0], 1, 2),  # tiny
        ([10.0, 10.0], [10.0, 10.0], 20, 20),  # identical
    ],
)
def test_edges_have_bounds_of_some_width(
    method: str, reference: list[float], current: list[float], n: float, m: float
) -> None:
    interval = bounds.drift_interval(method, reference, current, n, m)
    assert isinstance(interval, Interval)
    assert 0 <= interval.lower < interval.upper - 1e-9
    assert interval.upper < math.inf


def test_a_reference_that_does_not_vary_has_no_unit_for_wasserstein() -> None:
    assert isinstance(bounds.wasserstein_interval([5], [5], 5, 5, [1.0], scale=0), NotEnoughData)


def test_the_edges_of_the_calibration_errors_bounds() -> None:
    assert isinstance(bounds.calibration_error_interval([], [], [], 0), NotEnoughData)
    assert isinstance(bounds.calibration_error_interval([0, 0], [0, 0], [0, 0], 10), NotEnoughData)
    assert isinstance(bounds.calibration_error_interval([1], [0.5], [1], 0), NotEnoughData)
    assert bounds.calibration_error_interval([1], [0.5], [1], 1) == (0.0, 1.0)
    for sums in (([1e300, 1e300], [5e299, 5e299], [1e300, 0.0]), ([3.0, 0.0], [1.5, 0.0], [0.0, 0.0])):
        interval = bounds.calibration_error_interval(*sums, 1e4)
        assert isinstance(interval, Interval)
        assert interval.lower < 0.5 < interval.upper


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_the_calibration_error_lies_within_its_bounds(cells: list[tuple[float, float, float]]) -> None:
    weight, mean, rate = np.array(cells).T
    sums = weight, weight * mean, weight * rate
    value, interval = calibration_error(*sums), bounds.calibration_error_interval(*sums, 100)
    assert isinstance(value, NotEnoughData) == isinstance(interval, NotEnoughData)
    if isinstance(interval, Interval):
        assert isinstance(value, float)
        assert interval.lower <= value + 1e-12
        assert value <= interval.upper + 1e-12


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_bad_input_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        bounds.drift_interval("psi", [1, bad], [1, 1], 2, 2)
    with pytest.raises(ValueError, match="effective rows"):
        bounds.drift_interval("psi", [1, 1], [1, 1], bad, 2)
    with pytest.raises(ValueError, match="effective rows"):
        bounds.calibration_error_interval([1], [1], [1], bad)
    with pytest.raises(ValueError, match="no bounds for chi2"):
        bounds.drift_interval("chi2", [1, 1], [1, 1], 2, 2)
    with pytest.raises(ValueError, match="same row of cells"):
        bounds.drift_interval("psi", [1, 1], [1, 1, 1], 2, 2)


def test_a_cell_of_one_row_does_not_widen_the_bounds_without_end() -> None:
    reference = np.full(10, 2_700.0)
    current = np.array([1, 5, 56, 103, 177, 0, 8_546, 752, 1, 10_359], dtype=float)
    interval = bounds.drift_interval("psi", reference, current, reference.sum(), current.sum())
    rng = np.random.default_rng(7)
    sides = (rng.multinomial(27_000, reference / 27_000, 300), rng.multinomial(20_000, current / 20_000, 300))
    drawn = distances.each("psi", *sides)
    assert isinstance(interval, Interval)
    assert interval.upper - interval.lower < 3 * (np.quantile(drawn, 0.975) - np.quantile(drawn, 0.025))


def without_a_row(method: str, share: Floats, other: Floats, rows: float, others: float) -> tuple[float, float]:
    """Bias and variance that one side adds, by its definition: the powered distance with each row left out."""
    power, step, left = bounds.CHI_SQUARES[method], max(1 / rows, bounds.LEAST_STEP), []
    for cell in np.flatnonzero(share):
        fewer = share.copy()
        fewer[cell] = share[cell] - step if share[cell] - step > step * bounds.ROUNDING else 0.0
        left.append(power.factor * float(distances.each(method, fewer, other, rows, others)) ** power.exponent)
    at = power.factor * float(distances.each(method, share, other, rows, others)) ** power.exponent
    of, moved = share[share > 0], np.array(left) - at
    mean = float(of @ moved)
    return mean / step**2 / rows, float(of @ (moved - mean) ** 2) / step**2 / rows


@pytest.mark.parametrize("weight", [1.0, 0.4])  # below 1, cells hold less than an effective row
@pytest.mark.parametrize("method", bounds.CHI_SQUARES)
def test_they_follow_the_jackknife_by_its_definition_and_the_inverse_of_scipy(method: str, weight: float) -> None:
    rng = np.random.default_rng(3)
    reference, current = (rng.multinomial(300, rng.dirichlet(np.ones(12)), 20) * weight for _ in "ab")
    found = np.array(bounds.each_interval(method, reference, current, np.full(20, 300.0), np.full(20, 300.0)))
    power, unit, ndtr = bounds.CHI_SQUARES[method], 2 / 300, scipy.special.ndtr
    for place, (r, c) in enumerate(zip(reference, current, strict=True)):
        p, q = distances.shares(r), distances.shares(c)
        parts = np.array([without_a_row(method, *sides, 300, 300) for sides in ((p, q), (q, p))]).sum(axis=0)
        value = float(distances.each(method, r, c, 300, 300))
        statistic = power.factor * value**power.exponent / unit
        df = max(int(((r > 0) | (c > 0)).sum()) - 1, parts[0] / unit)
        z = Z_95 * max(1.0, math.sqrt(parts[1]) / unit / (2 * math.sqrt(statistic)))
        least, is_exact = max(statistic, df), z <= bounds.NORMAL_ABOVE
        end = scipy.special.chndtrinc(least, df, ndtr(-z)) if is_exact else (math.sqrt(least) + z) ** 2 - (df - 1)
        upper = (max(0.0, end) * unit / power.factor) ** (1 / power.exponent)
        expected = max(value, upper if method == "psi" else min(1.0, upper))
        assert found[1, place] == pytest.approx(expected, rel=1e-7)
        if found[0, place] > 0 and is_exact:
            noncentrality = power.factor * found[0, place] ** power.exponent / unit
            assert scipy.special.chndtr(statistic, df, noncentrality) == pytest.approx(ndtr(z), rel=1e-7)
    assert (found[0] > 0).any()


def test_a_table_has_the_bounds_that_it_has_alone() -> None:
    rng = np.random.default_rng(5)
    reference, current = (rng.multinomial(5_000, rng.dirichlet(np.full(10, 3.0)), 30) for _ in "ab")
    rows = np.full(30, 5_000.0)
    together = np.array(bounds.each_interval("psi", reference, current, rows, rows))
    alone = [bounds.each_interval("psi", reference[[i]], current[[i]], rows[[i]], rows[[i]]) for i in range(30)]
    np.testing.assert_array_equal(together, np.array(alone)[:, :, 0].T)
