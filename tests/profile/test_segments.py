"""Counts by segment: each value's cells are those of its rows alone, whatever the task and wherever the value stood."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.baseline import SegmentValues
from exporter.profile.columns import texts_of
from exporter.profile.layout import SCORES_AS_ONE, Profile, feature_part, segment_feature_part, segment_part
from exporter.profile.segments import segment_column
from tests.strategies import Counting, Row, baseline_of, by_lines, lines, model_of, predictions, schema_of

TASKS = ("binary", "multiclass", "regression")
PLAN = SegmentValues(name="plan", values=("free", "pro"), features=("x", "c"))
C = SegmentValues(name="c", values=("a", "b"), features=("x",))
COUNTINGS = {
    task: Counting.of(
        model_of(task, segments=[{"name": "plan", "values": PLAN.values}, {"name": "c", "values": C.values}]),
        baseline_of(task, segments=(PLAN, C)),
    )
    for task in TASKS
}
plans: st.SearchStrategy[Any] = st.sampled_from(
    [{}, None, {"plan": "free"}, {"plan": "pro"}, {"plan": 'ot"her\n'}, {"plan": None}, {"plan": [1]},
     {"plan": "pro", "c": "b"}, {"c": 7}, [1], "free"]
)  # fmt: skip


@st.composite
def segmented(draw: st.DrawFn) -> Row:
    return {**draw(predictions()), "segments": draw(plans)}


rows = st.lists(segmented(), max_size=12)
few = settings(max_examples=25)  # each example reads and counts several batches


def of_task(task: str, drawn: list[Row]) -> list[Row]:
    number = {"regression": 1.5, "multiclass": "a", "binary": 1}[task]
    return [{**row, "prediction": row.get("prediction") or number} for row in drawn]


def value(row: Row, segment: SegmentValues) -> str:
    """The label that a row counts under, worked out by hand."""
    own = row["segments"].get(segment.name) if isinstance(row["segments"], dict) else None
    text = own if own is not None else (row.get("features") or {}).get(segment.name) if segment is C else own
    if text is None or texts_of([text]).texts == (None,):  # JSON objects and arrays, written as such or as texts
        return "missing"
    return str(text) if text in segment.values else "other"


def by_value(profile: Profile, segment: SegmentValues, part: str) -> np.ndarray[Any, Any]:
    return profile.part(segment_part(segment.name, part))


@few
@given(st.sampled_from(TASKS), rows)
def test_a_value_counts_what_its_rows_alone_give_the_whole(task: str, drawn: list[Row]) -> None:
    of, drawn = COUNTINGS[task], of_task(task, drawn)
    profile = of.of_rows(drawn)
    for segment in (PLAN, C):
        for cell, label in enumerate(segment.labels):
            alone = of.of_rows([row for row in drawn if value(row, segment) == label])
            for part, whole in expected(alone).items():
                np.testing.assert_allclose(by_value(profile, segment, part)[cell], whole, rtol=1e-12, err_msg=part)
            for name in segment.features:
                told = profile.part(segment_feature_part(segment.name, name))[cell]
                np.testing.assert_allclose(told, merged(alone, name), rtol=1e-12, err_msg=name)


def merged(alone: Profile, name: str) -> np.ndarray[Any, Any]:
    """A feature's merged cells from those of the whole, and last what holds no value."""
    [feature] = [one for one in alone.layout.features if one.name == name]
    cells = alone.part(feature_part(name))
    return np.append(np.add.reduceat(cells[: feature.placed], feature.groups), cells[feature.placed :].sum())


def expected(alone: Profile) -> dict[str, Any]:
    """The parts of a segment from the parts of the whole."""
    parts: dict[str, Any] = {
        "rows": alone.part("rows")[1:],
        "labelled": alone.part("labelled")[1:],
        "unsure": alone.part("unsure"),
        "failed": alone.part("served")[1:],
    }
    match alone.layout.baseline.task:
        case "binary":
            parts |= {"output": wide(alone.part("output")), "outcome": wide(alone.part("outcome").sum(axis=1))}
        case "multiclass":
            parts["output"] = alone.part("output").sum(axis=1)
        case "regression":
            parts |= {"output": alone.part("output"), "losses": alone.part("losses")[:2]}
    return parts


