"""Features by segment: each value's rows against the reference's rows of that value, or nothing."""

from typing import Any

import numpy as np
import pytest

from exporter import names
from exporter.baseline import Baseline, CategoryFeature
from exporter.measures import Sample
from exporter.profile.columns import Floats
from exporter.stats.distances import js, psi
from exporter.stats.significance import effective_sample_size
from tests.measures.test_segments import PLANS, of_plan, of_plans
from tests.strategies import Row, binary_rows, built, measured, model_of, value_of

METHODS = ["psi", "js", "ks", "chi2", "wasserstein"]
DRIFT = {"min_rows": 50, "methods": METHODS}
LISTED = {"name": "plan", "features": ["x", "c"]}
MODEL = model_of(segments=[LISTED], drift=DRIFT)
REFERENCE = of_plans(binary_rows(1, 3_000), *PLANS)
FREE = of_plan(of_plans(binary_rows(2, 2_000), *PLANS), "free")
PRO = of_plan(of_plans(binary_rows(3, 2_000, shift=1), *PLANS), "pro")
CURRENT = [*FREE, *PRO]  # the shift is on one value alone


def score(samples: list[Sample], plan: str, feature: str, method: str = "psi") -> float | None:
    return value_of(samples, names.SEGMENT_FEATURE_DRIFT_SCORE, "plan", plan, feature, method)


def counted(rows: list[Row], baseline: Baseline, name: str) -> tuple[Floats, float]:
    """Weight by merged cell and effective rows, counted row by row."""
    [feature] = [one for one in baseline.features if one.name == name]
    counts, weights = np.zeros(len(feature.groups)), []
    for row in rows:
        value, weight = row["features"].get(name), row["weight"]
        if value is None:
            continue
        if isinstance(feature, CategoryFeature):
            known = feature.values.index(value) if value in feature.values else len(feature.values) + 1
            counts[known] += weight
        else:
            cell = sum(edge <= value for edge in feature.edges)
            counts[sum(start <= cell for start in feature.groups) - 1] += weight
        weights.append(weight)
    total = np.array([row["weight"] for row in rows])
    rows_of = effective_sample_size(float(total.sum()), float((total**2).sum()))
    return counts, float(rows_of) * sum(weights) / float(total.sum())


@pytest.mark.parametrize("feature", ["x", "c"])
@pytest.mark.parametrize("plan", PLANS)
def test_a_score_is_the_distance_of_the_values_own_rows(plan: str, feature: str) -> None:
    baseline = built(MODEL, REFERENCE)
    samples, _ = measured(MODEL, baseline, CURRENT)
    (expected, n), (current, m) = (counted(of_plan(rows, plan), baseline, feature) for rows in (REFERENCE, CURRENT))
    assert score(samples, plan, feature) == pytest.approx(psi(expected, current, n, m), rel=1e-9)
    assert score(samples, plan, feature, "js") == pytest.approx(js(expected, current), rel=1e-9)


def test_a_shift_on_one_value_is_told_there_alone() -> None:
    samples, _ = measured(MODEL, built(MODEL, REFERENCE), CURRENT)
    free, pro = (score(samples, plan, "x") or 0.0 for plan in PLANS)
    assert free < 0.1
    assert pro > 0.5


def test_methods_that_need_an_order_have_no_score() -> None:
    samples, _ = measured(MODEL, built(MODEL, REFERENCE), CURRENT)
    told = {sample.labels[-1] for sample in samples if sample.family is names.SEGMENT_FEATURE_DRIFT_SCORE}
    assert told == {"psi", "js", "chi2"}


def test_only_the_listed_features_are_told_and_none_by_default() -> None:
    for features, told in (([], set()), (["c"], {"c"})):
        model = model_of(segments=[{"name": "plan", "features": features}], drift=DRIFT)
        samples, _ = measured(model, built(model, REFERENCE), CURRENT)
        found = {s.labels[5] for s in samples if s.family is names.SEGMENT_FEATURE_DRIFT_SCORE}
        assert found == told


def without_values(rows: list[Row]) -> list[Row]:
    return [{**row, "features": {"x": None, "c": row["features"]["c"]}} for row in rows]


@pytest.mark.parametrize(
    "current",
    [[*PRO, *FREE[:40]], [*PRO, *without_values(FREE)], PRO],
    ids=["too few rows", "all missing", "no row"],
)
def test_too_few_rows_of_a_value_give_no_score(current: list[Row]) -> None:
    samples, _ = measured(MODEL, built(MODEL, REFERENCE), current)
    assert score(samples, "free", "x") is None
    assert score(samples, "pro", "x") is not None


def listed_values(*values: str) -> Any:
    return model_of(segments=[{**LISTED, "values": values}], drift=DRIFT)


def test_a_value_that_the_reference_tells_but_does_not_hold_has_no_score() -> None:
    model = listed_values("free", "new")
    samples, _ = measured(model, built(model, REFERENCE), of_plans(binary_rows(2, 600), "free", "new"))
    assert score(samples, "free", "x") is not None
    assert score(samples, "new", "x") is None


def test_a_reference_without_the_segment_is_taken_whole() -> None:
    model, plain = listed_values(*PLANS), model_of(drift=DRIFT)
    reference = [{name: value for name, value in row.items() if name != "segments"} for row in REFERENCE]
    samples, _ = measured(model, built(model, reference), CURRENT)
    for plan in PLANS:
        alone, _ = measured(plain, built(plain, reference), of_plan(CURRENT, plan))
        for feature in ("x", "c"):
            whole = value_of(alone, names.FEATURE_DRIFT_SCORE, feature, "psi")
            assert score(samples, plan, feature) == pytest.approx(whole, rel=1e-9)
