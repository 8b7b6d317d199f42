"""Reference data becomes cells: quantiles, point masses, categories; and drift against itself is nought."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.baseline import Baseline, CategoryFeature, NumericFeature
from exporter.errors import ConfigError, DataError
from exporter.measures.comparison import Comparison
from exporter.measures.distribution import feature_distribution, outcome_distribution, prediction_distribution
from exporter.profile.columns import texts_of
from exporter.profile.layout import Layout, Profile, feature_part
from exporter.reference import build_baseline, category_feature, numeric_feature, read_reference
from tests.strategies import Row, binary_rows, built, model_of, prediction

MODEL = model_of()


def numeric(values: Any, weight: Any = None) -> NumericFeature:
    array = np.asarray(values, dtype=np.float64)
    return numeric_feature("x", array, np.ones(len(array)) if weight is None else np.asarray(weight, np.float64))


def masses(feature: NumericFeature, values: Any, weight: Any = None) -> list[float]:
    """The share of each group, by plain histogram."""
    array, starts = np.asarray(values, dtype=np.float64), feature.groups
    cell = np.searchsorted(feature.edges, array, side="right")
    group = np.searchsorted(starts, cell, side="right") - 1
    counts = np.bincount(group, weights=weight, minlength=len(starts))
    return list(counts / counts.sum())


def of_values(values: list[Any], **fields: Any) -> Baseline:
    return built(MODEL, [prediction(features={"x": value, "k": 1.0}, **fields) for value in values])


def test_a_continuous_feature_has_a_hundred_bins_and_ten_equal_groups() -> None:
    values = np.random.default_rng(1).normal(size=5_000)
    feature = numeric(values)
    assert len(feature.edges) == 101
    np.testing.assert_allclose(masses(feature, values), 0.1, atol=0.011)
    assert feature.edges[0] == values.min()
    assert feature.edges[-1] == np.nextafter(values.max(), np.inf)


def test_weights_make_the_groups_equal_in_weight_not_in_rows() -> None:
    rng = np.random.default_rng(2)
    values, weight = rng.normal(size=5_000), rng.choice([1.0, 20.0], 5_000)
    weight[values > 0] *= 10
    feature = numeric(values, weight)
    np.testing.assert_allclose(masses(feature, values, weight), 0.1, atol=0.015)
    assert masses(feature, values)[0] > 0.3


def test_a_value_with_much_of_the_mass_has_a_bin_and_a_group_of_its_own() -> None:
    values = np.concatenate([np.zeros(400), np.random.default_rng(3).uniform(-1, 1, 600)])
    feature = numeric(values)
    place = feature.edges.index(0.0)
    assert feature.edges[place + 1] == np.nextafter(0.0, 1.0)
    assert {place + 1, place + 2} <= set(feature.groups)
    shares = masses(feature, values)
    assert max(shares) == pytest.approx(0.4)
    assert sorted(shares)[-2] < 0.12
    assert len(feature.groups) <= 11  # the other six tenths are worth six, one of which the point may cut


def test_weight_decides_what_much_of_the_mass_is() -> None:
    values, weight = np.arange(100.0), np.ones(100)
    weight[50] = 100
    assert np.nextafter(50.0, np.inf) in numeric(values, weight).edges
    assert np.nextafter(50.0, np.inf) not in numeric(values).edges


def test_a_constant_feature_has_one_bin_and_anything_else_is_news() -> None:
    feature = numeric([7.0] * 50)
    assert feature.edges == (7.0, float(np.nextafter(7.0, 8.0)))
    assert feature.groups == (0, 1, 2)


def test_a_feature_without_values_has_one_bin_from_nought_to_one() -> None:
    feature = numeric([])
    assert (feature.edges, feature.groups) == ((0.0, 1.0), (0, 1, 2))


@pytest.mark.parametrize(
    "values", [[1.0], [1.0, 2.0], [0.0, -0.0], [5e-324, 0.0], [-1e300, 1e300], [1.0, np.nextafter(1.0, 2.0)]]
)
def test_few_and_extreme_values_make_usable_bins(values: list[float]) -> None:
    feature = numeric(values)
    cells = np.searchsorted(feature.edges, values, side="right")
    assert ((cells >= 1) & (cells <= len(feature.edges) - 1)).all()


finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


@given(st.lists(st.one_of(finite, st.integers(-3, 3).map(float)), min_size=1, max_size=200), st.data())
@settings(max_examples=60)
def test_every_value_of_the_reference_lies_within_its_bins(values: list[float], data: st.DataObject) -> None:
    weight = data.draw(st.lists(st.sampled_from([1.0, 0.1, 50.0]), min_size=len(values), max_size=len(values)))
    feature = numeric(values, weight)
    counts = np.bincount(np.searchsorted(feature.edges, values, side="right"), minlength=feature.placed)
    assert counts[0] == counts[-1] == 0
    assert len(feature.edges) <= 160


def test_infinities_and_gaps_are_counted_beside_the_bins() -> None:
    baseline = of_values([1.0, 2.0, float("inf"), float("-inf"), None, float("nan")])
    counts = baseline.counts["feature:x"]
    assert (sum(counts[:-3]), counts[-3:]) == (2, (1, 3, 0))


def test_the_file_keeps_every_count_of_a_weighted_reference() -> None:
    rows = [{**row, "weight": weight} for row, weight in zip(binary_rows(5, 300), [1.0, 10.0] * 150, strict=True)]
    baseline = built(MODEL, rows)
    assert list(baseline.counts["rows"]) == [300, 1650, 15150]
    assert sum(baseline.counts["feature:x"]) == 1650


def categories(texts: list[Any], weight: Any = None) -> CategoryFeature:
    return category_feature("c", texts_of(texts), np.ones(len(texts)) if weight is None else np.array(weight))


def test_a_single_category_is_all_there_is() -> None:
    assert categories(["a", "a"]) == CategoryFeature(name="c", values=("a",))


def test_ten_thousand_and_one_categories_are_known_by_name_beyond_a_hundred() -> None:
    texts = [f"t{place}" for place in range(10_001)] + ["t7"] * 3
    feature = categories(texts)
    assert (len(feature.values), len(feature.rare), feature.complete) == (100, 9_901, True)
    assert "t7" in feature.values


def test_more_categories_than_can_be_named_make_the_list_incomplete() -> None:
    feature = categories([f"t{place}" for place in range(10_101)])
    assert (len(feature.values), len(feature.rare), feature.complete) == (100, 10_000, False)


def test_the_heaviest_categories_are_listed_whatever_their_rows() -> None:
    texts = [f"t{place}" for place in range(101)]
    assert "t100" in categories(texts, [1.0] * 100 + [5.0]).values
    assert "t100" not in categories(texts, [1.0] * 100 + [0.5]).values


def test_spellings_of_one_category_are_one() -> None:
    assert categories([1, "1", "1.0", True]).values == ("1",)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_reference_does_not_drift_from_itself(task: str) -> None:
    rows = binary_rows(6, 500)
    if task == "regression":
        rows = [{**row, "prediction": row["features"]["x"] * 3, "label": row["features"]["x"] * 3 + 1} for row in rows]
    profile = Profile.reference(Layout(built(model_of(task), rows)))
    pairs = [feature_distribution(profile, feature) for feature in profile.layout.features]
    pairs += [prediction_distribution(profile, profile), outcome_distribution(profile, profile)]
    for side in pairs:
        assert side.rows == pytest.approx(500)
        same = Comparison([(side, side)])
        assert (same.scores("psi")[0], same.pvalues("psi")[0], same.scores("js")[0]) == (0.0, 1.0, 0.0)


def test_a_profile_counted_anew_is_the_references_own() -> None:
    baseline = built(MODEL, binary_rows(7, 300))
    profile = Profile.reference(Layout(baseline))
    assert profile.records == 300
    for feature in baseline.features:
        assert profile.part(feature_part(feature.name)).sum() == 300


def test_features_keep_the_type_of_their_column_unless_told() -> None:
    rows = [prediction(features={"n": 1, "b": True, "t": "a", "z": None}) for _ in range(3)]
    kinds = {feature.name: feature.kind for feature in built(MODEL, rows, ["n"]).features}
    assert kinds == {"n": "category", "b": "numeric", "t": "category", "z": "numeric"}


def refused(rows: list[Row], model: Any = MODEL, categorical: tuple[str, ...] = ()) -> str:
    with pytest.raises(DataError) as raised:
        built(model, rows, categorical)
    return str(raised.value)


def test_data_that_make_no_baseline_say_what_they_lack() -> None:
    plain = {"ts": 1.0, "score": 0.5}
    assert refused([plain]) == "no features: reference data has columns `features.NAME` or a struct `features`"
    assert refused([prediction(score=5.0)]) == "r.parquet: no usable row for model 'm'; refused: 1 invalid_score"
    assert refused([prediction()], categorical=("y",)) == ("r.parquet: no feature 'y' to make categorical; it has c, x")
    assert refused([prediction(features={'a"b': 1})]) == (
        "feature 'a\"b': a name is not empty and has no quote, backslash or control character"
    )


def test_classes_that_no_binary_model_can_have_are_refused() -> None:
    yes_no = [prediction(label=label) for label in ("yes", "no")]
    assert refused(yes_no) == (
        "r.parquet: positive_label '1' is not among the classes no, yes; set positive_label to one of them"
    )
    assert built(model_of(positive_label="yes"), yes_no).counts["labelled"][0] == 2
    scores = [prediction(score=None, prediction=value) for value in (0.1, 0.2, 0.9)]
    assert refused(scores) == (
        "r.parquet: 3 classes (0.1, 0.2, 0.9) for a binary model; "
        "put classes, not scores, into prediction and label, or set task: multiclass"
    )


def test_a_frame_in_csv_or_parquet_makes_the_same_baseline(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({
        "ts": np.arange(200.0), "score": rng.random(200), "label": rng.integers(0, 2, 200),
        "features.x": np.where(rng.random(200) < 0.1, np.nan, rng.normal(size=200)),
        "features.c": np.where(rng.random(200) < 0.1, None, rng.choice(["a", "b"], 200)),  # type: ignore[call-overload]  # an object column
    })  # fmt: skip
    frame.to_csv(tmp_path / "r.csv", index=False)
    frame.to_parquet(tmp_path / "r.parquet")
    one, other = (build_baseline(MODEL, read_reference(tmp_path / f"r.{kind}"), 0.0) for kind in ("csv", "parquet"))
    assert one.fingerprint == other.fingerprint
    assert one.provenance.digest != other.provenance.digest
    assert one.counts["feature:c"][-2] > 0


def test_a_file_of_an_unknown_kind_or_without_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown kind .txt; give a .parquet or .csv file"):
        read_reference(tmp_path / "r.txt")
    (tmp_path / "r.parquet").write_text("hello")
    with pytest.raises(ConfigError, match="give a Parquet or CSV file"):
        read_reference(tmp_path / "r.parquet")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_reference(tmp_path / "none.csv")
