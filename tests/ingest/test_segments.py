"""Segments are read alike from every form of log, whatever stands in them."""

import io
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.errors import DataError
from exporter.ingest.parquet import ParquetReader
from exporter.ingest.records import Sorted
from exporter.ingest.schema import FeatureSchema
from tests.strategies import Row, by_lines, by_pipe, by_stream, lines, model_of, prediction, sort

MODEL = model_of()
SCHEMA = FeatureSchema(frozenset({"x"}), frozenset({"c"}), frozenset({"plan", "c", "a b.é'"}))
HOSTILE = 'q"u\\o\nte{}\t' + "long" * 500
GOOD: list[Any] = [
    {"plan": "free", "c": "z"}, {"plan": HOSTILE, "a b.é'": "x"}, {}, None, {"plan": None}, {"plan": ""},
    {"plan": 7, "unknown": {"deep": [1]}}, {"plan": 7.0}, {"plan": True}, {"plan": "other"},
]  # fmt: skip
ODD: list[Any] = [{"plan": ["free"]}, {"plan": {"a": 1}}, ["plan"], "plan", 3]


def rows(segments: list[Any]) -> list[Row]:
    return [prediction(float(2 + ts), segments=value) for ts, value in enumerate(segments)]


def texts(found: Sorted) -> dict[str, dict[float, str | None]]:
    """By segment and time, what each row holds."""
    held: dict[str, dict[float, str | None]] = {name: {} for name in SCHEMA.segments}
    for batch in found.predictions["m"]:
        for name, column in batch.segments.items():
            held[name] |= dict(zip(batch.ts.tolist(), column.decode(), strict=True))
    return held


def test_the_values_are_as_they_were_written_in_their_one_spelling() -> None:
    found = texts(by_lines(lines(rows(GOOD)), MODEL, SCHEMA))
    assert list(found["plan"].values()) == ["free", HOSTILE, None, None, None, "", "7", "7", "1", "other"]
    assert found["c"][2] == "z"
    assert found["a b.é'"][3] == "x"


@pytest.mark.parametrize("read", [by_pipe, by_stream])
def test_bulk_readers_agree_with_the_line_reader(read: Any) -> None:
    text = lines(rows(GOOD))
    assert texts(read(text, MODEL, SCHEMA)) == texts(by_lines(text, MODEL, SCHEMA))


@pytest.mark.parametrize("odd", ODD)
def test_a_value_of_a_wrong_type_is_missing_and_costs_nothing_else(odd: Any) -> None:
    text = lines(rows([odd, {"plan": "free"}]))
    found = by_lines(text, MODEL, SCHEMA)
    assert (found.accepted, found.rejected) == ({"prediction": 2}, {})
    expected = {2.0: None, 3.0: "free"}
    assert texts(found)["plan"] == expected
    try:
        bulk = by_pipe(text, MODEL, SCHEMA)
    except duckdb.Error:
        return  # then the lines are read one by one
    assert texts(bulk)["plan"] == expected


def by_table(table: pa.Table) -> Sorted:
    file = io.BytesIO()
    pq.write_table(table, file)
    return sort((records for _, records in ParquetReader(SCHEMA, "m").row_groups(file)), MODEL)


def test_parquet_holds_them_in_columns_or_in_a_struct() -> None:
    plans = ["free", HOSTILE, None, ""]
    same = {"ts": [0.0, 1.0, 2.0, 3.0], "score": [0.5] * 4}
    flat = by_table(pa.table(same | {"segments.plan": plans, "segments.unknown": plans}))
    struct = by_table(pa.table(same | {"segments": [None if plan is None else {"plan": plan} for plan in plans]}))
    numbered = by_table(pa.table(same | {"segments.plan": [1, 2, None, 1]}))
    written = by_lines(lines([prediction(float(ts), segments={"plan": plan}) for ts, plan in enumerate(plans)]),
                       MODEL, SCHEMA)  # fmt: skip
    assert texts(flat)["plan"] == texts(struct)["plan"] == texts(written)["plan"]
    assert list(texts(numbered)["plan"].values()) == ["1", "2", None, "1"]


def test_parquet_of_another_shape_says_what_to_do() -> None:
    table = pa.table({"ts": [0.0], "score": [0.5], "segments": ["plan=free"]})
    with pytest.raises(DataError, match=r"`segments` is a .*; make it a struct, or columns named `segments.NAME`"):
        by_table(table)


def test_without_segments_the_column_is_not_even_looked_at() -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"ts": [0.0], "score": [0.5], "segments": ["plan=free"]}), file)
    plain = FeatureSchema(frozenset({"x"}), frozenset({"c"}))
    found = sort((records for _, records in ParquetReader(plain, "m").row_groups(file)), MODEL)
    assert found.accepted == {"prediction": 1}
    assert by_lines(lines(rows([["plan"]])), MODEL, plain).accepted == {"prediction": 1}
