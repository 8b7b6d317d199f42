"""Two baselines against each other: equal is equal, what moved is named, and distances are those of the rows."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from exporter.baseline import Baseline, CategoryFeature, NumericFeature
from exporter.baseline_diff import _rebinned, _relisted, change, difference, tables
from exporter.measures.distribution import feature_distribution
from exporter.profile.layout import Layout, Profile
from exporter.stats import distances
from tests.strategies import Counting, Row, binary_rows, built, model_of, prediction

MODEL = model_of()
ONE, OTHER = binary_rows(31, 3_000), binary_rows(32, 3_000, shift=0.5)
A, B = built(MODEL, ONE), built(MODEL, OTHER)


def by_name(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {of["name"]: of for of in found["features"]}


def test_the_same_data_read_again_make_no_difference() -> None:
    again = built(MODEL, ONE)
    moved = again.model_copy(update={"provenance": A.provenance.model_copy(update={"created": 5.0, "source": "z"})})
    found = difference(A, moved)
    assert found["equal"]
    assert found["differing"] == []
    assert found["facts"] == {}
    assert all(of["same_bins"] and of["psi"] == of["js"] == 0 for of in found["features"])


def test_usual_ranges_make_a_difference_that_is_named() -> None:
    usual = {3_600: {"volume": {"mean": 20.5, "deviation": 1.5, "windows": 24}}}
    found = difference(A, Baseline.model_validate({**A.model_dump(), "usual": usual}))
    assert (found["equal"], found["differing"]) == (False, ["usual"])
    assert len(set(found["fingerprints"])) == 1


def counted(rows: list[Row]) -> Profile:
    return Counting.of(MODEL, A).of_rows(rows)


@pytest.mark.parametrize("name", ["x", "c"])
def test_distances_are_those_of_the_rows_counted_in_the_first_ones_bins(name: str) -> None:
    [feature] = [of for of in A.features if of.name == name]
    past, now = (feature_distribution(side, feature) for side in (Profile.reference(Layout(A)), counted(OTHER)))
    found = by_name(difference(A, B))[name]
    exact = name == "c"  # bins of numbers differ, and a bin's rows are taken to lie evenly in it
    near = 1e-9 if exact else 0.05
    assert found["psi"] == pytest.approx(distances.psi(past.merged, now.merged, past.rows, now.rows), rel=near)
    assert found["js"] == pytest.approx(distances.js(past.merged, now.merged), rel=near)
    assert found["ks"] is None if exact else found["ks"] == pytest.approx(distances.ks(past.fine, now.fine), rel=near)
    assert found["same_bins"] == exact


def test_features_that_come_go_and_change_kind_are_named() -> None:
    def of(features: dict[str, Any]) -> Baseline:
        return built(MODEL, [prediction(features=features) for _ in range(3)])

    found = by_name(difference(of({"gone": 1, "kept": 1, "turned": 1}), of({"new": "a", "kept": 1, "turned": "a"})))
    assert {name: change(of) for name, of in found.items()} == {
        "gone": "removed (numeric)", "kept": "", "new": "added (category)", "turned": "numeric -> category"
    }  # fmt: skip
    assert "psi" not in found["turned"]


def test_a_feature_without_values_on_one_side_has_no_distance() -> None:
    empty = built(MODEL, [prediction(features={"x": None, "c": "a"}) for _ in range(3)])
    assert by_name(difference(A, empty))["x"] | {"name": ""} == {
        "name": "", "kinds": ["numeric", "numeric"], "same_bins": False, "psi": None, "js": None, "ks": None
    }  # fmt: skip


def test_settings_and_performance_stand_side_by_side() -> None:
    strict = built(model_of(decision_threshold=0.7), ONE)
    found = difference(A, strict)
    assert found["facts"] == {"settings": [A.settings, strict.settings]}
    assert found["performance"]["accuracy"] == [A.performance["accuracy"], strict.performance["accuracy"]]
    bare = difference(A, built(MODEL, [{**row, "label": None} for row in ONE]))
    assert bare["performance"]["accuracy"] == [A.performance["accuracy"], None]


def test_the_tables_name_the_files_and_what_moved_most_first() -> None:
    console = Console(file=io.StringIO(), width=200)
    for table in tables(difference(A, B), ("a.json", "b.json")):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.index(" x ") < text.index(" c ")
    for words in ("a.json", "b.json", A.fingerprint, B.fingerprint, "accuracy", "differs in: features"):
        assert words in text


edges = st.lists(st.integers(-20, 20), min_size=2, max_size=8, unique=True).map(lambda of: np.array(sorted(of), float))


@given(edges, edges, st.data())
def test_counting_in_other_bins_keeps_every_row_and_equal_bins_change_nothing(
    have: np.ndarray, want: np.ndarray, data: st.DataObject
) -> None:
    cells = len(have) + 1
    counts = np.array(data.draw(st.lists(st.floats(0, 1e6), min_size=cells, max_size=cells)))
    moved = _rebinned(counts, have, want)
    assert moved.shape == (len(want) + 1,)
    assert (moved >= 0).all()
    assert moved.sum() == pytest.approx(counts.sum())
    np.testing.assert_array_equal(_rebinned(counts, have, have), counts)


def test_categories_find_their_cell_in_another_list() -> None:
    have = CategoryFeature(name="c", values=("a", "b", "q", "z"), rare=("y",))
    want = CategoryFeature(name="c", values=("a", "new"), rare=("q",))
    moved = _relisted(np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]), have, want)
    assert moved.tolist() == [1, 0, 4 + 16, 2 + 8 + 32]


def test_a_value_with_a_bin_of_its_own_keeps_it() -> None:
    point = NumericFeature(name="x", edges=(0.0, 1.0, float(np.nextafter(1.0, 2.0)), 2.0), groups=(0,))
    wide = np.array([0.0, 1.0, float(np.nextafter(1.0, 2.0)), 3.0])
    assert _rebinned(np.array([0.0, 3.0, 7.0, 2.0, 0.0]), np.array(point.edges), wide).tolist() == [0, 3, 7, 2, 0]
