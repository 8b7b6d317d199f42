"""Distances against scipy and plain loops, the laws they promise, and what they answer at the edges."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats as scipy_stats
from scipy.spatial.distance import jensenshannon

from exporter.stats import distances
from exporter.stats.result import NotEnoughData, Value

Floats = NDArray[np.float64]
Distance = Callable[[Floats, Floats], Value]

UNIT_FREE: dict[str, Distance] = {
    "psi": distances.psi,
    "js": distances.js,
    "ks": distances.ks,
    "chi2": distances.chi2,
    "hellinger": distances.hellinger,
    "total_variation": distances.total_variation,
}
AT_MOST_ONE = ("js", "ks", "hellinger", "total_variation")
UNORDERED = ("psi", "js", "chi2", "hellinger", "total_variation")

counts = st.one_of(st.just(0.0), st.integers(1, 10_000).map(float), st.floats(0.01, 1e6))


@st.composite
def tables(draw: st.DrawFn) -> tuple[Floats, Floats]:
    cells = draw(st.integers(1, 30))
    r, c = (np.array(draw(st.lists(counts, min_size=cells, max_size=cells))) for _ in range(2))
    assume(r.any() and c.any())
    return r, c


def _number(value: Value) -> float:
    assert isinstance(value, float)
    assert math.isfinite(value)
    return value


def _random_table(seed: int, cells: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 1_000, cells).astype(float), rng.integers(1, 1_000, cells).astype(float)


# Oracles


@pytest.mark.parametrize("seed", range(20))
def test_psi_without_empty_cells_is_the_plain_definition(seed: int) -> None:
    r, c = _random_table(seed, 10)
    naive = 0.0
    for i in range(10):
        p, q = r[i] / r.sum(), c[i] / c.sum()
        naive += (q - p) * math.log(q / p)
    assert distances.psi(r, c) == pytest.approx(naive, rel=1e-9, abs=1e-12)


def test_psi_reads_an_empty_cell_as_half_a_row() -> None:
    expected = (1 - 0.5) * math.log(1 / 0.5) + (0.05 - 0.5) * math.log(0.05 / 0.5)
    assert distances.psi([10, 10], [10, 0]) == pytest.approx(expected, rel=1e-12)


def test_psi_is_not_moved_by_a_rare_category_that_a_small_sample_misses() -> None:
    common = distances.psi([50_000, 49_998], [50, 50])
    assert distances.psi([50_000, 49_998, 2], [50, 50, 0]) == pytest.approx(_number(common), abs=1e-8)


def test_psi_takes_half_a_row_of_the_effective_rows_when_they_are_given() -> None:
    weighted = distances.psi([100, 100], [100, 0], n_ref=20, n_cur=10)
    assert weighted == pytest.approx(_number(distances.psi([10, 10], [10, 0])), rel=1e-12)


def test_the_effect_of_an_empty_cell_grows_as_rows_make_it_more_surprising() -> None:
    readings = [_number(distances.psi([n, n], [2 * n, 0])) for n in (5, 50, 500, 5_000)]
    assert readings == sorted(readings)
    assert len(set(readings)) == 4


@pytest.mark.parametrize("seed", range(20))
def test_js_is_scipys_distance_to_base_two_with_and_without_empty_cells(seed: int) -> None:
    r, c = _random_table(seed, 12)
    assert distances.js(r, c) == pytest.approx(jensenshannon(r, c, base=2), abs=1e-9)
    r[:3], c[2:5] = 0, 0
    assert distances.js(r, c) == pytest.approx(jensenshannon(r, c, base=2), abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_ks_is_scipys_statistic_of_the_binned_values(seed: int) -> None:
    r, c = _random_table(seed, 12)
    cells = np.arange(12)
    values = (np.repeat(cells, r.astype(int)), np.repeat(cells, c.astype(int)))
    assert distances.ks(r, c) == pytest.approx(scipy_stats.ks_2samp(*values).statistic, abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_chi2_is_scipys_statistic_and_empty_cells_take_no_degree_of_freedom(seed: int) -> None:
    r, c = _random_table(seed, 12)
    r[0] = 0
    oracle = scipy_stats.chi2_contingency(np.array([r, c]), correction=False)
    padded = np.append(r, [0, 0]), np.append(c, [0, 0])
    assert distances.chi2(*padded) == pytest.approx(oracle.statistic, rel=1e-9)
    assert distances.chi2_per_df(*padded) == pytest.approx(oracle.statistic / oracle.dof, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_chi2_on_effective_rows_is_scipys_on_the_scaled_table(seed: int) -> None:
    r, c = _random_table(seed, 8)
    scaled = np.array([r / r.sum() * 70, c / c.sum() * 30])
    oracle = scipy_stats.chi2_contingency(scaled, correction=False)
    assert distances.chi2(r, c, 70, 30) == pytest.approx(oracle.statistic, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_wasserstein_is_scipys_distance_over_the_scale(seed: int) -> None:
    r, c = _random_table(seed, 12)
    at = np.sort(np.random.default_rng(seed).normal(0, 5, 12))
    oracle = scipy_stats.wasserstein_distance(at, at, r, c)
    assert distances.wasserstein(r, c, at, scale=2.5) == pytest.approx(oracle / 2.5, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_hellinger_and_total_variation_follow_their_definitions(seed: int) -> None:
    r, c = _random_table(seed, 12)
    affinity, moved = 0.0, 0.0
    for i in range(12):
        p, q = r[i] / r.sum(), c[i] / c.sum()
        affinity += math.sqrt(p * q)
        moved += max(0.0, p - q)
    assert distances.hellinger(r, c) == pytest.approx(math.sqrt(1 - affinity), abs=1e-9)
    assert distances.total_variation(r, c) == pytest.approx(moved, abs=1e-9)


def test_each_gives_for_many_tables_what_the_named_distance_gives_for_one() -> None:
    pairs = [_random_table(seed, 9) for seed in range(6)]
    r, c = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    r[2] = 0
    c[3, :4] = 0
    for method, distance in UNIT_FREE.items():
        batch = distances.each(method, r, c)
        assert np.isnan(batch[2])
        for i in (0, 1, 3, 4, 5):
            assert batch[i] == distance(r[i], c[i])


def test_every_distance_of_shares_is_held_to_the_laws() -> None:
    assert set(UNIT_FREE) == set(distances.KERNELS)


# Laws


@given(tables())
def test_a_distance_is_symmetric_not_negative_and_at_most_one_where_it_says_so(table: tuple[Floats, Floats]) -> None:
    r, c = table
    for method, distance in UNIT_FREE.items():
        there, back = _number(distance(r, c)), _number(distance(c, r))
        assert there >= 0, method
        assert there == pytest.approx(back, rel=1e-9, abs=1e-12), method
        assert there <= 1 or method not in AT_MOST_ONE, method


@given(tables())
def test_a_distribution_is_at_distance_exactly_zero_from_itself(table: tuple[Floats, Floats]) -> None:
    for side in table:
        assert [distance(side, side) for distance in UNIT_FREE.values()] == [0.0] * len(UNIT_FREE)


@given(tables(), st.integers(0, 1_000))
def test_the_order_of_cells_does_not_matter_where_it_should_not(table: tuple[Floats, Floats], seed: int) -> None:
    r, c = table
    order = np.random.default_rng(seed).permutation(len(r))
    for method in UNORDERED:
        plain, mixed = _number(UNIT_FREE[method](r, c)), _number(UNIT_FREE[method](r[order], c[order]))
        assert mixed == pytest.approx(plain, rel=1e-9, abs=1e-9), method


@given(tables(), st.floats(1e-3, 1e3))
def test_scaling_the_weights_of_a_side_changes_nothing_at_given_effective_rows(
    table: tuple[Floats, Floats], factor: float
) -> None:
    r, c = table
    for method in UNIT_FREE:
        plain = distances.each(method, r, c, 300, 200)
        scaled = distances.each(method, r * factor, c / factor, 300, 200)
        assert scaled == pytest.approx(float(plain), rel=1e-9, abs=1e-9), method


@given(tables(), st.integers(1, 5))
def test_cells_empty_on_both_sides_change_nothing(table: tuple[Floats, Floats], empty: int) -> None:
    r, c = table
    for method, distance in UNIT_FREE.items():
        padded = distance(np.append(r, np.zeros(empty)), np.append(c, np.zeros(empty)))
        assert padded == pytest.approx(_number(distance(r, c)), rel=1e-9, abs=1e-12), method


@given(table=tables())
def test_merging_cells_never_makes_distributions_look_farther_apart(table: tuple[Floats, Floats]) -> None:
    r, c = table
    groups = list(range(0, len(r), 3))
    merged = distances.merge_cells(r, groups), distances.merge_cells(c, groups)
    for method in AT_MOST_ONE:
        assert _number(UNIT_FREE[method](*merged)) <= _number(UNIT_FREE[method](r, c)) + 1e-9


@given(table=tables())
def test_merged_cells_are_sums_of_slices_and_keep_every_row(table: tuple[Floats, Floats]) -> None:
    starts = sorted({0, len(table[0]) // 3, len(table[0]) // 2})
    expected = [math.fsum(table[0][a:b]) for a, b in pairwise([*starts, len(table[0])])]
    assert distances.merge_cells(table[0], starts) == pytest.approx(expected, rel=1e-12)
    assert distances.merge_cells(np.array(table), starts).shape == (2, len(starts))


@given(table=tables(), shift=st.floats(-1e3, 1e3), unit=st.floats(0.1, 10))
def test_wasserstein_is_symmetric_zero_on_itself_and_free_of_origin_and_unit(
    table: tuple[Floats, Floats], shift: float, unit: float
) -> None:
    r, c = table
    at = np.arange(len(r), dtype=float) ** 2
    plain = _number(distances.wasserstein(r, c, at, scale=3))
    assert distances.wasserstein(c, r, at, scale=3) == pytest.approx(plain, abs=1e-9)
    assert distances.wasserstein(r, c, at * unit + shift, scale=3 * unit) == pytest.approx(plain, rel=1e-6, abs=1e-9)
    assert distances.wasserstein(r, r, at) == 0.0


def test_a_tiny_difference_keeps_its_digits_in_js() -> None:
    # Shares 0.5 + d and 0.5 - d against 0.5: the divergence is d^2 / 2 nats to leading order.
    d = 1e-7
    expected = math.sqrt(d**2 / 2 / math.log(2))
    assert distances.js([0.5, 0.5], [0.5 + d, 0.5 - d]) == pytest.approx(expected, rel=1e-6)


# Edges


@pytest.mark.parametrize("method", [*UNIT_FREE, "chi2_per_df"])
@pytest.mark.parametrize(
    ("reference", "current", "side"),
    [
        ([], [], "reference"),
        ([0, 0], [1, 2], "reference"),
        ([1, 2], [0, 0], "current window"),
        ([0, 0], [0, 0], "reference"),
    ],
)
def test_a_side_without_rows_has_no_distance(
    method: str, reference: list[float], current: list[float], side: str
) -> None:
    answer = getattr(distances, method)(reference, current)
    assert answer == NotEnoughData(0.0, 1.0, f"the {side} holds no rows")


@pytest.mark.parametrize(
    ("name", "reference", "current", "expected"),
    [
        ("one category", [7], [3], dict.fromkeys(UNIT_FREE, 0.0)),
        ("all mass in one cell, the same", [7, 0], [3, 0], dict.fromkeys(UNIT_FREE, 0.0)),
        (
            "all mass in one cell, another",
            [7, 0],
            [0, 7],
            {
                "psi": 2 * (1 - 0.5 / 7) * math.log(14),
                "js": 1.0,
                "ks": 1.0,
                "chi2": 14.0,
                "hellinger": 1.0,
                "total_variation": 1.0,
            },
        ),
        (
            "one row on each side",
            [1, 0],
            [0, 1],
            {
                "psi": math.log(2),
                "js": 1.0,
                "ks": 1.0,
                "chi2": 2.0,
                "hellinger": 1.0,
                "total_variation": 1.0,
            },
        ),
    ],
)
def test_the_edges_have_defined_values(
    name: str, reference: list[float], current: list[float], expected: dict[str, float]
) -> None:
    for method, distance in UNIT_FREE.items():
        answer = distance(np.array(reference, float), np.array(current, float))
        assert answer == pytest.approx(expected[method], rel=1e-12), (name, method)


def test_chi2_per_df_of_one_occupied_cell_is_undefined_and_says_so() -> None:
    answer = distances.chi2_per_df([5, 0], [3, 0])
    assert answer == NotEnoughData(1.0, 2.0, "all rows of both sides stand in one cell")


@pytest.mark.parametrize("method", UNIT_FREE)
@pytest.mark.parametrize("factor", [1e-300, 1e298])
def test_tiny_and_huge_weights_give_the_same_distance(method: str, factor: float) -> None:
    r, c = np.array([10.0, 20.0, 0.0]), np.array([20.0, 10.0, 5.0])
    plain = float(distances.each(method, r, c, 30, 35))
    assert distances.each(method, r * factor, c * factor, 30, 35) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("method", UNIT_FREE)
@pytest.mark.parametrize("factor", [1e-300, 1e298])
def test_tiny_and_huge_weights_without_effective_rows_stay_finite(method: str, factor: float) -> None:
    _number(UNIT_FREE[method](np.array([1.0, 2.0, 0.0]) * factor, np.array([2.0, 1.0, 1.0]) * factor))


@pytest.mark.parametrize("method", UNIT_FREE)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 1e301])
def test_counts_that_are_no_counts_are_refused(method: str, bad: float) -> None:
    for table in (([bad, 1], [1, 1]), ([1, 1], [1, bad])):
        with pytest.raises(ValueError, match="finite numbers from 0 to 1e300"):
            getattr(distances, method)(*table)


def test_tables_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="same cells"):
        distances.psi([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="`each` takes many"):
        distances.psi([[1, 2]], [[1, 2]])
    with pytest.raises(ValueError, match="effective rows"):
        distances.psi([1, 2], [1, 2], n_ref=math.nan)


@pytest.mark.parametrize("groups", [[], [1, 2], [0, 2, 2], [0, 3, 1], [0, 5], [[0, 1]]])
def test_groups_that_would_lose_or_repeat_cells_are_refused(groups: list[int]) -> None:
    with pytest.raises(ValueError, match="groups must"):
        distances.merge_cells([1, 2, 3, 4, 5], groups)


def test_wasserstein_of_a_reference_that_does_not_vary_has_no_unit() -> None:
    answer = distances.wasserstein([4, 0], [2, 2], [1.0, 2.0], scale=0.0)
    assert isinstance(answer, NotEnoughData)
    assert "does not vary" in answer.why
    assert isinstance(distances.wasserstein([0, 0], [2, 2], [1.0, 2.0]), NotEnoughData)


@pytest.mark.parametrize("positions", [[1.0], [2.0, 1.0], [math.nan, 1.0], [0.0, math.inf]])
def test_wasserstein_refuses_positions_that_do_not_lie_in_order(positions: list[float]) -> None:
    with pytest.raises(ValueError, match="positions must"):
        distances.wasserstein([1, 1], [1, 2], positions)


@pytest.mark.parametrize("scale", [-1.0, math.nan, math.inf])
def test_wasserstein_refuses_a_scale_that_is_no_deviation(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must"):
        distances.wasserstein([1, 1], [1, 2], [0.0, 1.0], scale)
