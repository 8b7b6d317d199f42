"""Calibrated thresholds: exact laws where they are known, small simulations where they are not, and the edges."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats as scipy_stats
from scipy.special import ndtr

from exporter.stats import spread as spreads_module
from exporter.stats import tolerance
from exporter.stats.distances import each
from exporter.stats.result import NotEnoughData
from exporter.stats.spread import Spread, coordinates, moderated, spread, window_counts
from exporter.stats.tolerance import threshold

Floats = NDArray[np.float64]
Means = Callable[[np.random.Generator, int], Floats]

PARTS = 6  # buckets in a day
DAYS = 30
EDGES = scipy_stats.norm.ppf(np.arange(1, 10) / 10)


def _buckets(rng: np.random.Generator, means: Floats, rows: int | NDArray[np.int64] = 100) -> Floats:
    """Counts of ten cells for buckets of unit-variance normal rows about the given means."""
    shares = np.diff(ndtr(EDGES - means[:, None]), axis=1, prepend=0, append=1)
    return rng.multinomial(rows, shares).astype(np.float64)


def _still(_: np.random.Generator, buckets: int) -> Floats:
    return np.zeros(buckets)


def _wandering(rng: np.random.Generator, buckets: int) -> Floats:
    """Bucket means that move together with their neighbours, by up to half a standard deviation."""
    steps = rng.normal(size=buckets + 50) * rng.uniform(0.1, 0.5)
    return np.convolve(steps, 0.6 ** np.arange(20), mode="full")[50 : 50 + buckets]


def _seasonal(rng: np.random.Generator, buckets: int) -> Floats:
    at = np.arange(buckets)
    return 0.4 * np.sin(2 * np.pi * at / PARTS) + 0.3 * rng.normal(size=7)[at // PARTS % 7]


def _known(strays: Floats, **changes: object) -> Spread:
    """A spread of given eigenvalues, about nothing but the reference's own mean."""
    powers = np.array([[(strays**power).sum() for power in (1, 2, 3)]])
    whole = Spread(
        degrees=len(strays),
        rows=1000.0,
        windows=29.0,
        freedom=29.0,
        strays=powers,
        usual=np.zeros((1, 3)),
        seen=np.array([30.0]),
        season=0.0,
        aligned=1.0,
        overlapping=29.0,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # fields by name


# Oracles


@given(
    st.lists(st.integers(0, 50), min_size=4, max_size=4),
    st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4), min_size=1, max_size=5),
)
def test_squared_coordinates_sum_to_the_psi(reference: list[int], windows: list[list[int]]) -> None:
    psi = each("psi", np.broadcast_to(reference, np.shape(windows)), windows)
    squares = (coordinates(reference, windows) ** 2).sum(axis=1)
    filled = ~np.isnan(psi)
    np.testing.assert_allclose(squares[filled], psi[filled], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("degrees", [1, 4, 9])
def test_of_equal_strays_the_threshold_is_an_f_quantile(degrees: int) -> None:
    known = _known(np.full(degrees, 0.01))
    expected = 0.01 * degrees * (1 + 1 / 30) * scipy_stats.f.isf(1 / 1500, degrees, 29 * degrees)
    assert threshold(known, 1 / 1500) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("strays", [[1.0, 0.1, 0.1, 0.1, 0.1], [1.0, 0.5, 0.2], [3.0, 2.0, 1.0, 1.0]])
def test_of_unequal_strays_it_is_near_the_simulated_quantile(strays: list[float]) -> None:
    certain = _known(np.array(strays), freedom=1e9, windows=1e9, seen=np.array([1e9]))
    sums = np.random.default_rng(0).chisquare(1, size=(1_000_000, len(strays))) @ np.array(strays)
    assert threshold(certain, 1e-3) == pytest.approx(np.quantile(sums, 1 - 1e-3), rel=0.03)


@pytest.mark.parametrize("away", [0.5, 3.0, 30.0])
def test_about_a_usual_place_it_is_near_the_noncentral_quantile(away: float) -> None:
    certain = _known(np.ones(9), freedom=1e9, windows=1e9, seen=np.array([1e9]))
    moved = replace(certain, usual=np.full((1, 3), away), season=1.0)
    assert threshold(moved, 1e-3) == pytest.approx(scipy_stats.ncx2.isf(1e-3, 9, away), rel=0.02)


def test_sums_of_powers_are_unbiased() -> None:
    true = np.diag([4.0, 2.0, 1.0, 1.0, 0.5])
    drawn = scipy_stats.wishart.rvs(12, true / 12, size=40_000, random_state=np.random.default_rng(1))
    expected = [np.trace(np.linalg.matrix_power(true, power)) for power in (1, 2, 3)]
    np.testing.assert_allclose(spreads_module._power_sums(drawn, 12.0).mean(axis=0), expected, rtol=0.02)


def test_slopes_are_the_derivative_of_the_coordinate() -> None:
    p, q, step = 0.2, np.array([0.02, 0.1, 0.19999, 0.3, 0.9]), 1e-7

    def coordinate(share: Floats) -> Floats:
        return np.asarray(np.sign(share - p) * np.sqrt((share - p) * np.log(share / p)))

    slopes = (coordinate(q + step) - coordinate(q - step)) / (2 * np.sqrt(q + step) - 2 * np.sqrt(q - step))
    np.testing.assert_allclose(spreads_module._slopes(np.full(5, p), q), slopes, rtol=1e-3)


def test_the_mean_stray_of_independent_rows_is_that_of_the_multinomial_law() -> None:
    known = spread(_buckets(np.random.default_rng(2), np.zeros(200 * PARTS)), PARTS)
    assert isinstance(known, Spread)
    assert known.rows == pytest.approx(600)
    assert known.design_effect == pytest.approx(1.0, abs=0.1)


# The budget


@pytest.mark.thorough
@pytest.mark.parametrize("means", [_still, _wandering, _seasonal])
def test_stationary_features_stay_near_the_budget_of_false_alarms(means: Means) -> None:
    rng = np.random.default_rng(3)
    days, features, per_day = 200, 20, 0.2
    streams = [_buckets(rng, means(rng, (DAYS + days) * PARTS)) for _ in range(features)]
    references = [stream[: DAYS * PARTS] for stream in streams]
    limits = tolerance.drift_thresholds(references, PARTS, 7, evaluations_per_month=30, false_alarms_per_month=6)
    alarms = 0
    for stream, limit in zip(streams, limits, strict=True):
        assert isinstance(limit, float)
        # Day 30 stands at place 2 of the week that the reference began with; the mixture holds over whole weeks.
        windows = window_counts(stream, PARTS)[DAYS:]
        reference = stream[: DAYS * PARTS].sum(axis=0)
        alarms += int((each("psi", np.broadcast_to(reference, windows.shape), windows) > limit).sum())
    assert 0.4 < alarms / (per_day * days) < 2


def test_a_shift_of_a_third_of_a_deviation_is_found_at_once() -> None:
    rng = np.random.default_rng(4)
    references = [_buckets(rng, np.zeros(DAYS * PARTS), 400) for _ in range(50)]
    limits = tolerance.drift_thresholds(references, PARTS, 7, evaluations_per_month=30)
    shifted = _buckets(rng, np.full(50, 0.3), 2400)
    scores = each("psi", [reference.sum(axis=0) for reference in references], shifted)
    assert all(isinstance(limit, float) and score > limit for score, limit in zip(scores, limits, strict=True))


def test_a_window_of_few_rows_gets_the_threshold_of_few_rows() -> None:
    rng = np.random.default_rng(5)
    known = spread(_buckets(rng, np.zeros(100 * PARTS)), PARTS)
    assert isinstance(known, Spread)
    assert threshold(known, 1e-3, known.rows) == pytest.approx(threshold(known, 1e-3))
    for rows in (200, 1200):
        assert threshold(known, 1e-3, rows) * rows == pytest.approx(threshold(known, 1e-3) * 600, rel=0.2)


def test_days_of_unequal_rows_keep_the_budget_at_their_own_rows() -> None:
    rng = np.random.default_rng(6)
    rows = np.repeat(np.where(np.arange(DAYS + 200) % 7 < 5, 120, 40), PARTS)
    streams = [_buckets(rng, np.zeros(len(rows)), rows) for _ in range(10)]
    spreads = moderated([spread(stream[: DAYS * PARTS], PARTS, 7) for stream in streams])
    passed: dict[float, list[bool]] = {720: [], 240: []}
    for stream, known in zip(streams, spreads, strict=True):
        assert isinstance(known, Spread)
        windows, reference = window_counts(stream, PARTS)[DAYS:], stream[: DAYS * PARTS].sum(axis=0)
        scores = each("psi", np.broadcast_to(reference, windows.shape), windows)
        for size, found in passed.items():
            found += list(scores[windows.sum(axis=1) == size] > threshold(known, 0.05, size))
    for found in passed.values():
        assert 0.4 < np.mean(found) / 0.05 < 1.8


def test_exceedance_undoes_threshold() -> None:
    known = _known(np.array([0.02, 0.01]))
    for rows in (None, 200.0, 5000.0):
        assert tolerance.exceedance(known, threshold(known, 0.01, rows), rows) == pytest.approx(0.01, rel=1e-3)


def test_rarer_alarms_need_higher_thresholds() -> None:
    known = _known(np.array([0.02, 0.01]))
    limits = [threshold(known, probability) for probability in (0.5, 0.1, 0.01, 1e-4)]
    assert limits == sorted(limits)


# Features together


def _spreads(rng: np.random.Generator, means: Means, features: int = 30) -> list[Spread | NotEnoughData]:
    return [spread(_buckets(rng, means(rng, DAYS * PARTS)), PARTS, 7) for _ in range(features)]


def _effects(spreads: list[Spread | NotEnoughData]) -> Floats:
    return np.array([item.design_effect for item in spreads if isinstance(item, Spread)])


def test_features_of_one_kind_are_better_known_together() -> None:
    alone = _spreads(np.random.default_rng(7), _still)
    together = moderated(alone)
    assert np.abs(_effects(together) - 1).max() < np.abs(_effects(alone) - 1).max() / 3


def test_features_that_differ_keep_their_own_design_effects() -> None:
    alone = _spreads(np.random.default_rng(8), _wandering)
    assert _effects(alone).max() > 3 * _effects(alone).min()
    np.testing.assert_allclose(_effects(moderated(alone)), _effects(alone), rtol=0.2)


def test_a_feature_without_a_spread_does_not_hide_the_others() -> None:
    rng = np.random.default_rng(9)
    constant = np.full((DAYS * PARTS, 1), 100.0)
    features = [_buckets(rng, np.zeros(DAYS * PARTS)), constant, *(_buckets(rng, np.zeros(180)) for _ in range(3))]
    first, second, *others = tolerance.drift_thresholds(features, PARTS, 7, evaluations_per_month=30)
    assert isinstance(second, NotEnoughData)
    assert all(isinstance(limit, float) and 0 < limit < 0.1 for limit in (first, *others))


def _daily(rng: np.random.Generator, buckets: int) -> Floats:
    """A level for each day, which windows that begin within the day would average away."""
    return np.repeat(0.3 * rng.normal(size=buckets // PARTS), PARTS)


def test_days_with_levels_of_their_own_are_told_by_aligned_windows() -> None:
    for means, expected in ((_daily, 1.3), (_wandering, 1.0)):
        known = [item for item in moderated(_spreads(np.random.default_rng(16), means)) if isinstance(item, Spread)]
        assert np.mean([item.aligned for item in known]) == pytest.approx(expected, abs=0.15)
        assert np.mean([item.windows for item in known]) > DAYS - 7  # alike, so overlapping windows count after all


# The assumption


@pytest.mark.thorough
@pytest.mark.parametrize("means", [_still, _wandering, _seasonal])
def test_held_out_windows_of_stationary_features_pass_as_often_as_expected(means: Means) -> None:
    rng = np.random.default_rng(10)
    features = [_buckets(rng, means(rng, DAYS * PARTS)) for _ in range(15)]
    found = tolerance.held_out(features, PARTS, 7)
    assert found.windows == 15 * 4 * 7
    assert 0.4 < found.above / found.expected < 1.8


def test_held_out_windows_of_a_drifting_reference_pass_too_often() -> None:
    rng = np.random.default_rng(11)
    drifting = [_buckets(rng, np.linspace(0, 1, DAYS * PARTS)) for _ in range(10)]
    found = tolerance.held_out(drifting, PARTS, 7)
    assert found.above > 2 * found.expected


# Edges


@pytest.mark.parametrize("days", [0, 1, 13])
def test_less_than_two_weeks_of_days_are_too_few(days: int) -> None:
    known = spread(_buckets(np.random.default_rng(12), np.zeros(days * PARTS)).reshape(-1, 10), PARTS, 7)
    assert isinstance(known, NotEnoughData)
    assert (known.have, known.need) == (days, 14)


def test_two_weeks_are_enough_and_cautious() -> None:
    rng = np.random.default_rng(13)
    short, long = (spread(_buckets(rng, np.zeros(days * PARTS)), PARTS, 7) for days in (14, 300))
    assert isinstance(short, Spread)
    assert isinstance(long, Spread)
    assert threshold(short, 1 / 1500) > threshold(long, 1 / 1500)


@pytest.mark.parametrize("cells", [[5.0, 5.0], [5.0, 0.0], [5.0]])
def test_windows_that_do_not_differ_tell_nothing(cells: list[float]) -> None:
    assert isinstance(spread(np.tile(cells, (30, 1)), 1), NotEnoughData)


def test_windows_cut_by_an_outage_are_left_out_and_the_others_keep_their_place() -> None:
    rng = np.random.default_rng(14)
    buckets = _buckets(rng, _seasonal(rng, 60 * PARTS), 1000)
    holed = buckets.copy()
    holed[PARTS * 10 + 2 : PARTS * 12] = 0
    moved_up = np.delete(buckets, slice(PARTS * 10, PARTS * 12), axis=0)
    whole, rest, shifted = (_effects([spread(counts, PARTS, 7)])[0] for counts in (buckets, holed, moved_up))
    assert rest == pytest.approx(whole, rel=0.2)
    assert shifted > 2 * whole


def test_a_window_of_one_bucket_and_many_rare_categories_have_a_threshold() -> None:
    rng = np.random.default_rng(15)
    features = [rng.multinomial(1000, np.full(200, 1 / 200), size=40).astype(float) for _ in range(4)]
    for known in moderated([spread(counts, 1) for counts in features]):
        assert isinstance(known, Spread)
        assert 0.2 < threshold(known, 1e-3) < 0.5  # 199 degrees at 1,000 rows: the index reads 0.2 without drift


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, float("nan")])
def test_a_probability_outside_0_to_1_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold(_known(np.ones(2)), probability)


@pytest.mark.parametrize("rows", [0.0, -1.0, float("inf"), float("nan")])
def test_rows_that_are_no_number_above_0_are_refused(rows: float) -> None:
    with pytest.raises(ValueError, match="rows"):
        threshold(_known(np.ones(2)), 0.01, rows)


@pytest.mark.parametrize(("alarms", "evaluations", "features"), [(0, 30, 1), (1, 0, 1), (1, 30, 0), (30, 30, 1)])
def test_a_budget_that_makes_no_probability_is_refused(alarms: float, evaluations: float, features: int) -> None:
    with pytest.raises(ValueError, match="false alarms"):
        tolerance.alarm_probability(alarms, evaluations, features)


@pytest.mark.parametrize(("counts", "width"), [([1.0, 2.0], 1), ([[1.0]], 0)])
def test_counts_and_widths_of_another_form_are_refused(counts: list[float], width: int) -> None:
    with pytest.raises(ValueError, match="shape"):
        window_counts(counts, width)
    with pytest.raises(ValueError, match="shape"):
        spread(counts, width)
