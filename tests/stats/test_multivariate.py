"""Correlations and reconstruction error against numpy and scikit-learn on the raw rows; laws; significance."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from exporter.stats import multivariate
from exporter.stats.multivariate import Moments
from exporter.stats.result import NotEnoughData, Value

Floats = NDArray[np.float64]


def moments(rows: Floats, weights: Floats | None = None) -> Moments:
    """Of standardised rows, NaN for missing."""
    w = np.ones(len(rows)) if weights is None else weights
    present = np.isfinite(rows).astype(float)
    z = np.where(present == 1, rows, 0.0)
    return Moments(float(w.sum()), w @ z, z.T @ (w[:, None] * z), present.T @ (w[:, None] * present))


def added(one: Moments, other: Moments) -> Moments:
    return Moments(
        one.weight + other.weight,
        one.sums + other.sums,
        one.products + other.products,
        one.pairs + other.pairs,
    )


def mixed(rng: np.random.Generator, rows: int, mixing: Floats) -> Floats:
    return rng.normal(size=(rows, len(mixing))) @ mixing


def standardised(reference: Floats, *others: Floats) -> list[Floats]:
    mean, deviation = reference.mean(axis=0), reference.std(axis=0)
    return [(rows - mean) / deviation for rows in (reference, *others)]


def number(value: Value) -> float:
    assert isinstance(value, float)
    return value


EVERY = np.ones((1, 1), dtype=bool)  # broadcast over all pairs


def smallest_pvalues(reference: Moments, current: Moments, n_ref: float, n_cur: float) -> list[float]:
    """Each feature's smallest p-value, times the number of its pairs; NaN without any."""
    pvalues = multivariate.change_pvalues(reference, current, n_ref, n_cur)
    tests = np.isfinite(pvalues).sum(axis=1)
    smallest = np.where(np.isfinite(pvalues), pvalues, 1.0).min(axis=1, initial=1.0)
    corrected: list[float] = np.where(tests > 0, np.minimum(smallest * tests, 1.0), np.nan).tolist()
    return corrected


# Correlation


@pytest.mark.parametrize("seed", range(5))
def test_correlations_of_weighted_complete_rows_are_numpys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, weights = mixed(rng, 300, rng.normal(size=(5, 5))) + 0.5, rng.choice([1, 10], 300)
    covariance = np.cov(rows.T, aweights=weights)
    oracle = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(multivariate.correlation(moments(rows, weights)), oracle, atol=1e-9)


def test_values_missing_at_random_hardly_move_correlations() -> None:
    rng = np.random.default_rng(1)
    rows = mixed(rng, 50_000, np.array([[1.0, 0.8], [0.0, 0.6]]))
    holed = np.where(rng.random(rows.shape) < 0.3, np.nan, rows)
    full, partial = (multivariate.correlation(moments(r))[0, 1] for r in (rows, holed))
    assert full == pytest.approx(0.8, abs=0.01)
    assert partial == pytest.approx(full, abs=0.02)


matrices = st.integers(0, 1_000).map(np.random.default_rng).map(lambda rng: rng.normal(size=(12, 4)).round(1))


@given(matrices, st.integers(0, 12), st.sampled_from([1e-6, 1.0, 1e6]))
def test_moments_add_and_their_unit_and_split_change_no_correlation(rows: Floats, split: int, factor: float) -> None:
    whole = multivariate.correlation(moments(rows))
    parts = added(moments(rows[:split]), moments(rows[split:]))
    np.testing.assert_allclose(multivariate.correlation(parts), whole, atol=1e-9)
    np.testing.assert_allclose(multivariate.correlation(moments(rows, np.full(12, factor))), whole, atol=1e-9)
    assert (np.abs(whole) <= 1).all()
    np.testing.assert_allclose(whole, whole.T, atol=1e-12)


def test_constant_features_and_pairs_never_held_have_no_correlation() -> None:
    gap = math.nan
    rows = np.array([[1, 5, 1, gap], [2, 5, gap, 1], [3, 5, gap, 2], [4, 5, 2, gap]], float)
    found = multivariate.correlation(moments(rows))
    assert np.isnan(found[1]).all()
    assert np.isnan(found[2, 3])
    assert np.diag(found)[[0, 2, 3]].tolist() == [1, 1, 1]
    assert np.isfinite(found[0, 2])


