"""AUC on cells against the rank statistic, its error bound, and the interval's level."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from exporter.stats.auc import auc, auc_error_bound, delong_interval, hanley_mcneil_interval
from exporter.stats.result import Interval, NotEnoughData

Floats = NDArray[np.float64]


@st.composite
def tables(draw: st.DrawFn) -> tuple[Floats, Floats]:
    cells = draw(st.integers(1, 20))
    counts = st.lists(st.one_of(st.just(0.0), st.floats(0.01, 1e4)), min_size=cells, max_size=cells)
    positive, negative = np.array(draw(counts)), np.array(draw(counts))
    assume(positive.any() and negative.any())
    return positive, negative


@pytest.mark.parametrize("seed", range(20))
def test_auc_is_the_share_of_ordered_pairs_and_scikit_learns_on_weighted_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells, labels, weights = rng.integers(0, 8, 200), rng.integers(0, 2, 200), rng.choice([1.0, 10.0], 200)
    positive = np.bincount(cells[labels == 1], weights[labels == 1], 8)
    negative = np.bincount(cells[labels == 0], weights[labels == 0], 8)
    ordered = sum(
        positive[i] * negative[j] * (1.0 if j < i else 0.5 if j == i else 0.0) for i in range(8) for j in range(8)
    )
    assert auc(positive, negative) == pytest.approx(ordered / positive.sum() / negative.sum(), rel=1e-9)
    assert auc(positive, negative) == pytest.approx(roc_auc_score(labels, cells, sample_weight=weights), rel=1e-9)


@given(tables())
def test_swapping_the_classes_or_the_order_of_scores_mirrors_the_auc(table: tuple[Floats, Floats]) -> None:
    positive, negative = table
    area = auc(positive, negative)
    assert isinstance(area, float)
    assert 0 <= area <= 1
    assert auc(negative, positive) == pytest.approx(1 - area, abs=1e-9)
    assert auc(positive[::-1], negative[::-1]) == pytest.approx(1 - area, abs=1e-9)


@given(tables(), st.floats(1e-3, 1e3))
def test_the_auc_does_not_depend_on_the_classes_weights(table: tuple[Floats, Floats], factor: float) -> None:
    positive, negative = table
    assert auc(positive * factor, negative) == pytest.approx(auc(positive, negative), abs=1e-9)


@given(tables())
def test_coarser_cells_differ_from_finer_ones_by_no_more_than_their_bound(table: tuple[Floats, Floats]) -> None:
    positive, negative = table
    starts = np.arange(0, len(positive), 4)
    coarse = np.add.reduceat(positive, starts), np.add.reduceat(negative, starts)
    bound, exact = auc_error_bound(*coarse), auc(positive, negative)
    assert isinstance(bound, float)
    assert auc(*coarse) == pytest.approx(exact, abs=bound + 1e-9)


def test_the_bound_is_reached_when_a_cell_hides_perfectly_ordered_pairs() -> None:
    assert auc([0, 1], [1, 0]) == 1.0
    assert auc([1], [1]) == 0.5
    assert auc_error_bound([1], [1]) == 0.5


def test_a_distribution_against_itself_is_chance() -> None:
    counts = np.random.default_rng(2).integers(0, 50, 30)
    assert auc(counts, counts) == pytest.approx(0.5, abs=1e-12)


def _drawn(rng: np.random.Generator, n: int, m: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of n positives N(1, 1) and m negatives N(0, 1), whose AUC is TRUTH."""
    edges = np.linspace(-4, 6, 400)
    return np.histogram(rng.normal(1, 1, n), edges)[0], np.histogram(rng.normal(0, 1, m), edges)[0]


TRUTH = 0.5 * (1 + math.erf(1 / 2))  # P(N(1, 1) > N(0, 1)) = Phi(1 / sqrt 2)


@pytest.mark.parametrize(("n", "m"), [(100, 100), (400, 400), (60, 3_000), (3_000, 60)])
def test_delongs_interval_covers_the_truth_nineteen_times_in_twenty_rare_class_or_not(n: int, m: int) -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(600):
        interval = delong_interval(*_drawn(rng, n, m), n, m)
        assert isinstance(interval, Interval)
        hits += interval.lower <= TRUTH <= interval.upper
    assert hits / 600 == pytest.approx(0.95, abs=0.027)  # three standard errors of 600 runs


