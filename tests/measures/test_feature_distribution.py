"""Shares by bin: against pandas on the raw rows, by their law, and at the edges."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import names
from exporter.baseline import CategoryFeature, NumericFeature
from exporter.measures import Sample
from exporter.measures.feature_distribution import MOST_BINS, bins_of, measure_feature_distribution, reference_shares
from exporter.measures.feature_distribution import _range_texts as range_texts
from exporter.profile.layout import Layout, Profile
from exporter.reference import numeric_feature
from tests.measures.raw import BASELINES, BINARY, MODEL, frame, shares_of
from tests.strategies import built, measured, model_of, prediction, scope_of


def by_bin(samples: Iterable[Sample], family: names.Family, feature: str) -> dict[str, float]:
    """Share by bin, in the bins' order."""
    found = {
        sample.labels[-1]: sample.value
        for sample in samples
        if sample.family is family and sample.labels[-2] == feature and isinstance(sample.value, float)
    }
    return dict(sorted(found.items()))


@pytest.mark.parametrize("kind", ["plain", "weighted"])
def test_numbers_fall_where_pandas_says(kind: str) -> None:
    samples, _ = measured(MODEL, BASELINES[kind], BINARY[kind])
    expected = shares_of(frame(BINARY[kind]), "x", BASELINES[kind], merged=True)
    found = by_bin(samples, names.FEATURE_DISTRIBUTION_RATIO, "x")
    assert list(found.values()) == pytest.approx(expected.tolist())


@pytest.mark.parametrize("kind", ["plain", "weighted"])
def test_categories_stand_by_the_reference_s_share_then_the_unseen(kind: str) -> None:
    samples, _ = measured(MODEL, BASELINES[kind], BINARY[kind])
    rows = frame(BINARY[kind])
    found = by_bin(samples, names.FEATURE_DISTRIBUTION_RATIO, "c")
    assert list(found) == ["01: a", "02: b", "03: q", "04: z", "05: unseen"]
    for label, share in found.items():
        assert share == pytest.approx(rows["weight"][rows["c"] == label[4:]].sum() / rows["weight"].sum())


def test_the_reference_against_itself_has_the_reference_s_shares() -> None:
    baseline = BASELINES["plain"]
    layout = Layout(baseline)
    found = list(measure_feature_distribution(scope_of(MODEL, baseline, Profile.reference(layout))))
    known = list(reference_shares(MODEL, layout))
    for feature in ("x", "c"):
        assert by_bin(found, names.FEATURE_DISTRIBUTION_RATIO, feature) == by_bin(
            known, names.FEATURE_REFERENCE_RATIO, feature
        )


def test_series_bear_the_labels_of_window_and_of_reference() -> None:
    samples, scope = measured(MODEL, BASELINES["plain"], BINARY["plain"])
    one = next(sample for sample in samples if sample.family is names.FEATURE_DISTRIBUTION_RATIO)
    assert one.labels == ("m", "v", "1d", "c", "01: a")
    assert next(reference_shares(MODEL, scope.totals.layout)).labels == ("m", "c", "01: a")


numbers = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=60)


@given(values=numbers, seen=numbers)
def test_bins_are_few_numbered_in_order_and_hold_every_value_once(values: list[float], seen: list[float]) -> None:
    feature = numeric_feature("x", np.array(values), np.ones(len(values)))
    model = model_of(drift={"min_rows": 1})
    baseline = built(model, [prediction(features={"x": value}) for value in values])
    reference = Profile.reference(Layout(baseline)).part("feature:x")[: feature.placed]
    bins = bins_of(feature, reference)
    assert 1 <= len(bins.labels) <= MOST_BINS
    assert sorted(bins.labels) == list(bins.labels)
    assert bins.place.tolist() == sorted(bins.place.tolist())
    assert set(bins.place.tolist()) == set(range(len(bins.labels)))
    found, _ = measured(model, baseline, [prediction(features={"x": value}) for value in seen])
    assert sum(by_bin(found, names.FEATURE_DISTRIBUTION_RATIO, "x").values()) == pytest.approx(1)


