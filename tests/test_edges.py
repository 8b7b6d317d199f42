"""What has no answer, and what has a defined one: empty, constant, missing, unseen, huge and tiny."""

from typing import Any

import numpy as np
import pytest

from exporter import names
from exporter.baseline import Baseline
from exporter.config import Model
from tests.strategies import Row, binary_rows, built, measured, model_of, prediction, value_of

MODEL = model_of()
REFERENCE = built(MODEL, binary_rows(11, 3_000))


def drift_of(model: Model, baseline: Baseline, rows: list[Row], feature: str = "x") -> dict[str, float | None]:
    samples, _ = measured(model, baseline, rows)
    found: dict[str, float | None] = {
        m: value_of(samples, names.FEATURE_DRIFT_SCORE, "1d", feature, m) for m in model.drift.methods
    }
    return {**found, "drifted": value_of(samples, names.FEATURE_DRIFTED, feature)}


def of_x(values: list[Any], count: int = 300) -> list[Row]:
    return [prediction(features={"x": values[row % len(values)], "c": "a"}) for row in range(count)]


NOTHING = dict.fromkeys(("psi", "js", "ks", "chi2", "drifted"))


def test_a_constant_feature_that_stays_has_no_drift_and_one_that_changes_has_all() -> None:
    constant = built(MODEL, of_x([7.0]))
    assert drift_of(MODEL, constant, of_x([7.0])) == {"psi": 0, "js": 0, "ks": 0, "chi2": None, "drifted": 0}
    moved = drift_of(MODEL, constant, of_x([7.5]))
    assert (moved["js"], moved["ks"], moved["drifted"]) == (1, 1, 1)
    assert (moved["psi"] or 0) > 5


def test_an_all_missing_feature_has_no_drift_series_and_its_completeness_tells() -> None:
    normal, gone = of_x(np.linspace(-1, 1, 300).tolist()), of_x([None])
    assert drift_of(MODEL, built(MODEL, normal), gone) == NOTHING
    assert drift_of(MODEL, built(MODEL, gone), normal) == NOTHING
    samples, _ = measured(MODEL, built(MODEL, normal), gone)
    assert value_of(samples, names.FEATURE_COMPLETENESS, "x") == 0.0
    assert value_of(samples, names.FEATURE_OUT_OF_RANGE_RATIO, "x") is None
    infinite = of_x([float("inf"), float("-inf")])
    assert drift_of(MODEL, built(MODEL, normal), infinite) == NOTHING


def test_categories_that_were_never_seen_are_all_drift() -> None:
    reference = built(MODEL, [prediction(features={"c": "a"})] * 300)
    found = drift_of(MODEL, reference, [prediction(features={"c": "z"})] * 300, "c")
    assert (found["js"], found["ks"], found["drifted"]) == (1, None, 1)


def test_too_few_effective_rows_give_no_drift() -> None:
    reference = built(MODEL, of_x(np.linspace(-1, 1, 300).tolist()))
    assert drift_of(MODEL, reference, of_x([0.5], 199)) == NOTHING
    assert drift_of(MODEL, reference, of_x([0.5], 200))["drifted"] == 1
    half_missing = of_x([0.5, None], 398)
    assert drift_of(MODEL, reference, half_missing) == NOTHING
    heavy = [{**row, "weight": 1e12 if place == 0 else 1} for place, row in enumerate(of_x([0.5], 300))]
    assert drift_of(MODEL, reference, heavy) == NOTHING


def test_weights_of_any_size_change_nothing_when_all_are_alike() -> None:
    rows = binary_rows(51, 500, shift=0.5)
    plain, _ = measured(MODEL, REFERENCE, rows)
    ratios = [names.FEATURE_DRIFT_SCORE, names.MODEL_ACCURACY, names.MODEL_ACCURACY_LOWER, names.MODEL_AUC]
    for weight in (1e12, 1e-12):
        scaled, _ = measured(MODEL, REFERENCE, [{**row, "weight": weight} for row in rows])
        for one, other in zip(plain, scaled, strict=True):
            if one.family in ratios:
                assert other.value == pytest.approx(one.value, rel=1e-9)