def wide(cells: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Score cells taken together as a segment does, the one for no score aside."""
    merged = cells[:, :-1].reshape(2, -1, SCORES_AS_ONE).sum(axis=2)
    return np.hstack((merged, cells[:, -1:]))


@few
@given(st.sampled_from(TASKS), rows)
def test_every_row_counts_once_in_each_segment(task: str, drawn: list[Row]) -> None:
    profile = COUNTINGS[task].of_rows(of_task(task, drawn))
    for segment in (PLAN, C):
        assert by_value(profile, segment, "rows")[:, 0].sum() == pytest.approx(profile.weight, rel=1e-12)


@few
@given(rows)
def test_the_cells_of_all_segments_are_kept_as_one_number(drawn: list[Row]) -> None:
    of = COUNTINGS["binary"]
    for batch in by_lines(lines(drawn), of.model, schema_of(of.kernel.layout.baseline)).predictions.get("m", []):
        joint = of.kernel.scored(batch).segments
        assert joint is not None
        assert ((joint >= 0) & (joint < len(PLAN.labels) * len(C.labels))).all()
        plan = segment_column(batch, "plan", set())
        assert plan is not None
        free = np.array([text == "free" for text in plan.decode()])
        np.testing.assert_array_equal(joint // len(C.labels) == 0, free)


def test_a_model_without_segments_keeps_nothing_of_them() -> None:
    of = Counting.of(model_of(), baseline_of())
    [batch] = by_lines(lines([{"kind": "prediction", "ts": 1, "model": "m", "version": "v", "score": 0.5,
                               "segments": {"plan": "pro"}}]), of.model).predictions["m"]  # fmt: skip
    assert batch.segments == {}
    assert of.kernel.scored(batch).segments is None
    assert not [name for name in of.kernel.layout.shapes if name.startswith("segment")]


def test_no_two_features_of_segments_share_a_part() -> None:
    pairs = [("a", "b:c"), ("c:a", "b"), ("a:b", "c"), ("a", "b"), ("b", "a")]
    assert len({segment_feature_part(*pair) for pair in pairs}) == len(pairs)


def test_a_records_own_value_goes_before_its_features() -> None:
    of = COUNTINGS["binary"]
    row = {"kind": "prediction", "ts": 1, "model": "m", "version": "v", "score": 0.5, "features": {"c": "a"}}
    profile = of.of_rows([row, {**row, "segments": {"c": "b"}}, {**row, "segments": {"c": None}}])
    assert by_value(profile, C, "rows")[:, 0].tolist() == [2, 1, 0, 0]


def test_a_feature_that_is_a_number_is_no_segment() -> None:
    of = Counting.of(model_of(), baseline_of(segments=(SegmentValues(name="x", values=("0.25",)),)))
    row = {"kind": "prediction", "ts": 1, "model": "m", "version": "v", "score": 0.5, "features": {"x": 0.25}}
    assert of.of_rows([row]).part(segment_part("x", "rows"))[:, 0].tolist() == [0, 0, 1]


def test_texts_of_both_columns_are_told_apart() -> None:
    of = COUNTINGS["binary"]
    row = {"kind": "prediction", "ts": 1, "model": "m", "version": "v", "score": 0.5}
    text = lines([{**row, "segments": {"c": "x"}}, {**row, "features": {"c": "y"}}, row])
    [batch] = by_lines(text, of.model, schema_of(of.kernel.layout.baseline)).predictions["m"]
    column = segment_column(batch, "c", {"c"})
    assert column is not None
    assert column.decode() == texts_of(["x", "y", None]).decode()