@given(first=numbers, second=numbers)
def test_a_merged_window_s_shares_are_the_parts_weighted_by_their_rows(first: list[float], second: list[float]) -> None:
    model = model_of(drift={"min_rows": 1})
    baseline = built(model, [prediction(features={"x": value}) for value in range(-3, 4)])

    def shares(values: list[float]) -> Any:
        samples, _ = measured(model, baseline, [prediction(features={"x": value}) for value in values])
        return np.array(list(by_bin(samples, names.FEATURE_DISTRIBUTION_RATIO, "x").values()))

    weighted = (len(first) * shares(first) + len(second) * shares(second)) / (len(first) + len(second))
    assert shares([*first, *second]) == pytest.approx(weighted)


@pytest.mark.parametrize(
    ("bounds", "texts"),
    [
        ([], ["any"]),
        ([0.5], ["< 0.5", ">= 0.5"]),
        ([3.2, 9.0], ["< 3.2", "3.2 to 9", ">= 9"]),
        ([3.0, math.nextafter(3.0, 9)], ["< 3", "3", "> 3"]),
        ([math.nextafter(3.0, 9), 5.0], ["<= 3", "> 3 to 5", ">= 5"]),
        ([1.0, 1.00001, 1.00002], ["< 1", "1 to 1.00001", "1.00001 to 1.00002", ">= 1.00002"]),
        ([-1e12, 1e-9], ["< -1e+12", "-1e+12 to 1e-09", ">= 1e-09"]),
    ],
)
def test_ranges_read_as_a_person_would_write_them(bounds: list[float], texts: list[str]) -> None:
    assert range_texts([-math.inf, *bounds, math.inf]) == texts


def test_many_bins_are_joined_to_runs_of_about_equal_shares() -> None:
    edges = tuple(float(edge) for edge in range(39))
    feature = NumericFeature(name="x", edges=edges, groups=tuple(range(40)))
    bins = bins_of(feature, np.ones(40))
    assert len(bins.labels) == MOST_BINS
    assert max(bins.shares(np.ones(40))) <= 4 / 40


def test_of_many_categories_ten_are_shown_and_the_rest_is_other() -> None:
    values = tuple(f"v{number:02d}" for number in range(30))
    feature = CategoryFeature(name="c", values=values)
    bins = bins_of(feature, np.array([*range(30), 0, 0], dtype=float))
    assert bins.labels[:2] == ("01: v29", "02: v28")
    assert bins.labels[-2:] == ("11: other", "12: unseen")
    assert bins.shares(np.ones(32))[-2:] == pytest.approx([21 / 32, 1 / 32])


def test_an_incomplete_list_has_others_and_no_unseen() -> None:
    feature = CategoryFeature(name="c", values=("a",), complete=False)
    bins = bins_of(feature, np.array([1.0, 2.0, 0.0]))
    assert bins.labels == ("01: a", "02: other")
    assert bins.shares(np.array([1.0, 2.0, 1.0])).tolist() == [0.25, 0.75]


def test_a_long_value_is_cut_and_stays_apart_from_its_like() -> None:
    feature = CategoryFeature(name="c", values=("x" * 100 + "1", "x" * 100 + "2"))
    first, second, _ = bins_of(feature, np.array([1.0, 1.0, 0.0, 0.0])).labels
    assert first == "01: " + "x" * 39 + "…"
    assert first != second


@pytest.mark.parametrize(
    "drift", [{"distributions": False}, {"min_rows": 10_000}, {"window": "7d"}], ids=["off", "few rows", "no window"]
)
def test_there_is_none_when_it_is_off_or_the_window_holds_too_little(drift: dict[str, Any]) -> None:
    model = model_of(drift=drift)
    samples, _ = measured(model, BASELINES["plain"], BINARY["plain"])
    assert by_bin(samples, names.FEATURE_DISTRIBUTION_RATIO, "x") == {}


def test_a_feature_without_a_value_in_the_reference_has_no_shares() -> None:
    model = model_of(drift={"min_rows": 1})
    baseline = built(model, [prediction(features={"x": None, "c": "a"})])
    samples, scope = measured(model, baseline, [prediction(features={"x": 1.0, "c": "a"})])
    assert by_bin(samples, names.FEATURE_DISTRIBUTION_RATIO, "x") == {}
    assert {sample.labels[1] for sample in reference_shares(model, scope.totals.layout)} == {"c"}
