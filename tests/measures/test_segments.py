"""By segment: the numbers of a value are those of its rows alone, against the reference's own rows of that value."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from exporter import names
from exporter.measures import Sample
from exporter.names import Family
from exporter.stats.auc import auc
from tests.strategies import Row, binary_rows, built, measured, model_of, prediction, value_of

PLANS = ("free", "pro")
MODEL = model_of(segments=["plan"], drift={"min_rows": 50, "methods": ["psi", "ks"]})
PLAIN = model_of(drift={"min_rows": 50, "methods": ["psi", "ks"]})
SAME = {
    names.SEGMENT_PREDICTIONS_IN_WINDOW: names.PREDICTIONS_IN_WINDOW,
    names.SEGMENT_ACCURACY: names.MODEL_ACCURACY,
    names.SEGMENT_ACCURACY_LOWER: names.MODEL_ACCURACY_LOWER,
    names.SEGMENT_ACCURACY_UPPER: names.MODEL_ACCURACY_UPPER,
    names.SEGMENT_MAE: names.MODEL_MAE,
    names.SEGMENT_OUTCOME_COVERAGE_RATIO: names.MODEL_OUTCOME_COVERAGE_RATIO,
    names.SEGMENT_LOW_CONFIDENCE_RATIO: names.LOW_CONFIDENCE_RATIO,
}


def of_plans(rows: Sequence[Row], *plans: Any) -> list[Row]:
    """The rows in turn of each plan; weighted, and some of them failed or without a label."""
    mixed = []
    for place, row in enumerate(rows):
        more: Row = {"weight": 1.0 + place % 4, "segments": {"plan": plans[place % len(plans)]}}
        more |= {"label": None} if place % 7 == 0 else {}
        mixed.append({**row, **more, **({"error": "timeout"} if place % 11 == 0 else {})})
    return mixed


def of_plan(rows: Sequence[Row], plan: Any) -> list[Row]:
    return [row for row in rows if row["segments"]["plan"] == plan]


def found(samples: Sequence[Sample], family: Family, plan: str, *more: str) -> float | None:
    return value_of(samples, family, "plan", plan, *more)


def near(value: float | None, within: float) -> Any:
    return None if value is None else pytest.approx(value, rel=within)


WIDER = 0.1  # ten groups of wider cells hold other shares than ten of the whole's cells
REFERENCE = of_plans(binary_rows(1, 3_000), *PLANS)
CURRENT = of_plans([*binary_rows(2, 1_000), *({**r, "score": r["score"] ** 2} for r in binary_rows(3, 1_000))], *PLANS)


def test_the_numbers_of_a_value_are_those_of_its_rows_alone() -> None:
    samples, _ = measured(MODEL, built(MODEL, REFERENCE), CURRENT)
    for plan in PLANS:
        alone, _ = measured(PLAIN, built(PLAIN, of_plan(REFERENCE, plan)), of_plan(CURRENT, plan))
        for family, whole in SAME.items():
            assert found(samples, family, plan) == near(value_of(alone, whole), 1e-12), family.name
        area = found(samples, names.SEGMENT_AUC, plan)
        assert area == pytest.approx(value_of(alone, names.MODEL_AUC), abs=1e-3)
        for method in ("psi", "ks"):
            score = found(samples, names.SEGMENT_PREDICTION_DRIFT_SCORE, plan, method)
            assert score == near(value_of(alone, names.PREDICTION_DRIFT_SCORE, method), WIDER)


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_other_tasks_have_their_own_numbers(task: str) -> None:
    def rows(seed: int, count: int) -> list[Row]:
        made = [{**row, "prediction": row["score"] * 3, "label": row["score"] * 3 + row["features"]["x"]}
                if task == "regression" else {**row, "prediction": row["features"]["c"], "label": "a"}
                for row in binary_rows(seed, count)]  # fmt: skip
        return of_plans(made, *PLANS)

    model = model_of(task, segments=["plan"], drift={"min_rows": 50, "methods": ["psi"]})
    plain = model_of(task, drift={"min_rows": 50, "methods": ["psi"]})
    samples, _ = measured(model, built(model, rows(1, 1_000)), rows(2, 800))
    for plan in PLANS:
        alone, _ = measured(plain, built(plain, rows(1, 1_000)), of_plan(rows(2, 800), plan))
        for family, whole in SAME.items():
            assert found(samples, family, plan) == near(value_of(alone, whole), 1e-12), family.name
        assert found(samples, names.SEGMENT_AUC, plan) is None
        assert (found(samples, names.SEGMENT_MAE, plan) is None) == (task != "regression")
        assert (found(samples, names.SEGMENT_PREDICTION_DRIFT_SCORE, plan, "psi") or 1) < 0.2


def test_what_is_not_listed_is_other_and_what_is_not_there_missing() -> None:
    rows = of_plans(binary_rows(1, 600), "free", "free", "pro", 'o"\n\\', None)
    model = model_of(segments=[{"name": "plan", "max_values": 2}])
    baseline = built(model, rows)
    assert baseline.segments[0].values == ("free", 'o"\n\\') or baseline.segments[0].values == ("free", "pro")
    samples, _ = measured(model, baseline, rows)
    told = {s.labels[-1] for s in samples if s.family is names.SEGMENT_PREDICTIONS_IN_WINDOW}
    assert told == {*baseline.segments[0].values, "other", "missing"}
    whole = sum(s.value for s in samples if s.family is names.SEGMENT_PREDICTIONS_IN_WINDOW)  # type: ignore[misc]  # a gauge
    assert whole == pytest.approx(value_of(samples, names.PREDICTIONS_IN_WINDOW))


def test_a_value_without_rows_in_the_window_has_no_series() -> None:
    samples, _ = measured(MODEL, built(MODEL, REFERENCE), of_plan(CURRENT, "pro"))
    assert {s.labels[4] for s in samples if names.SEGMENT in s.family.labels} == {"pro"}


def test_too_few_rows_of_a_value_give_no_drift() -> None:
    current = [*of_plan(CURRENT, "pro"), *of_plan(CURRENT, "free")[:40]]
    samples, _ = measured(MODEL, built(MODEL, REFERENCE), current)
    assert found(samples, names.SEGMENT_PREDICTION_DRIFT_SCORE, "free", "psi") is None
    assert found(samples, names.SEGMENT_PREDICTION_DRIFT_SCORE, "pro", "psi") is not None
    assert found(samples, names.SEGMENT_ACCURACY, "free") is not None


def test_a_value_that_the_reference_tells_but_does_not_hold_has_no_drift() -> None:
    model = model_of(segments=[{"name": "plan", "values": ["free", "new"]}], drift={"min_rows": 50})
    current = of_plans(binary_rows(2, 600), "free", "new")
    samples, _ = measured(model, built(model, REFERENCE), current)
    assert found(samples, names.SEGMENT_PREDICTION_DRIFT_SCORE, "free", "psi") is not None
    assert found(samples, names.SEGMENT_PREDICTION_DRIFT_SCORE, "new", "psi") is None


def test_a_reference_without_the_column_is_taken_whole() -> None:
    listed = model_of(segments=[{"name": "plan", "values": PLANS}], drift={"min_rows": 50, "methods": ["psi"]})
    without = [{name: value for name, value in row.items() if name != "segments"} for row in REFERENCE]
    samples, _ = measured(listed, built(listed, without), CURRENT)
    for plan in PLANS:
        alone, _ = measured(PLAIN, built(PLAIN, without), of_plan(CURRENT, plan))
        score = found(samples, names.SEGMENT_PREDICTION_DRIFT_SCORE, plan, "psi")
        assert score == near(value_of(alone, names.PREDICTION_DRIFT_SCORE, "psi"), WIDER)


def test_classes_without_scores_drift_by_class() -> None:
    model = model_of(segments=["plan"], drift={"min_rows": 50, "methods": ["psi"]})
    reference = of_plans([prediction(score=None, prediction=k % 2) for k in range(600)], "pro")
    current = of_plans([prediction(score=None, prediction=k % 4 // 3) for k in range(600)], "pro")
    samples, _ = measured(model, built(model, reference), current)
    alone, _ = measured(model, built(model, reference), current)
    score = found(samples, names.SEGMENT_PREDICTION_DRIFT_SCORE, "pro", "psi")
    assert score == value_of(alone, names.PREDICTION_DRIFT_SCORE, "psi")
    assert score is not None
    assert found(samples, names.SEGMENT_AUC, "pro") is None


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_wider_score_cells_cost_little_of_the_auc(spread: float) -> None:
    """Of normal logits, the exact AUC of the rows beside that of the segment's cells."""
    rng = np.random.default_rng(5)
    label = rng.random(4_000) < 0.5
    score = 1 / (1 + np.exp(-spread * (rng.normal(size=4_000) + label)))
    rows = [
        prediction(score=float(s), label=int(y), segments={"plan": "pro"}) for s, y in zip(score, label, strict=True)
    ]
    samples, _ = measured(MODEL, built(MODEL, rows[:200]), rows)
    order = np.unique(score, return_inverse=True)[1]
    exact = auc(np.bincount(order, weights=label), np.bincount(order, weights=~label))
    assert found(samples, names.SEGMENT_AUC, "pro") == pytest.approx(exact, abs={0.5: 3e-3}.get(spread, 1e-3))
