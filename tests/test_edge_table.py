"""The edge table: what every exported family of every task says of unusual windows and references.

Each case names the families that have no series then; every other one has, with finite values within its range and
between its bounds. A family that is new must stand in the table, as all of the vocabulary must be seen here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from exporter import names
from exporter.measures import Sample
from exporter.names import Family, Row
from tests.edges import TASKS, WINDOW, Change, Seen, reference_of, seen, usual
from tests.strategies import Row as Record
from tests.strategies import value_of

Families = frozenset[Family]


def families(*prefixes: str) -> Families:
    """The families whose names start with one of `prefixes`."""
    found = frozenset(of for of in names.FAMILIES if of.name.startswith(prefixes))
    assert all(any(of.name.startswith(prefix) for of in found) for prefix in prefixes)
    return found


ASKED_FOR = families("segment_", "feature_recent", "prediction_recent")  # by the configuration; not asked for here
# Told by counts records, by outcomes that come later, and while serving.
OF_OTHER_RECORDS = families("prediction_log_completeness", "model_outcome_maturity", "sampling_savings")
OF_THE_BASELINE = frozenset({names.FEATURE_REFERENCE_RATIO})  # told whatever a window holds
MODELS = frozenset(of for of in names.FAMILIES if of.row is not Row.EXPORTER and names.MODEL_NAME in of.labels)
ALL = MODELS - ASKED_FOR - OF_OTHER_RECORDS - OF_THE_BASELINE
WINDOWED = frozenset(of for of in ALL if names.WINDOW in of.labels)
OF_TASK = {  # beside those that every task has
    "binary": families("model_accuracy", "model_auc", "model_precision", "model_recall", "model_f1", "model_log_loss",
                       "model_brier", "model_calibration", "model_estimated", "concept_drift", "low_confidence",
                       "correct_predictions"),
    "multiclass": families("model_accuracy", "model_precision", "model_recall", "model_f1", "model_estimated_accuracy",
                           "low_confidence", "correct_predictions"),
    "regression": families("model_mae", "model_rmse", "model_r2"),
}  # fmt: skip
COMMON = ALL - frozenset().union(*OF_TASK.values())

COVERAGE = families("model_outcome_coverage")
COUNTED = frozenset({names.PREDICTIONS_IN_WINDOW, names.SERVING_COST_USD})
RELATIONS = families("multivariate_drift", "feature_correlation")
INPUT_DRIFT = families("feature_drift", "drifted_features", "feature_distribution") | RELATIONS
RANGES = frozenset({names.FEATURE_OUT_OF_RANGE_RATIO, names.FEATURE_UNSEEN_CATEGORY_RATIO})
AUC = families("model_auc")
RATIO = frozenset({names.MODEL_PERFORMANCE_BASELINE_RATIO})
LABELLED = RATIO | families(
    "model_accuracy", "model_auc", "model_precision", "model_recall", "model_f1", "model_log_loss", "model_brier",
    "model_calibration", "model_mae", "model_rmse", "model_r2", "concept_drift", "outcome_drift",
)  # fmt: skip
PREDICTED = families("model_estimated", "prediction_drift", "low_confidence")
OUTPUT_DRIFT = families("prediction_drift", "outcome_drift", "concept_drift")
R2 = frozenset({names.MODEL_R2})


def same(rows: list[Record]) -> list[Record]:
    return rows


def each(**fields: Any) -> Callable[[list[Record]], list[Record]]:
    return lambda rows: [{**row, **fields} for row in rows]


def inputs(**features: Any) -> Change:
    return lambda row: {**row, "features": {**row["features"], **features}}


def heavy(rows: list[Record]) -> list[Record]:
    return [{**row, "weight": 1 if place else 1e15} for place, row in enumerate(rows)]


@dataclass(frozen=True)
class Case:
    """A window, a reference, what has no series then (in all tasks, and in one), some values, what was refused."""

    window: Callable[[list[Record]], list[Record]] = same
    reference: Change | None = None
    absent: Families = frozenset()
    absent_of: Mapping[str, Families] = field(default_factory=dict)
    says: Mapping[Family, float] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    tasks: tuple[str, ...] = TASKS


EMPTY = (WINDOWED | COVERAGE) - COUNTED - {names.PREDICTION_ANOMALY_SCORE}  # an outage is an anomaly of the volume
NO_ROWS = {names.PREDICTIONS_IN_WINDOW: 0.0, names.SERVING_COST_USD: 0.0}
ONE = {"binary": 1, "multiclass": "a", "regression": 3.0}


def of_one_class(task: str) -> Case:
    return Case(each(prediction=ONE[task], label=ONE[task]), absent=AUC | R2, absent_of={"regression": RATIO},
                says={names.MODEL_ACCURACY: 1.0, names.MODEL_F1: 1.0, names.MODEL_MAE: 0.0}, tasks=(task,))  # fmt: skip


CASES = {
    "usual": Case(says={names.PREDICTIONS_IN_WINDOW: WINDOW}),
    "empty": Case(lambda _: [], absent=EMPTY, says=NO_ROWS),
    "one row, binary": Case(
        lambda rows: [{**rows[0], "score": 0.7, "prediction": 1}],
        absent=INPUT_DRIFT | OUTPUT_DRIFT | AUC, tasks=("binary",), says={names.PREDICTIONS_IN_WINDOW: 1.0}),
    "one row, not binary": Case(
        lambda rows: rows[:1], absent=INPUT_DRIFT | OUTPUT_DRIFT | R2, tasks=("multiclass", "regression"),
        says={names.PREDICTIONS_IN_WINDOW: 1.0}),
    **{f"one class, {task}": of_one_class(task) for task in TASKS},
    "one category": Case(lambda rows: [inputs(c="a")(row) for row in rows]),
    "all missing": Case(
        each(features=None, label=None, latency_seconds=None, cost_usd=None), absent=INPUT_DRIFT | RANGES | LABELLED,
        says={names.FEATURE_COMPLETENESS: 0.0, names.MODEL_OUTCOME_COVERAGE_RATIO: 0.0,
              names.REPEATED_INPUTS_RATIO: (1 - 1 / WINDOW) ** 0.5}),
    "NaN and infinities": Case(
        lambda rows: [inputs(x=float("inf"), y=float("nan"))(row) for row in rows],
        absent=RELATIONS | {names.FEATURE_OUT_OF_RANGE_RATIO}, says={names.FEATURE_COMPLETENESS: 1.0}),
    "constant reference": Case(
        reference=inputs(x=1.0, y=1.0, c="a"), absent=RELATIONS | {names.FEATURE_DRIFT_THRESHOLD},
        says={names.FEATURE_DRIFTED: 1.0, names.FEATURE_OUT_OF_RANGE_RATIO: 1.0}),
    "reference all missing": Case(
        reference=lambda row: {**row, "features": dict.fromkeys(row["features"]), "label": None},
        absent=INPUT_DRIFT | families("model_estimated", "concept_drift", "outcome_drift") | RATIO
        | {names.FEATURE_OUT_OF_RANGE_RATIO},
        says={names.FEATURE_UNSEEN_CATEGORY_RATIO: 1.0}),
    "unseen categories only": Case(
        lambda rows: [inputs(c="new")(row) for row in rows], says={names.FEATURE_UNSEEN_CATEGORY_RATIO: 1.0}),
    "one huge weight": Case(
        heavy, absent=INPUT_DRIFT | OUTPUT_DRIFT | R2 | (AUC - {names.MODEL_AUC}),
        says={names.PREDICTIONS_IN_WINDOW: 1e15 + WINDOW - 1, names.REPEATED_INPUTS_RATIO: 0.0}),
    "all weights huge": Case(each(weight=1e15), says={names.PREDICTIONS_IN_WINDOW: 1e15 * WINDOW}),
    "all weights tiny": Case(each(weight=1e-12)),
    "zero weights": Case(each(weight=0), absent=EMPTY, says=NO_ROWS, refused={"invalid_weight": WINDOW}),
    "scores above 1": Case(each(score=1.5), absent=EMPTY, says=NO_ROWS, refused={"invalid_score": WINDOW}),
    "scores below 0": Case(each(score=-1e-9), absent=EMPTY, says=NO_ROWS, refused={"invalid_score": WINDOW}),
    "labels true and false": Case(
        lambda rows: [{**row, "label": bool(row["label"])} for row in rows], tasks=("binary",)),
    "labels as texts": Case(lambda rows: [{**row, "label": str(row["label"])} for row in rows]),
    "numbers where labels are texts": Case(
        each(label=7), tasks=("multiclass",),
        says={names.MODEL_ACCURACY: 0.0, names.MODEL_OUTCOME_COVERAGE_RATIO: 1.0}),
    "texts where labels are numbers": Case(
        each(label="abc"), absent=LABELLED, tasks=("regression",), says={names.MODEL_OUTCOME_COVERAGE_RATIO: 0.0}),
    "all failed": Case(
        each(error="oom", score=None, prediction=None),
        absent=LABELLED | PREDICTED | COVERAGE,
        says={names.PREDICTIONS_IN_WINDOW: WINDOW}),
}  # fmt: skip
BY_TASK = [(name, task) for name, case in CASES.items() for task in case.tasks]


@pytest.mark.parametrize(("name", "task"), BY_TASK)
def test_every_family_has_its_defined_answer(name: str, task: str) -> None:
    case, baseline = CASES[name], reference_of(task, CASES[name].reference)
    found = seen(task, case.window(usual(task, 2, WINDOW, 86_400 / WINDOW)), baseline)
    here = COMMON | OF_TASK[task]
    absent = case.absent | case.absent_of.get(task, frozenset())
    told = {sample.family for sample in found.samples if sample.family.row is not Row.EXPORTER}
    assert named(told) == named(here - absent)
    assert dict(found.rejected) == case.refused
    assert_sound(found)
    for family, value in case.says.items():
        if family in here:
            assert value in [pytest.approx(of) for of in values(found.samples, family)], family.name


def named(of: set[Family] | Families) -> list[str]:
    return sorted(family.name for family in of)


def values(samples: list[Sample], family: Family) -> list[float]:
    return [sample.value for sample in samples if sample.family is family and isinstance(sample.value, float)]


def assert_sound(found: Seen) -> None:
    """Finite, shares from 0 to 1, and no value outside its bounds."""
    by_name = {family.name: family for family in names.FAMILIES}
    for sample in found.samples:
        if not isinstance(sample.value, float):
            continue
        assert abs(sample.value) < float("inf"), sample
        if "(0..1)" in sample.family.help and names.METHOD not in sample.family.labels:
            assert 0 <= sample.value <= 1, sample
        for end, sign in (("_lower", 1), ("_upper", -1)):
            if sample.family.name.endswith(end):
                middle = value_of(found.samples, by_name[sample.family.name.removesuffix(end)], *sample.labels)
                assert middle is not None
                assert sign * (middle - sample.value) >= -1e-9, sample