def test_a_variance_that_drowned_in_rounding_is_unknown_not_noise() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(100, 2)) + np.array([1e9, 0])
    assert np.isnan(multivariate.correlation(moments(rows))[0, 1])


def test_a_correlation_out_of_range_through_missing_values_is_put_back_on_its_end() -> None:
    gap = math.nan
    rows = np.array([[3, 3], [-3, -3], [0, gap], [0, gap], [gap, 0], [gap, 0]])
    assert multivariate.correlation(moments(rows))[0, 1] == 1.0


# Correlation change


def test_the_pair_that_changed_is_named_by_both_its_features() -> None:
    rng = np.random.default_rng(3)
    before, after = np.eye(4), np.eye(4)
    before[:2, :2], after[:2, :2] = [[1, 0.8], [0, 0.6]], [[1, -0.8], [0, 0.6]]
    sides = moments(mixed(rng, 20_000, before)), moments(mixed(rng, 2_000, after))
    change = multivariate.correlation_change(*sides, EVERY)
    assert [round(number(value), 1) for value in change[:2]] == [1.6, 1.6]
    assert max(number(value) for value in change[2:]) < 0.15
    pvalues = smallest_pvalues(*sides, 20_000, 2_000)
    assert max(pvalues[:2]) < 1e-12
    assert min(pvalues[2:]) > 1e-3


@pytest.mark.parametrize("window", [20, 300])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_small_windows_without_drift_stay_quiet_though_their_correlations_move(window: int, missing: float) -> None:
    rng = np.random.default_rng(4)
    mixing = rng.normal(size=(6, 6))
    reference = moments(mixed(rng, 20_000, mixing))
    rejected, changes = 0, []
    for _ in range(200):
        rows = mixed(rng, window, mixing)
        current = moments(np.where(rng.random(rows.shape) < missing, np.nan, rows))
        changes.append(max(number(value) for value in multivariate.correlation_change(reference, current, EVERY)))
        rejected += smallest_pvalues(reference, current, 20_000, window)[0] < 0.05
    assert np.mean(changes) > 1 / math.sqrt(window)
    assert rejected / 200 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_a_correlation_that_changed_is_found_behind_missing_values() -> None:
    rng = np.random.default_rng(9)
    before, after = np.array([[1, 0.8], [0, 0.6]]), np.array([[1, 0.5], [0, 0.75**0.5]])
    reference, rows = mixed(rng, 20_000, before), mixed(rng, 1_000, after)
    holed = np.where(rng.random(rows.shape) < 0.3, np.nan, rows)
    assert max(smallest_pvalues(moments(reference), moments(holed), 20_000, 1_000)) < 1e-3


def test_correlations_of_one_do_not_move_and_moving_from_one_is_certain() -> None:
    same, apart = [[9.0, 9.0], [9.0, 9.0]], [[9.0, 0.0], [0.0, 9.0]]
    full = [[9.0, 9.0], [9.0, 9.0]]
    one, none = Moments.of(9, [0, 0], same, full), Moments.of(9, [0, 0], apart, full)
    assert smallest_pvalues(one, one, 9, 9) == [1.0, 1.0]
    assert smallest_pvalues(one, none, 9, 9) == [0.0, 0.0]


@pytest.mark.parametrize("features", [0, 1])
def test_without_a_second_feature_nothing_correlates(features: int) -> None:
    side = moments(np.ones((5, features)))
    assert [type(v) for v in multivariate.correlation_change(side, side, EVERY)] == [NotEnoughData] * features
    assert np.isnan(smallest_pvalues(side, side, 5, 5)).all()


def test_of_no_rows_or_too_few_nothing_is_told() -> None:
    rng = np.random.default_rng(5)
    reference, none, few = (
        moments(rng.normal(size=(50, 3))),
        moments(np.empty((0, 3))),
        moments(rng.normal(size=(3, 3))),
    )
    assert all(isinstance(v, NotEnoughData) for v in multivariate.correlation_change(reference, none, EVERY))
    for current, rows in ((none, 0), (few, 3)):
        assert np.isnan(multivariate.change_pvalues(reference, current, 50, rows)).all()


# Reconstruction


