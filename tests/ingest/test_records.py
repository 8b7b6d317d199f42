"""Validation: each reason of refusal once, with its neighbours unharmed, and what is let through."""

from typing import Any

import numpy as np
import pytest

from exporter.ingest.records import MAX_ID, MAX_VERSION, Sorted, sort_records
from exporter.monitor import REJECTIONS
from exporter.names import LATENCY_BOUNDS
from tests.strategies import (
    LATEST,
    Counting,
    Row,
    baseline_of,
    by_lines,
    counting,
    line_reader,
    lines,
    model_of,
    outcome,
    prediction,
)

MODEL = model_of()
ELSEWHERE = {
    "duplicate_id", "duplicate_outcome", "superseded_outcome", "orphan_outcome", "orphan_half", "too_many_versions",
    "malformed", "oversized",
}  # fmt: skip


def counts(**fields: Any) -> Row:
    return {"kind": "counts", "ts": 3.0, "model": "m", "version": "v", "requests": 5.0, **fields}


REFUSED: list[tuple[str, Row]] = [
    ("unknown_kind", prediction(kind="odd")),
    ("unknown_kind", prediction(kind=None)),
    ("unknown_kind", {}),
    ("unknown_model", prediction(model="other")),
    ("unknown_model", prediction(model={"m": 1})),
    ("invalid_version", prediction(version=None)),
    ("invalid_version", prediction(version="")),
    ("invalid_version", prediction(version=[1])),
    ("invalid_version", prediction(version="v" * (MAX_VERSION + 1))),
    ("invalid_timestamp", prediction(ts=None)),
    ("invalid_timestamp", prediction(ts="soon")),
    ("invalid_timestamp", prediction(ts=float("inf"))),
    ("invalid_timestamp", prediction(ts=-1.0)),
    ("future_timestamp", prediction(ts=LATEST + 1)),
    ("future_timestamp", prediction(ts=1.7e12)),
    ("invalid_id", prediction(id="i" * (MAX_ID + 1))),
    ("invalid_id", prediction(id="é" * (MAX_ID + 1))),
    ("invalid_id", prediction(id="")),
    ("invalid_id", outcome("i" * (MAX_ID + 1), 1)),
    ("invalid_score", prediction(score=1.01)),
    ("invalid_score", prediction(score=-0.01)),
    ("invalid_score", prediction(score="high")),
    ("invalid_score", prediction(score=float("inf"))),
    ("invalid_weight", prediction(weight=0)),
    ("invalid_weight", prediction(weight=-1)),
    ("invalid_weight", prediction(weight="heavy")),
    ("invalid_weight", prediction(weight=float("nan"))),
    ("invalid_weight", prediction(weight=float("inf"))),
    ("invalid_weight", prediction(weight=1e16)),
    ("missing_prediction", prediction(score=None)),
    ("missing_prediction", prediction(score=None, prediction={"a": 1})),
    ("missing_id", outcome(None, 1)),
    ("invalid_label", outcome("i", None)),
    ("invalid_label", outcome("i", [1])),
    ("invalid_counts", counts(requests=-1)),
    ("invalid_counts", counts(requests="many")),
    ("invalid_counts", counts(dropped=float("nan"))),
    ("invalid_counts", counts(skipped=float("inf"))),
    ("invalid_counts", counts(errors={"timeout": -1})),
    ("invalid_counts", counts(errors={"timeout": "two"})),
    ("invalid_counts", counts(errors=10**400)),
    ("invalid_counts", counts(latency_buckets=[1, 2])),
    ("invalid_counts", counts(latency_buckets={"0.1": 5, "+Inf": 3})),
    ("invalid_counts", counts(latency_buckets={"0.0001": 5, "0.0002": 3, "+Inf": 6})),
    ("invalid_counts", counts(latency_buckets={"NaN": 5})),
    ("invalid_counts", counts(latency_buckets={"fast": 5})),
    ("invalid_counts", counts(latency_sum=-1)),
]


