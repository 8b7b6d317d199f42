"""A schema is obeyed to the letter, or every problem of it is named at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import names
from exporter.baseline import Baseline, CategoryFeature, NumericFeature
from exporter.errors import ConfigError, DataError
from exporter.reference import ReferenceData, build_baseline, numeric_feature
from exporter.reference_schema import MAX_CATEGORIES, Schema, load_schema
from tests.strategies import Row, binary_rows, built, measured, model_of, prediction, value_of

MODEL = model_of()
ROWS = binary_rows(1, 400)


def schema(tmp_path: Path, text: str) -> Schema:
    path = tmp_path / "schema.yml"
    path.write_text(text)
    return load_schema(path)


def build(told: Schema, rows: list[Row]) -> Baseline:
    data = ReferenceData(pa.Table.from_pylist(rows), "r.parquet", "d")
    return build_baseline(MODEL, data, 0.0, schema=told)


def problems(raised: pytest.ExceptionInfo[ConfigError], tmp_path: Path) -> tuple[str, ...]:
    assert raised.value.source == str(tmp_path / "schema.yml")
    return raised.value.problems


def test_without_range_or_list_it_is_what_the_types_say(tmp_path: Path) -> None:
    told = schema(tmp_path, "features: {x: {kind: numeric}, c: {kind: category}}")
    assert build(told, ROWS) == built(MODEL, ROWS)


def test_kinds_are_taken_from_it_whatever_the_column(tmp_path: Path) -> None:
    rows = [prediction(features={"n": k % 3, "t": str(k), "gone": 1.0}) for k in range(9)]
    told = schema(tmp_path, "features: {n: {kind: category}, t: {kind: numeric}, gone: {kind: ignore}}")
    number, text = build(told, rows).features
    assert isinstance(number, CategoryFeature)
    assert number.values == ("0", "1", "2")
    assert isinstance(text, NumericFeature)
    assert text.edges[0] == 0.0
    assert text.edges[-1] == np.nextafter(8.0, 9.0)


def of_x(values: list[Any]) -> list[Row]:
    return [prediction(features={"x": value, "c": "a"}) for value in values]


RANGES = {
    "narrower than the data": (-0.5, 0.5),
    "wider than the data": (-10.0, 10.0),
    "beside the data": (5.0, 6.0),
    "a single value": (0.0, 0.0),
}


@pytest.mark.parametrize("name", RANGES)
def test_out_of_range_follows_the_schema_not_the_data(tmp_path: Path, name: str) -> None:
    low, high = RANGES[name]
    told = schema(tmp_path, f"features: {{x: {{kind: numeric, range: [{low}, {high}]}}, c: {{kind: ignore}}}}")
    values = [low, high, np.nextafter(low, -99), np.nextafter(high, 99), 0.1, -0.9, 7.0, 0.0]
    baseline = build(told, of_x(np.linspace(-1, 1, 101).tolist()))
    samples, _ = measured(MODEL, baseline, of_x(values))
    outside = np.mean([not low <= value <= high for value in values])
    assert value_of(samples, names.FEATURE_OUT_OF_RANGE_RATIO, "x") == pytest.approx(outside)
    again, _ = measured(MODEL, baseline, of_x(np.linspace(-1, 1, 101).tolist() * 4))
    assert value_of(again, names.FEATURE_DRIFT_SCORE, "1d", "x", "psi") is None  # 101 rows are no reference
    counts = baseline.counts["feature:x"]
    assert counts[0] == sum(value < low for value in np.linspace(-1, 1, 101))


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=60),
    st.tuples(st.floats(-6, 6), st.floats(-6, 6)).map(sorted),
)
def test_bounds_are_the_outer_edges_and_cells_beyond_hold_what_lies_beyond(
    values: list[float], ends: list[float]
) -> None:
    low, high = ends
    array = np.array(values)
    feature = numeric_feature("x", array, np.ones(len(array)), (low, high))
    assert (feature.edges[0], feature.edges[-1]) == (low, np.nextafter(high, np.inf))
    cells = np.bincount(np.searchsorted(feature.edges, array, side="right"), minlength=feature.placed)
    assert (cells[0], cells[-1]) == ((array < low).sum(), (array > high).sum())
    for cell, start in ((0, 1), (feature.placed - 1, feature.placed - 1)):
        if cells[cell] >= 0.05 * len(array):
            assert start in feature.groups, "much of the mass beyond an end has a group of its own"


def test_unseen_follows_the_list_not_the_data(tmp_path: Path) -> None:
    told = schema(tmp_path, "features: {x: {kind: ignore}, c: {kind: category, categories: [a, new, 1]}}")
    baseline = build(told, [prediction(features={"x": 1.0, "c": text}) for text in ("a", "b", "a", "b")])
    assert baseline.features == (CategoryFeature(name="c", values=("1", "a", "new")),)
    assert list(baseline.counts["feature:c"]) == [0, 2, 0, 0, 2, 0, 0]
    samples, _ = measured(MODEL, baseline, [prediction(features={"c": text}) for text in ("a", "b", "new", True)])
    assert value_of(samples, names.FEATURE_UNSEEN_CATEGORY_RATIO, "c") == 0.25


def test_of_a_long_list_the_first_have_cells_of_their_own(tmp_path: Path) -> None:
    texts = [f"t{place}" for place in range(MAX_CATEGORIES + 5)]
    told = schema(
        tmp_path, f"features: {{x: {{kind: ignore}}, c: {{kind: category, categories: [{', '.join(texts)}]}}}}"
    )
    [feature] = build(told, ROWS).features
    assert isinstance(feature, CategoryFeature)
    assert set(feature.values) == set(texts[:MAX_CATEGORIES])
    assert set(feature.rare) == set(texts[MAX_CATEGORIES:])
    assert feature.complete


BROKEN = {
    "no mapping": ("[]", "expected a mapping with the key features at the top"),
    "no features": ("features: {}", "features: empty; add an item"),
    "an unknown key": ("features: {x: {kind: numeric, rnge: [0, 1]}}",
                       "features.x.rnge: unknown key; remove it or correct its spelling"),
    "another kind": ("features: {x: {kind: number}}",
                     "features.x.kind: input should be 'numeric', 'category' or 'ignore' (found 'number')"),
    "no kind": ("features: {x: {range: [0, 1]}}", "features.x.kind: required key is missing; add it"),
    "a falling range": ("features: {x: {kind: numeric, range: [1, 0]}}",
                        "features.x: range must not fall; give the lower end first"),
    "an open range": ("features: {x: {kind: numeric, range: [0, .inf]}}",
                      "features.x.range[1]: expected a number from -1e+308 to 1e+308"),
    "a category's range": ("features: {x: {kind: category, range: [0, 1]}}",
                           "features.x: range belongs to kind numeric; remove it or change the kind"),
    "a number's list": ("features: {x: {kind: numeric, categories: [a]}}",
                        "features.x: categories belong to kind category; remove them or change the kind"),
    "a category twice": ("features: {x: {kind: category, categories: [1, b, true]}}",
                         "features.x: categories: '1' stands twice (1, true and '1' are one); remove one"),
    "an empty list": ("features: {x: {kind: category, categories: []}}", "features.x.categories: empty; add an item"),
    "nothing left": ("features: {x: {kind: ignore}}", "features: all are ignored; give one another kind"),
    "a feature twice": ("features:\n  x: {kind: numeric}\n  x: {kind: ignore}",
                        "line 3, column 3: not valid YAML: the key 'x' stands twice; remove one"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_one_thing_broken_is_named_with_its_path(tmp_path: Path, name: str) -> None:
    text, problem = BROKEN[name]
    with pytest.raises(ConfigError) as raised:
        schema(tmp_path, text)
    assert problems(raised, tmp_path) == (problem,)


def test_every_quarrel_with_the_data_is_named_at_once(tmp_path: Path) -> None:
    told = schema(
        tmp_path,
        """features:
      age: {kind: numeric}
      plan: {kind: numeric}
      tags: {kind: category}
      both: {kind: numeric}
      score: {kind: numeric}
      empty: {kind: numeric}
    """,
    )
    rows = [prediction(features={"plan": plan, "tags": [1], "both": both, "score": 0.5, "new": 1, "empty": None})
            for plan, both in (("basic", "1"), ("gold", "x"), (None, None))]  # fmt: skip
    with pytest.raises(ConfigError) as raised:
        build(told, rows)
    assert problems(raised, tmp_path) == (
        "features.age: not in r.parquet, which has both, empty, new, plan, score, tags; correct the name or remove it",
        "features.new: missing here, but in r.parquet; add it, with kind: ignore if it is not to be watched",
        "features.plan.kind: numeric, but no value is a number (such as 'basic'); set kind: category or ignore",
        "features.score.kind: a model's own output or label is no feature; set kind: ignore",
        "features.tags.kind: category, but the values are lists or objects; set kind: ignore",
    )


def test_labels_scores_and_predictions_are_never_features() -> None:
    rows = [prediction(features={"x": float(k), "label": k, "score": 0.5, "prediction": 1}) for k in range(5)]
    assert [feature.name for feature in built(MODEL, rows).features] == ["x"]
    with pytest.raises(DataError, match="no features"):
        built(MODEL, [prediction(features={"label": 1})])


def test_a_schema_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; give the path of an existing YAML file"):
        load_schema(tmp_path / "none.yml")
