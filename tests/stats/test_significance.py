"""P-values: their law by simulation, their formulas against scipy, correction over features, effective rows."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

from exporter.stats import distances, significance
from exporter.stats.result import NotEnoughData, Value

Floats = NDArray[np.float64]
PValue = Callable[[ArrayLike, ArrayLike, float, float], Value]

P_VALUES: dict[str, PValue] = {
    "psi": significance.psi_pvalue,
    "js": significance.js_pvalue,
    "chi2": significance.chi2_pvalue,
    "ks": significance.ks_pvalue,
}
RUNS = 1_000
NOISE = 3 * math.sqrt(0.05 * 0.95 / RUNS)  # three standard errors of a rejection rate of 5 %


def _rejection_rate(method: str, shares: Floats, n: int, m: int, seed: int = 1) -> float:
    rng = np.random.default_rng(seed)
    references, currents = rng.multinomial(n, shares, RUNS), rng.multinomial(m, shares, RUNS)
    values = [P_VALUES[method](r, c, n, m) for r, c in zip(references, currents, strict=True)]
    return sum(isinstance(value, float) and value < 0.05 for value in values) / RUNS


# Simulations under no drift


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["psi", "js", "chi2"])
@pytest.mark.parametrize(("n", "m"), [(100_000, 1_000), (1_000, 1_000), (2_000, 300)])
def test_on_ten_cells_without_drift_one_test_in_twenty_rejects(method: str, n: int, m: int) -> None:
    assert _rejection_rate(method, np.full(10, 0.1), n, m) == pytest.approx(0.05, abs=NOISE)


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["psi", "js", "chi2"])
@pytest.mark.parametrize(("n", "m"), [(100_000, 1_000), (1_000, 1_000)])
@pytest.mark.parametrize("even", [True, False])
def test_on_two_hundred_sparse_cells_without_drift_it_is_not_more(method: str, n: int, m: int, *, even: bool) -> None:
    shares = np.ones(200) if even else 1 / np.arange(1, 201) ** 1.2
    rate = _rejection_rate(method, shares / shares.sum(), n, m)
    assert 0.02 < rate <= 0.05 + NOISE


@pytest.mark.thorough
def test_kolmogorov_on_cells_is_conservative_but_not_blind() -> None:
    assert 0 < _rejection_rate("ks", np.full(10, 0.1), 1_000, 1_000) <= 0.05 + NOISE
    assert 0.02 < _rejection_rate("ks", np.full(200, 0.005), 1_000, 1_000) <= 0.05 + NOISE


def test_with_two_hundred_categories_psi_reads_high_on_identical_data_and_its_p_value_stays_quiet() -> None:
    rng = np.random.default_rng(7)
    shares = np.full(200, 1 / 200)
    reference = rng.multinomial(100_000, shares)
    windows = rng.multinomial(1_000, shares, 50)
    readings = distances.each("psi", np.tile(reference, (50, 1)), windows)
    pvalues = [significance.psi_pvalue(reference, window, 100_000, 1_000) for window in windows]
    assert np.mean(readings) == pytest.approx(0.2, abs=0.03)  # (200 - 1) (1 / 1,000 + 1 / 100,000) = 0.201
    assert (significance.benjamini_hochberg(np.array(pvalues, float)) > 0.05).all()


def test_a_real_shift_in_two_hundred_categories_is_still_seen() -> None:
    rng = np.random.default_rng(7)
    shares = np.full(200, 1 / 200)
    moved = np.where(np.arange(200) < 100, 1.5, 0.5) / 200
    reference, window = rng.multinomial(100_000, shares), rng.multinomial(1_000, moved)
    for pvalue in P_VALUES.values():
        value = pvalue(reference, window, 100_000, 1_000)
        assert isinstance(value, float)
        assert value < 1e-6


def test_on_sampled_records_the_effective_rows_keep_the_level_and_the_weighted_sums_do_not() -> None:
    # One record in two is kept always (weight 1), of the others one in ten (weight 10), whatever their cell.
    rng = np.random.default_rng(3)
    effective, naive = 0, 0
    runs = 400
    for _ in range(runs):
        cells, weights = rng.integers(0, 10, 1_100), np.where(np.arange(1_100) < 1_000, 1.0, 10.0)
        current = np.bincount(cells, weights, 10)
        reference = rng.multinomial(50_000, np.full(10, 0.1))
        rows = significance.effective_sample_size(weights.sum(), (weights**2).sum())
        for size, is_effective in ((rows, True), (weights.sum(), False)):
            value = significance.psi_pvalue(reference, current, 50_000, size)
            rejected = isinstance(value, float) and value < 0.05
            effective += rejected and is_effective
            naive += rejected and not is_effective
    assert effective / runs == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / runs))
    assert naive / runs > 0.5


# Oracles


@pytest.mark.parametrize("seed", range(10))
def test_chi2_p_value_without_sparse_cells_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    r, c = rng.integers(50, 80, 8), rng.integers(50, 80, 8)
    oracle = scipy_stats.chi2_contingency(np.array([r, c]), correction=False).pvalue
    assert significance.chi2_pvalue(r, c, r.sum(), c.sum()) == pytest.approx(oracle, rel=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_psi_and_js_p_values_are_chi_square_tails_never_below_pearsons(seed: int) -> None:
    rng = np.random.default_rng(seed)
    r, c = rng.integers(500, 600, 8), rng.integers(500, 600, 8)
    n, m = int(r.sum()), int(c.sum())
    pearson = scipy_stats.chi2_contingency(np.array([r, c]), correction=False).statistic
    psi, js = distances.psi(r, c), distances.js(r, c)
    assert isinstance(psi, float)
    assert isinstance(js, float)
    for value, scaled in (
        (significance.psi_pvalue(r, c, n, m), psi / (1 / n + 1 / m)),
        (significance.js_pvalue(r, c, n, m), 8 * math.log(2) * js**2 / (1 / n + 1 / m)),
    ):
        assert scaled == pytest.approx(pearson, rel=0.01)
        assert value == pytest.approx(scipy_stats.chi2.sf(min(scaled, pearson), 7), rel=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_ks_p_value_is_scipys_asymptotic_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    r, c = rng.integers(50, 80, 8), rng.integers(50, 80, 8)
    distance = distances.ks(r, c)
    assert isinstance(distance, float)
    oracle = scipy_stats.kstwobign.sf(distance * math.sqrt(r.sum() * c.sum() / (r.sum() + c.sum())))
    assert significance.ks_pvalue(r, c, float(r.sum()), float(c.sum())) == pytest.approx(oracle, rel=1e-9)


def test_sparse_cells_are_pooled_until_the_pool_holds_five_expected_rows() -> None:
    # Expected on the smaller side: 40, 45, then 1 and 3, which make 4, so the pool takes in the 40 as well.
    r, c = np.array([400.0, 470.0, 10.0, 30.0]), np.array([41.0, 43.0, 1.0, 4.0])
    pooled = np.array([[440.0, 470.0], [46.0, 43.0]])
    oracle = scipy_stats.chi2_contingency(pooled, correction=False).pvalue
    assert significance.chi2_pvalue(r, c, r.sum(), c.sum()) == pytest.approx(oracle, rel=1e-9)


def test_the_split_of_a_cell_at_just_five_expected_rows_does_not_choose_whether_it_is_pooled() -> None:
    other = np.full(30, 50.0)
    degrees = set()
    for rows in range(11):
        r, c = np.append(other, [rows, 50.0]), np.append(other, [10 - rows, 40.0 + 2 * rows])
        total = np.array([r.sum()])
        _, _, cells = significance._pooled(r[None] / total, c[None] / total, total, total)
        degrees.add(int(cells[0]))
    assert degrees == {32}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_benjamini_hochberg_equals_scipys_false_discovery_control(pvalues: list[float]) -> None:
    oracle = scipy_stats.false_discovery_control(pvalues)
    assert significance.benjamini_hochberg(pvalues) == pytest.approx(oracle, rel=1e-12, abs=0)


@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=40))
def test_benjamini_hochberg_leaves_nan_out_and_in_place(pvalues: list[float]) -> None:
    given_values = np.array(pvalues, float)
    known = ~np.isnan(given_values)
    adjusted = significance.benjamini_hochberg(given_values)
    assert np.array_equal(np.isnan(adjusted), ~known)
    assert np.array_equal(adjusted[known], significance.benjamini_hochberg(given_values[known]))
    assert (adjusted[known] >= given_values[known]).all()


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.inf])
def test_benjamini_hochberg_refuses_what_is_no_probability(bad: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        significance.benjamini_hochberg([0.5, bad])


@given(st.lists(st.floats(0.001, 1_000), min_size=1, max_size=50), st.floats(0.01, 100))
def test_effective_rows_are_at_most_the_records_and_free_of_the_weights_unit(
    weights: list[float], factor: float
) -> None:
    w = np.array(weights)
    rows = significance.effective_sample_size(w.sum(), (w**2).sum())
    scaled = significance.effective_sample_size((w * factor).sum(), ((w * factor) ** 2).sum())
    assert 1 - 1e-9 <= rows <= len(weights) * (1 + 1e-9)
    assert scaled == pytest.approx(rows, rel=1e-9)


def test_equal_weights_are_worth_their_number() -> None:
    assert significance.effective_sample_size(700, 4_900) == 100


# Laws


@given(seed=st.integers(0, 10_000), cells=st.integers(2, 40))
def test_a_p_value_is_a_probability_alike_from_both_sides_and_for_scaled_weights(seed: int, cells: int) -> None:
    rng = np.random.default_rng(seed)
    r, c = rng.integers(0, 60, cells) + 1.0, rng.integers(0, 60, cells) + 1.0
    n, m = float(r.sum()), float(c.sum())
    for method, pvalue in P_VALUES.items():
        value = pvalue(r, c, n, m)
        if isinstance(value, NotEnoughData):
            assert value.have < value.need, method
            continue
        assert 0 <= value <= 1, method
        assert pvalue(c, r, m, n) == pytest.approx(value, rel=1e-6, abs=1e-12), method
        assert pvalue(r * 7, c / 7, n, m) == pytest.approx(value, rel=1e-6, abs=1e-12), method


@pytest.mark.parametrize("method", P_VALUES)
def test_the_same_shares_are_less_likely_noise_on_more_rows(method: str) -> None:
    r, c = np.array([50.0, 50.0, 50.0]), np.array([45.0, 50.0, 55.0])
    values = [P_VALUES[method](r, c, rows, rows) for rows in (100, 1_000, 10_000)]
    assert all(isinstance(value, float) for value in values)
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]  # they are floats, as asserted
    assert len(set(values)) == 3


# Edges


@pytest.mark.parametrize("method", P_VALUES)
@pytest.mark.parametrize(
    ("reference", "current", "n", "m"),
    [([], [], 0, 0), ([0, 0], [5, 5], 0, 10), ([5, 5], [0, 0], 10, 0), ([5, 5], [5, 5], 10, 0), ([0, 0], [5, 5], 9, 9)],
)
def test_without_rows_there_is_no_p_value(
    method: str, reference: list[float], current: list[float], n: float, m: float
) -> None:
    answer = P_VALUES[method](np.array(reference, float), np.array(current, float), n, m)
    assert isinstance(answer, NotEnoughData)
    assert "holds no rows" in answer.why


@pytest.mark.parametrize("method", ["psi", "js", "chi2"])
@pytest.mark.parametrize(
    ("reference", "current", "n", "m"), [([9], [9], 9, 9), ([9, 0], [9, 0], 9, 9), ([1, 0], [0, 1], 1, 1)]
)
def test_one_category_or_one_row_cannot_be_tested_on_cells(
    method: str, reference: list[float], current: list[float], n: float, m: float
) -> None:
    answer = P_VALUES[method](np.array(reference, float), np.array(current, float), n, m)
    assert isinstance(answer, NotEnoughData)
    assert (answer.have, answer.need) == (1.0, 2.0)


@pytest.mark.parametrize("method", P_VALUES)
def test_all_mass_in_another_cell_is_no_noise(method: str) -> None:
    value = P_VALUES[method](np.array([100.0, 0.0]), np.array([0.0, 100.0]), 100, 100)
    assert isinstance(value, float)
    assert value < 1e-20


@pytest.mark.parametrize("method", P_VALUES)
def test_huge_weights_on_few_effective_rows_give_the_answer_of_those_rows(method: str) -> None:
    r, c = np.array([30.0, 20.0]), np.array([20.0, 30.0])
    plain = P_VALUES[method](r, c, 50, 50)
    assert isinstance(plain, float)
    assert P_VALUES[method](r * 1e298, c * 1e298, 50, 50) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("method", P_VALUES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_counts_and_effective_rows_that_are_none_are_refused(method: str, bad: float) -> None:
    good = np.array([5.0, 5.0])
    with pytest.raises(ValueError, match="finite number"):
        P_VALUES[method](np.array([bad, 5.0]), good, 10, 10)
    with pytest.raises(ValueError, match="effective rows"):
        P_VALUES[method](good, good, bad, 10)
    with pytest.raises(ValueError, match="same"):
        P_VALUES[method](good, np.array([1.0, 2.0, 3.0]), 10, 6)


@pytest.mark.parametrize(("sum_w", "sum_w2"), [(0, 0), (math.inf, math.inf), (1e300, math.inf), (1e-200, 0.0)])
def test_sums_that_hold_no_size_count_as_no_rows(sum_w: float, sum_w2: float) -> None:
    assert significance.effective_sample_size(sum_w, sum_w2) == 0.0


@pytest.mark.parametrize(("sum_w", "sum_w2"), [(math.nan, 1), (1, math.nan), (-1, 1), (1, -1)])
def test_sums_that_are_no_weights_are_refused(sum_w: float, sum_w2: float) -> None:
    with pytest.raises(ValueError, match="sums of weights"):
        significance.effective_sample_size(sum_w, sum_w2)


@pytest.mark.parametrize("method", P_VALUES)
def test_many_tables_at_once_give_what_each_gives_alone(method: str) -> None:
    rng = np.random.default_rng(11)
    r, c = rng.poisson(rng.uniform(0, 30, (2, 60, 12))) * (rng.uniform(size=(60, 1)) > 0.1)
    n, m = r.sum(axis=1) * 0.8, c.sum(axis=1) * rng.integers(0, 2, 60)
    at_once = significance.each_pvalue(method, r, c, n, m)
    alone = [P_VALUES[method](*pair) for pair in zip(r, c, n, m, strict=True)]
    assert at_once.tolist() == pytest.approx([p if isinstance(p, float) else math.nan for p in alone], nan_ok=True)
    assert 10 < np.isnan(at_once).sum() < 50