@pytest.mark.parametrize(("reason", "row"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_bad_record_is_refused_by_name_and_its_neighbours_are_counted(reason: str, row: Row) -> None:
    neighbours = [prediction(id="before"), outcome("before", 1), counts()]
    found = by_lines(lines([*neighbours, row, *neighbours]), MODEL)
    assert found.rejected == {reason: 1}
    assert found.accepted == {"prediction": 2, "outcome": 2, "counts": 2}
    assert counting().profile(found).weight == 2


def test_every_reason_that_validation_gives_is_tried_and_declared() -> None:
    assert {reason for reason, _ in REFUSED} == set(REJECTIONS) - ELSEWHERE


def test_a_record_with_many_faults_is_refused_for_the_first_only() -> None:
    found = by_lines(lines([prediction(ts=-1, score=5, weight=0, id="")]), MODEL)
    assert found.rejected == {"invalid_timestamp": 1}


def test_limits_themselves_are_let_through() -> None:
    rows = [
        prediction(id="é" * MAX_ID),
        prediction(version="v" * MAX_VERSION),
        prediction(ts=LATEST),
        prediction(ts=0.0),
        prediction(score=0.0),
        prediction(score=1.0),
        prediction(weight=1e12),
        prediction(weight=1e-300),
    ]
    found = by_lines(lines(rows), MODEL)
    assert (found.accepted["prediction"], dict(found.rejected)) == (len(rows), {})


def test_a_failed_request_needs_no_prediction_and_predicts_nothing() -> None:
    for task in ("binary", "multiclass", "regression"):
        of = counting(task)
        row = prediction(score=None, error="timeout", latency_seconds=5.0)
        good = prediction(prediction=1.5)
        profile = of.of_rows([row, good])
        assert profile.part("served").tolist() == [2, 1]
        assert profile.part("output").sum() == 1
        assert profile.part("latency")[-1] == 5
        assert of.of_rows([{**row, "label": 1}]).part("labelled").sum() == 0


def test_records_later_than_the_question_are_passed_over_in_silence() -> None:
    [records], _ = line_reader().read(lines([prediction(5.0), prediction(6.0)]))
    found = sort_records(records, [MODEL], LATEST, until=5.0)
    assert found.accepted == {"prediction": 1}
    assert not found.rejected


def test_records_of_several_models_go_to_their_own() -> None:
    models = [MODEL, model_of(name="n")]
    [records], _ = line_reader().read(lines([prediction(id="1"), prediction(model="n", id="2"), prediction(id="3")]))
    found = sort_records(records, models, LATEST)
    ids = {
        name: [batch.ids.to_pylist() for batch in batches if batch.ids] for name, batches in found.predictions.items()
    }
    assert ids == {"m": [["1", "3"]], "n": [["2"]]}


def test_what_is_optional_and_useless_is_left_out() -> None:
    row = prediction(latency_seconds=-1, cost_usd=float("nan"))
    profile = counting().of_rows([row, prediction(latency_seconds="slow", cost_usd=-5)])
    assert profile.part("latency").sum() == 0
    assert profile.part("cost").sum() == 0


@pytest.mark.parametrize("label", [1, 1.0, True, "1", "1.0", "true"])
def test_a_label_means_the_same_in_every_kind(label: Any) -> None:
    profile = counting().of_rows([prediction(prediction="1", label=label)])
    assert profile.part("labelled").tolist() == [1, 1, 1, 1]


def test_a_regression_takes_numbers_and_refuses_the_rest() -> None:
    model = model_of("regression")
    rows = [
        prediction(prediction="2.5", label="abc"),
        prediction(prediction="abc"),
        prediction(prediction=float("inf")),
        outcome("i", "abc"),
        outcome("i", float("nan")),
        outcome("i", "2"),
    ]
    found = by_lines(lines(rows), model)
    assert found.rejected == {"missing_prediction": 2, "invalid_label": 2}
    [batch] = found.predictions["m"]
    assert (batch.rows, batch.label) == (1, None)


def test_probabilities_that_are_none_are_not_believed() -> None:
    of = Counting.of(model_of("multiclass"), baseline_of("multiclass"))
    for odd in ({"a": 2.0}, {"a": "x"}, {}, {"a": float("nan")}, 5, ["a"]):
        assert by_lines(lines([prediction(probabilities=odd)]), of.model).rejected == {"missing_prediction": 1}
        kept = of.of_rows([prediction(prediction="a", score=None, probabilities=odd)])
        assert kept.part("output")[0, -1] == 1
    named = of.of_rows([prediction(prediction="c", probabilities={"a": 0.9, "b": 0.1})])
    assert named.part("output")[2, 18] == 1


def test_a_report_keeps_its_buckets_apart() -> None:
    buckets = {"0.0003": 1, "0.1": 3, "0.2": 4, "+Inf": 6}
    found = by_lines(lines([counts(latency_buckets=buckets, latency_sum=9.5, errors=2, skipped=3)]), MODEL)
    [report] = found.reports["m"]
    cells = dict(zip([*LATENCY_BOUNDS, np.inf, "sum"], report.latency.tolist(), strict=True))
    assert {bound: count for bound, count in cells.items() if count} == {
        0.0005: 1,
        0.1: 2,
        0.25: 1,
        np.inf: 2,
        "sum": 9.5,
    }
    assert (report.errors, report.skipped, report.dropped) == ({"error": 2.0}, 3.0, 0.0)


def test_sorted_records_add_up() -> None:
    one, two = (by_lines(lines([prediction(ts), outcome("i", 1), counts()]), MODEL) for ts in (5.0, 9.0))
    one.add(two)
    assert one.accepted == {"prediction": 2, "outcome": 2, "counts": 2}
    assert one.newest == 9.0
    assert Sorted().newest == -np.inf