def test_hanley_and_mcneils_interval_covers_it_too_when_the_classes_are_even() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(600):
        area = auc(*_drawn(rng, 200, 200))
        assert isinstance(area, float)
        interval = hanley_mcneil_interval(area, 200, 200)
        assert isinstance(interval, Interval)
        hits += interval.lower <= TRUTH <= interval.upper
    assert hits / 600 == pytest.approx(0.95, abs=0.027)


@pytest.mark.parametrize("seed", range(5))
def test_delongs_variance_is_that_of_the_placements_of_single_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    up, down = rng.integers(0, 6, 40), rng.integers(0, 5, 90)
    wins = np.array([[1.0 if u > d else 0.5 if u == d else 0.0 for d in down] for u in up])
    variance = wins.mean(axis=1).var(ddof=1) / 40 + wins.mean(axis=0).var(ddof=1) / 90
    half = 1.959963984540054 * math.sqrt(variance)
    ours = delong_interval(np.bincount(up, minlength=6), np.bincount(down, minlength=6), 40, 90)
    assert ours == pytest.approx((wins.mean() - half, wins.mean() + half), abs=1e-9)


@given(tables(), st.floats(1, 1e6), st.floats(1, 1e6))
def test_delongs_interval_holds_the_area_stays_inside_0_and_1_and_has_width(
    table: tuple[Floats, Floats], n: float, m: float
) -> None:
    area, interval = auc(*table), delong_interval(*table, n, m)
    assert isinstance(area, float)
    assert isinstance(interval, Interval)
    assert 0 <= interval.lower <= area <= interval.upper <= 1
    assert interval.upper > interval.lower


def test_the_interval_follows_the_published_formula_with_unequal_classes() -> None:
    q1, q2 = 0.8 / 1.2, 2 * 0.64 / 1.8
    variance = (0.8 * 0.2 + 29 * (q1 - 0.64) + 999 * (q2 - 0.64)) / 30_000
    half = 1.959963984540054 * math.sqrt(variance)
    assert hanley_mcneil_interval(0.8, 30, 1_000) == pytest.approx((0.8 - half, 0.8 + half), abs=1e-12)


@given(st.floats(0, 1), st.floats(1, 1e6), st.floats(1, 1e6))
def test_the_interval_holds_the_area_stays_inside_0_and_1_and_has_width(area: float, n: float, m: float) -> None:
    interval = hanley_mcneil_interval(area, n, m)
    assert isinstance(interval, Interval)
    assert 0 <= interval.lower <= area <= interval.upper <= 1
    assert interval.upper > interval.lower


def test_few_rows_in_perfect_order_do_not_claim_certainty() -> None:
    for interval in (hanley_mcneil_interval(1.0, 3, 3), delong_interval([0, 3], [3, 0], 3, 3)):
        assert isinstance(interval, Interval)
        assert interval.lower < 0.8


@pytest.mark.parametrize(
    ("positive", "negative", "why"),
    [
        ([], [], "no positive labels"),
        ([0, 0], [1, 2], "no positive labels"),
        ([1, 2], [0, 0], "no negative labels"),
    ],
)
def test_one_class_has_no_auc(positive: list[float], negative: list[float], why: str) -> None:
    assert auc(positive, negative) == NotEnoughData(0.0, 1.0, why)
    assert auc_error_bound(positive, negative) == NotEnoughData(0.0, 1.0, why)
    assert delong_interval(positive, negative, 5, 5) == NotEnoughData(0.0, 1.0, why)


def test_less_than_one_effective_row_of_a_class_has_no_interval() -> None:
    assert hanley_mcneil_interval(0.7, 0.5, 9) == NotEnoughData(0.5, 1.0, "fewer than one effective positive label")
    assert delong_interval([1, 2], [2, 1], 0.5, 9) == hanley_mcneil_interval(0.7, 0.5, 9)
    assert hanley_mcneil_interval(0.7, 9, 0) == NotEnoughData(0, 1.0, "fewer than one effective negative label")


def test_huge_weights_do_not_overflow() -> None:
    assert auc([0, 1e300, 1e300], [1e300, 1e300, 0]) == 0.875


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_what_is_no_count_area_or_number_of_rows_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        auc([bad], [1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        hanley_mcneil_interval(bad, 5, 5)
    with pytest.raises(ValueError, match="effective rows"):
        hanley_mcneil_interval(0.5, 5, bad)
    with pytest.raises(ValueError, match="effective rows"):
        delong_interval([1, 2], [2, 1], bad, 5)
    with pytest.raises(ValueError, match="same cells"):
        auc([1, 2], [1])
