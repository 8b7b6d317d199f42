"""Codes against numpy's search, on edges of every shape."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from exporter.profile.binning import BLOCK, COMPARE_UP_TO, Binner, count_cells

Floats = NDArray[np.float64]
LARGEST = 1.7976931348623157e308
SPECIAL = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, LARGEST, -LARGEST, 1.0, 1e-300]
numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(SPECIAL), st.floats(-1, 1))


def assert_exact(edges: Floats, values: Floats) -> None:
    """The codes of `values`, of the edges and of their neighbours are those of numpy's search."""
    with np.errstate(over="ignore"):
        around = [edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf), -edges]
    probes = np.concatenate([values, *around, [np.inf, -np.inf, 0.0, -0.0]])
    np.testing.assert_array_equal(Binner(edges).codes(probes), np.searchsorted(edges, probes, side="right"))


@given(st.lists(numbers, min_size=1, max_size=80), st.lists(numbers, max_size=30))
@example([-LARGEST, LARGEST], [0.0])
@example([5e-324 * k for k in range(40)], [])
@example([float(np.nextafter(1.0, 2.0)), 1.0, *(float(k) for k in range(2, 30))], [1.0])
def test_codes_are_those_of_a_binary_search(edges: list[float], values: list[float]) -> None:
    assert_exact(np.unique(edges), np.array(values))


@pytest.mark.parametrize("count", [1, COMPARE_UP_TO, COMPARE_UP_TO + 1, 101, 1_000, 20_000])
@pytest.mark.parametrize("shape", ["normal", "uniform", "lognormal", "cauchy", "lumps", "subnormal", "huge"])
def test_codes_are_exact_on_grids_of_many_edges(shape: str, count: int) -> None:
    rng = np.random.default_rng(7)
    draws = {
        "normal": rng.normal(size=count),
        "uniform": rng.random(count),
        "lognormal": rng.lognormal(0, 20, count),
        "cauchy": np.append(rng.standard_cauchy(count - 1) ** 3, 0.0),
        "lumps": np.round(rng.random(count), 3) + rng.integers(0, 3, count) * 1e9,
        "subnormal": rng.integers(0, 2**40, count) * 5e-324,
        "huge": rng.uniform(-1, 1, count) * 1.7e308,
    }
    edges = np.unique(draws[shape])
    assert_exact(edges, rng.permutation(np.concatenate([draws[shape], rng.normal(size=BLOCK + 3)])))


def test_values_may_be_a_strided_view() -> None:
    values = np.arange(60.0)[::3]
    edges = np.arange(0.5, 60)
    np.testing.assert_array_equal(Binner(edges).codes(values), np.searchsorted(edges, values, side="right"))


@pytest.mark.parametrize("edges", [[1.0, 1.0], [2.0, 1.0], [0.0, np.inf], [np.nan], [0.0, -0.0]])
def test_edges_that_do_not_increase_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="edges must be finite and increase"):
        Binner(np.array(edges))


def test_counts_are_weighted_and_by_group() -> None:
    codes, groups = np.array([0, 2, 2, 1]), np.array([1, 0, 1, 1])
    counts = count_cells(codes, 3, groups, 2, np.array([1.0, 2.0, 4.0, 8.0]))
    assert counts.tolist() == [[0, 0, 2], [1, 8, 4]]
    assert count_cells(codes, 4, None, 1, None).tolist() == [[1, 1, 2, 0]]