EDGES: dict[str, tuple[list[Row], dict[str, float | None]]] = {
    "nothing": ([], {"accuracy": None, "auc": None, "window": 0, "complete": None, "cost": 0}),
    "one row": ([prediction(label=1)], {"accuracy": 1, "auc": None, "window": 1, "complete": 1}),
    "one class": ([prediction(label=1)] * 5, {"accuracy": 1, "auc": None, "precision": 1, "recall": 1}),
    "no positives": ([prediction(score=0.1, label=0)] * 5,
                     {"accuracy": 1, "precision": None, "recall": None, "f1": None}),
    "never predicted": ([prediction(score=0.1, label=1)] * 5, {"accuracy": 0, "precision": None, "recall": 0, "f1": 0}),
    "scores outside": ([prediction(score=1.5, label=1)], {"accuracy": None, "window": 0}),
    "no scores": ([prediction(score=None, prediction=1, label=1)] * 5, {"accuracy": 1, "auc": None, "brier": None}),
    "sure and wrong": ([prediction(score=0.0, label=1)], {"log loss": -np.log(1e-15), "brier": 1}),
    "labels of another kind": (
        [prediction(prediction=1, label=kind) for kind in (True, "1", 1.0, "true")], {"accuracy": 1}),
    "all failed": ([prediction(score=None, error="oom", label=1)] * 3,
                   {"accuracy": None, "coverage": None, "window": 3}),
    "huge and tiny weights": (
        [prediction(weight=1e12, label=1), prediction(weight=1e-12, label=0)], {"accuracy": 1, "window": 1e12}),
}  # fmt: skip
FAMILIES = {
    "accuracy": names.MODEL_ACCURACY,
    "auc": names.MODEL_AUC,
    "precision": names.MODEL_PRECISION,
    "recall": names.MODEL_RECALL,
    "f1": names.MODEL_F1,
    "brier": names.MODEL_BRIER_SCORE,
    "log loss": names.MODEL_LOG_LOSS,
    "coverage": names.MODEL_OUTCOME_COVERAGE_RATIO,
    "window": names.PREDICTIONS_IN_WINDOW,
    "cost": names.SERVING_COST_USD,
}


@pytest.mark.parametrize("name", EDGES)
def test_edges_have_a_defined_answer(name: str) -> None:
    rows, expected = EDGES[name]
    samples, _ = measured(MODEL, REFERENCE, rows)
    for key, value in expected.items():
        family, labels = (names.FEATURE_COMPLETENESS, ("x",)) if key == "complete" else (FAMILIES[key], ())
        assert value_of(samples, family, *labels) == (None if value is None else pytest.approx(value, rel=1e-9)), key
    numbers = [sample.value for sample in samples if isinstance(sample.value, float)]
    assert np.isfinite(numbers).all()


def test_sums_that_overflow_leave_their_series_out_and_no_others() -> None:
    model = model_of("regression")
    rows = [prediction(score=None, prediction=float(k), label=float(k) + 1) for k in range(50)]
    samples, _ = measured(model, built(model, rows), [*rows, prediction(prediction=1e200, label=-1e200)])
    assert value_of(samples, names.MODEL_RMSE) is None
    assert value_of(samples, names.MODEL_R2) is None
    assert (value_of(samples, names.MODEL_MAE) or 0) > 1e198
    assert value_of(samples, names.PREDICTIONS_IN_WINDOW) == 51


def test_baseline_ratios_are_below_one_when_things_are_worse() -> None:
    good = [prediction(score=0.9, label=1), prediction(score=0.2, label=0)] * 50
    bad = [prediction(score=0.6, label=1), prediction(score=0.4, label=0), prediction(score=0.6, label=0)] * 50
    samples, _ = measured(MODEL, built(MODEL, good), bad)
    for metric in ("accuracy", "auc", "log_loss", "brier_score"):
        assert 0 < (value_of(samples, names.MODEL_PERFORMANCE_BASELINE_RATIO, metric) or 0) < 1
    assert value_of(samples, names.MODEL_PERFORMANCE_BASELINE_RATIO, "calibration_error") is None