@pytest.mark.parametrize("seed", range(5))
def test_the_reconstruction_error_is_scikit_learns_on_the_raw_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(6, 6))
    reference, current = standardised(mixed(rng, 2_000, mixing), mixed(rng, 300, mixing + rng.normal(size=(6, 6)) / 4))
    pca = PCA(n_components=0.65, svd_solver="full").fit(reference)
    errors = [
        float(((rows - pca.inverse_transform(pca.transform(rows))) ** 2).sum(axis=1).mean())
        for rows in (reference, current)
    ]
    sides = moments(reference), moments(current)
    components = multivariate.principal_components(sides[0].means)
    assert components.shape == (6, pca.n_components_)
    assert multivariate.reconstruction_error(sides[1].means, components) == pytest.approx(errors[1], rel=1e-9)
    assert multivariate.multivariate_drift(*sides) == pytest.approx(errors[1] / errors[0] - 1, rel=1e-6)


def test_a_relation_that_broke_shows_though_no_single_feature_changed() -> None:
    rng = np.random.default_rng(6)
    together = rng.normal(size=(20_000, 1)) + 0.3 * rng.normal(size=(20_000, 3))
    reference, same = standardised(together[:10_000], together[10_000:])
    broken = np.column_stack([same[:, 0], rng.permutation(same[:, 1]), same[:, 2]])
    side = moments(reference)
    assert multivariate.multivariate_drift(side, moments(same)) == pytest.approx(0, abs=0.05)
    assert number(multivariate.multivariate_drift(side, moments(broken))) > 2


def test_missing_values_and_features_do_not_read_as_drift() -> None:
    rng = np.random.default_rng(7)
    mixing = rng.normal(size=(5, 5))
    reference, current = standardised(mixed(rng, 20_000, mixing), mixed(rng, 20_000, mixing))
    holed = np.where(rng.random(current.shape) < 0.3, np.nan, current)
    gone = current.copy()
    gone[:, 2] = np.nan
    for rows in (current, holed, gone):
        assert multivariate.multivariate_drift(moments(reference), moments(rows)) == pytest.approx(0, abs=0.05)


@given(matrices, matrices, st.floats(0.05, 0.95))
def test_the_drift_score_is_never_below_minus_one_and_nought_against_itself(
    one: Floats, other: Floats, explained: float
) -> None:
    reference, current = moments(one), moments(other)
    itself = multivariate.multivariate_drift(reference, reference, explained)
    if isinstance(itself, NotEnoughData):
        return
    assert itself == 0.0
    assert number(multivariate.multivariate_drift(reference, current, explained)) >= -1


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        (np.empty((0, 2)), np.ones((3, 2))),
        (np.ones((3, 2)), np.empty((0, 2))),
        (np.zeros((3, 2)), np.ones((3, 2))),  # a constant reference
        (np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]])),  # one feature: one component keeps all of it
        (np.array([[1.0, 1.0], [2.0, 2.0]]), np.ones((3, 2))),  # two that are one
        (np.empty((0, 0)), np.empty((0, 0))),
    ],
)
def test_where_the_reference_leaves_no_error_there_is_no_score(reference: Floats, current: Floats) -> None:
    assert isinstance(multivariate.multivariate_drift(moments(reference), moments(current)), NotEnoughData)


def test_huge_values_give_a_score_or_none_but_no_crash() -> None:
    reference = moments(np.random.default_rng(8).normal(size=(50, 3)))
    full = np.ones((3, 3))
    huge = Moments(1.0, np.full(3, 1e150), np.full((3, 3), 1e299), full)
    assert number(multivariate.multivariate_drift(reference, huge)) > 1e200
    tiny = Moments(1e-300, np.zeros(3), np.full((3, 3), 1e300), full * 1e-300)
    assert isinstance(multivariate.multivariate_drift(reference, tiny), NotEnoughData)
    assert all(isinstance(v, NotEnoughData) for v in multivariate.correlation_change(reference, tiny, EVERY))


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e301])
def test_moments_that_are_no_numbers_are_refused(bad: float) -> None:
    good: dict[str, Any] = {"weight": 1, "sums": [0, 0], "products": np.eye(2), "pairs": np.eye(2)}
    for name, values in good.items():
        spoilt = np.array(values, float)
        spoilt.flat[0] = bad
        with pytest.raises(ValueError, match="finite numbers"):
            Moments.of(**{**good, name: spoilt})


