"""Second moments against numpy on the raw rows: blocks, groups, weights and gaps; and the law, to the last bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exporter.baseline import MomentFeature, Moments, NumericFeature
from exporter.profile import moments
from exporter.profile.adder import Adder
from exporter.profile.batch import Predictions
from exporter.profile.columns import NumericColumn, TextColumn, numbers_of, texts_of
from exporter.profile.layout import Layout
from tests.strategies import baseline_of

Floats = NDArray[np.float64]
NAMES = ("p", "q", "r")
FEATURES = tuple(MomentFeature(name=name, low=-2.0, high=2.5, centre=0.1, step=0.15) for name in NAMES)
PLAIN = tuple(NumericFeature(name=name, edges=(-2.0, 0.0, 2.5), groups=(0,)) for name in NAMES)
LAYOUT = Layout(baseline_of(features=PLAIN, moments=Moments(features=FEATURES)))
PARTS = ("moment_sums", "moment_products", "moment_gaps")


@pytest.fixture(params=[16_000, 7], ids=["one block", "blocks of seven"])
def _block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "BLOCK", request.param)


def batch_of(values: dict[str, Any], rows: int, weight: Floats | None = None) -> Predictions:
    nothing, empty = np.full(rows, np.nan), TextColumn(np.full(rows, -1), ())
    columns = {name: NumericColumn(column) if isinstance(column, np.ndarray) else column
               for name, column in values.items()}  # fmt: skip
    return Predictions(nothing, empty, columns, empty, nothing, nothing, None, weight, nothing, nothing, empty, None)


def counted(batch: Predictions, groups: NDArray[np.intp] | None = None, count: int = 1) -> list[tuple[Floats, ...]]:
    add = Adder(LAYOUT, groups, count)
    moments.MomentSums(FEATURES).add(add, batch)
    return [tuple(row[LAYOUT.slices[part]] for part in PARTS) for row in add.matrix]


def expected(values: Floats, weight: Floats) -> tuple[Floats, ...]:
    """Of raw values (rows, 3), NaN for a gap."""
    upper = np.triu_indices(3)
    z = np.nan_to_num(np.rint((np.clip(values, -2.0, 2.5) - 0.1) / 0.15))
    gap = np.isnan(values)
    either = gap[:, :, None] | gap[:, None, :]
    return weight @ z, (z.T * weight @ z)[upper], np.tensordot(weight, either, 1)[upper]


def assert_equal(found: tuple[Floats, ...], wanted: tuple[Floats, ...], rtol: float = 0.0) -> None:
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)


def drawn(seed: int, rows: int, gaps: float = 0.0) -> Floats:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1.5, (rows, 3))
    return np.where(rng.random(values.shape) < gaps, np.nan, values)


def by_name(values: Floats) -> dict[str, Any]:
    return {name: np.ascontiguousarray(values[:, place]) for place, name in enumerate(NAMES)}


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("gaps", [0.0, 0.2])
@pytest.mark.parametrize("rows", [1, 250, 0])
def test_sums_are_those_of_clipped_and_rounded_values(rows: int, gaps: float) -> None:
    values = drawn(1, rows, gaps)
    assert_equal(counted(batch_of(by_name(values), rows))[0], expected(values, np.ones(rows)))


@pytest.mark.usefixtures("_block")
@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_weights_and_groups_in_any_order(gaps: float) -> None:
    values, rng = drawn(2, 300, gaps), np.random.default_rng(3)
    weight, groups = rng.choice([0.5, 1.0, 10.0], 300), rng.integers(0, 4, 300).astype(np.intp)
    groups[groups == 2] = 3  # a group without rows
    for order in (np.arange(300), np.argsort(groups, kind="stable")):
        batch = batch_of(by_name(values[order]), 300, weight[order])
        for group, found in enumerate(counted(batch, groups[order], 4)):
            mine = groups == group
            assert_equal(found, expected(values[mine], weight[mine]), 1e-12)


def test_a_full_block_of_the_largest_scores_is_exact() -> None:
    rows = 2 * moments.BLOCK + 1
    steps = moments.STEPS
    wide = tuple(feature.model_copy(update={"low": 0.0, "high": float(steps), "centre": 0.0, "step": 1.0})
                 for feature in FEATURES)  # fmt: skip
    add = Adder(LAYOUT, None, 1)
    column = np.full(rows, float(steps))
    moments.MomentSums(wide).add(add, batch_of(dict.fromkeys(NAMES, column), rows))
    assert add.matrix[0, LAYOUT.slices["moment_products"]].tolist() == [steps**2 * rows] * 6
    assert add.matrix[0, LAYOUT.slices["moment_sums"]].tolist() == [steps * rows] * 3


def test_missing_wrong_and_non_finite_values_are_gaps_and_so_is_a_column_that_is_not_there() -> None:
    column = numbers_of([1.0, None, "no number", float("inf"), float("-inf"), float("nan"), 1e300, -1e300, "0.4"])
    spelled = texts_of(["1", None, "no number", "x", [], {}, "1e300", "-1e300", "0.4"])
    values = np.array([1.0, *[np.nan] * 5, 1e300, -1e300, 0.4])
    both = np.stack([values, values, np.full(9, np.nan)], axis=1)
    assert_equal(counted(batch_of({"p": column, "q": spelled}, 9))[0], expected(both, np.ones(9)))


@settings(max_examples=25)
@given(st.integers(0, 1_000), st.lists(st.integers(0, 40), min_size=2, max_size=2))
def test_merging_equals_having_seen_both_to_the_last_bit(seed: int, cuts: list[int]) -> None:
    values = drawn(seed, 40, 0.1)
    pieces = np.split(values, sorted(cuts))
    found = [counted(batch_of(by_name(part), len(part)))[0] for part in pieces]
    merged = tuple(np.sum(parts, axis=0) for parts in zip(*found, strict=True))
    assert_equal(merged, counted(batch_of(by_name(values), 40))[0])


@pytest.mark.parametrize("rows", [1, 99, 100, 101, 1_000])
@pytest.mark.parametrize("features", [2, 50])
def test_products_piece_by_piece_are_the_products(rows: int, features: int) -> None:
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=(2, features, rows))
    np.testing.assert_allclose(moments.products(one, other), one @ other.T, atol=1e-9)
