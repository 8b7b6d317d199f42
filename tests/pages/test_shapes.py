"""What charts show of a distribution: mass is kept, quantiles are those of the values, categories are the largest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.baseline import NumericFeature
from exporter.pages.shapes import CATEGORIES, QUANTILES, equal_bins, largest, quantiles

EDGES = np.array([0.0, 1.0, 1.5, 4.0, 10.0])
counts = st.lists(st.integers(0, 1000), min_size=6, max_size=6).map(lambda of: np.array(of, dtype=float))


@given(reference=counts, current=counts)
def test_bins_of_equal_width_keep_every_row(reference: np.ndarray, current: np.ndarray) -> None:
    bins = equal_bins(EDGES, reference, current)
    if not reference.any():
        assert bins is None
        return
    assert bins is not None
    assert np.allclose(np.diff(bins.edges), np.diff(bins.edges)[0])
    assert bins.reference.sum() == pytest.approx(1)
    assert bins.current.sum() == pytest.approx(1 if current.any() else 0)
    assert (bins.reference >= 0).all()


def test_bins_are_those_of_the_values_where_edges_agree() -> None:
    values = np.random.default_rng(1).uniform(0, 24, 5_000)
    edges = np.arange(25.0)
    fine = np.concatenate(([0.0], np.histogram(values, edges)[0], [0.0]))
    bins = equal_bins(edges, fine, fine)
    assert bins is not None
    direct = np.histogram(np.clip(values, bins.edges[0], bins.edges[-1]), bins.edges)[0] / len(values)
    assert bins.reference == pytest.approx(direct, abs=0.01)


def test_a_value_with_most_of_the_mass_stays_in_one_bar() -> None:
    edges = np.array([0.0, np.nextafter(0, 1), 10.0])
    bins = equal_bins(edges, np.array([0.0, 90, 10, 0]), np.array([0.0, 50, 50, 0]))
    assert bins is not None
    assert (bins.reference[0], bins.current[0]) == pytest.approx((0.9 + 0.1 / 24, 0.5 + 0.5 / 24), abs=0.01)


def test_quantiles_are_those_of_the_values_within_a_bin() -> None:
    values = np.random.default_rng(2).normal(size=20_000)
    edges = np.quantile(values, np.linspace(0, 1, 101))
    feature = NumericFeature(name="x", edges=tuple(edges), groups=(0,))
    placed = np.bincount(np.searchsorted(edges, values, side="right"), minlength=feature.placed).astype(float)
    assert quantiles(feature, placed) == pytest.approx(np.quantile(values, QUANTILES), abs=0.02)
    assert quantiles(feature, np.zeros(feature.placed)) == (None,) * len(QUANTILES)


def test_the_largest_categories_are_named_and_the_rest_counted() -> None:
    reference = np.arange(20, dtype=float)
    found = largest([f"c{place}" for place in range(20)], reference, reference[::-1].copy())
    assert len(found.names) == CATEGORIES
    assert {"c19", "c0"} <= set(found.names)
    count, p, q = found.rest
    assert count == 20 - CATEGORIES
    assert found.reference.sum() + p == pytest.approx(1)
    assert found.current.sum() + q == pytest.approx(1)