def test_bad_shapes_weights_and_settings_are_refused() -> None:
    side = moments(np.eye(2))
    with pytest.raises(ValueError, match="2 x 2"):
        Moments.of(1, [0, 0], np.eye(3), np.eye(2))
    with pytest.raises(ValueError, match="0 or above"):
        Moments.of(1, [0, 0], np.eye(2), -np.eye(2))
    with pytest.raises(ValueError, match="same features"):
        multivariate.multivariate_drift(side, moments(np.eye(3)))
    with pytest.raises(ValueError, match="share to explain"):
        multivariate.principal_components(np.eye(2), 1.0)
    for rows in (math.nan, -1.0):
        with pytest.raises(ValueError, match="effective rows"):
            multivariate.change_pvalues(side, side, rows, 5)


# Other than normal features


def test_correlations_of_other_than_normal_features_vary_as_their_spread_says() -> None:
    rng = np.random.default_rng(10)
    shared = rng.random((400, 500)) < 0.03  # 400 windows of two rare flags that mostly go together
    flags = np.stack([np.where(rng.random(shared.shape) < 0.8, shared, rng.random(shared.shape) < 0.03) for _ in "ab"])
    z = (flags - 0.03) / math.sqrt(0.03 * 0.97)
    pooled = z.reshape(2, -1)
    r = pooled @ pooled.T / pooled.shape[1]
    r /= np.sqrt(np.outer(np.diag(r), np.diag(r)))
    fourth, third = (pooled**2 @ (pooled**2).T / pooled.shape[1], pooled**3 @ pooled.T / pooled.shape[1])
    spread = multivariate.correlation_spread(r, fourth, third)[0, 1]
    found = [np.asarray(np.corrcoef(z[:, window]))[0, 1] for window in range(400)]
    assert np.var(found) == pytest.approx(spread * (1 - r[0, 1] ** 2) ** 2 / 500, rel=0.2)
    assert spread > 3
    assert (multivariate.correlation_spread(np.eye(2), np.ones((2, 2)), np.zeros((2, 2))) == 1).all()


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    mixing = rng.normal(size=(6, 6))
    reference = rng.standard_t(8, size=(5_000, 6)) @ mixing  # tails heavier than normal ones
    side, mean, deviation = moments(reference), reference.mean(axis=0), reference.std(axis=0)
    lost = np.eye(6) - (of := multivariate.principal_components(multivariate.standard_moments(side, side))) @ of.T
    errors = (((reference - mean) / deviation @ lost) ** 2).sum(axis=1)
    variance = errors.var() / errors.mean() ** 2
    held, scores = 0, []
    for _ in range(300):
        scores.append(number(multivariate.multivariate_drift(side, moments(rng.standard_t(8, size=(300, 6)) @ mixing))))
        interval = multivariate.multivariate_interval(scores[-1], variance, 5_000, 300)
        assert not isinstance(interval, NotEnoughData)
        held += interval.lower <= 0 <= interval.upper
    assert held / 300 == pytest.approx(0.95, abs=0.04)
    assert np.mean(scores) == pytest.approx(0, abs=0.02)


def test_the_edges_of_the_interval() -> None:
    assert isinstance(multivariate.multivariate_interval(0.0, 1.0, 0, 5), NotEnoughData)
    wide = multivariate.multivariate_interval(0.0, 100.0, 1, 1)
    assert not isinstance(wide, NotEnoughData)
    assert wide.lower == -1
    with pytest.raises(ValueError, match="effective rows"):
        multivariate.multivariate_interval(0.0, 1.0, math.nan, 5)


def test_the_drift_score_knows_no_unit_and_no_origin() -> None:
    rng = np.random.default_rng(12)
    mixing = rng.normal(size=(4, 4))
    reference, current = mixed(rng, 500, mixing), mixed(rng, 200, np.abs(mixing))
    plain = multivariate.multivariate_drift(moments(reference), moments(current))
    before, after = (moments(rows * [1, 10, 0.1, 3] + [5, 0, -1, 2]) for rows in (reference, current))
    assert multivariate.multivariate_drift(before, after) == pytest.approx(plain, rel=1e-6)
