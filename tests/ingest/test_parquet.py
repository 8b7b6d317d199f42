"""Parquet tables become the records that the same NDJSON lines make."""

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.errors import DataError
from exporter.ingest.parquet import ParquetReader, timestamps
from exporter.ingest.records import Sorted
from tests.strategies import SCHEMA, Counting, Row, baseline_of, by_lines, counting, lines, model_of, prediction, sort

COUNTING = counting()
MODEL = COUNTING.model
READER = ParquetReader(SCHEMA, "m")


def by_table(table: pa.Table, of: Counting = COUNTING, **options: Any) -> Sorted:
    """The table by way of a file."""
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return sort((records for _, records in READER.row_groups(file)), of.model)


def assert_same(one: Sorted, other: Sorted, of: Counting = COUNTING) -> None:
    assert (one.accepted, one.rejected) == (other.accepted, other.rejected)
    np.testing.assert_allclose(of.profile(one).vector, of.profile(other).vector, rtol=1e-12, atol=1e-12)


FACTS: list[tuple[Any, Row]] = [
    ({"x": 0.25, "c": "a"}, {"label": 1, "weight": 2.0, "latency_seconds": 0.01, "id": "i"}),
    ({"x": None, "c": "z"}, {"label": 0, "cost_usd": 0.5, "prediction": 1}),
    ({"x": 3.0, "c": None}, {"error": "timeout"}),
    (None, {"label": 1}),
    ({"x": float("inf"), "c": "q"}, {"score": None, "prediction": 0}),
    ({"x": float("nan"), "c": "1"}, {"score": 2.0}),
]
ROWS = [prediction(float(ts), features=features, **fields) for ts, (features, fields) in enumerate(FACTS)]


def flat(rows: list[Row]) -> pa.Table:
    """Features in columns of their own."""
    plain = [{name: value for name, value in row.items() if name != "features"} for row in rows]
    table = pa.Table.from_pylist([{**dict.fromkeys(name for row in plain for name in row), **row} for row in plain])
    for name in ("x", "c"):
        column = pa.array([(row["features"] or {}).get(name) for row in rows])
        table = table.append_column(f"features.{name}", column)
    return table


def nested(rows: list[Row]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.Table.from_pylist([{**names, **row} for row in rows])


@pytest.mark.parametrize("group", [1, 2, 100])
@pytest.mark.parametrize("table", [flat(ROWS), nested(ROWS)], ids=["flat", "struct"])
def test_tables_give_what_the_same_lines_give(table: pa.Table, group: int) -> None:
    expected = by_lines(lines(ROWS), MODEL)
    assert expected.rejected == {"invalid_score": 1}
    assert_same(by_table(table, row_group_size=group), expected)


def test_a_slice_of_a_table_in_chunks_gives_what_its_rows_give() -> None:
    table = pa.concat_tables([nested(ROWS), nested(ROWS), nested(ROWS)]).slice(4, 10)
    expected = by_lines(lines((ROWS * 3)[4:14]), MODEL)
    assert_same(sort([READER.records(table)], MODEL), expected)


def test_a_null_struct_means_that_every_feature_is_missing() -> None:
    x, c = pa.array([0.25, 0.25]), pa.array(["a", "a"])
    struct = pa.StructArray.from_arrays([x, c], ["x", "c"], mask=pa.array([False, True]))
    table = flat(ROWS[:2]).select(["kind", "ts", "model", "version", "score"]).append_column("features", struct)
    profile = COUNTING.profile(sort([READER.records(table)], MODEL))
    assert profile.part("feature:x").tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    assert profile.part("feature:c").tolist() == [0, 1, 0, 0, 0, 1, 0]


def column(kind: pa.DataType, values: list[Any], name: str) -> pa.Table:
    base = flat([prediction(), prediction()])
    if name in base.column_names:
        base = base.drop_columns([name])
    return base.append_column(name, pa.array(values, kind))


KINDS: list[tuple[str, pa.DataType, list[Any], list[Any]]] = [
    ("features.x", pa.decimal128(10, 2), [Decimal("0.25"), None], [0.25, None]),
    ("features.x", pa.float32(), [0.25, None], [0.25, None]),
    ("features.x", pa.int8(), [1, -1], [1, -1]),
    ("features.x", pa.bool_(), [True, None], [True, None]),
    ("features.x", pa.large_string(), ["0.25", "abc"], [0.25, "abc"]),
    ("features.x", pa.list_(pa.float64()), [[1.0], None], [[1], None]),
    ("features.c", pa.large_string(), ["a", None], ["a", None]),
    ("features.c", pa.dictionary(pa.int8(), pa.string()), ["a", "b"], ["a", "b"]),
    ("features.c", pa.int64(), [1, None], [1, None]),
    ("features.c", pa.float64(), [1.0, None], [1, None]),
    ("features.c", pa.struct([("a", pa.int64())]), [{"a": 1}, None], [{"a": 1}, None]),
    ("features.c", pa.null(), [None, None], [None, None]),
]


@pytest.mark.parametrize(("name", "kind", "values", "same"), KINDS, ids=str)
def test_a_feature_may_have_any_type(name: str, kind: pa.DataType, values: list[Any], same: list[Any]) -> None:
    feature = name.removeprefix("features.")
    rows = [prediction(features={**prediction()["features"], feature: value}) for value in same]
    assert_same(by_table(column(kind, values, name)), by_lines(lines(rows), MODEL))


@pytest.mark.parametrize("kind", [pa.bool_(), pa.int8(), pa.float64(), pa.string(), pa.large_string()])
def test_labels_are_the_same_whatever_their_type(kind: pa.DataType) -> None:
    table = column(kind, [pa.scalar(1).cast(kind).as_py(), None], "label")
    assert_same(by_table(table), by_lines(lines([prediction(label=1), prediction()]), MODEL))


MOMENT = datetime(2024, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)
SECONDS = MOMENT.timestamp()
TIMES: list[tuple[pa.DataType, Any, float]] = [
    (pa.float64(), SECONDS, SECONDS),
    (pa.float32(), 0.5, 0.5),
    (pa.int64(), 5, 5.0),
    (pa.decimal128(12, 2), Decimal("5.25"), 5.25),
    (pa.timestamp("us", "UTC"), MOMENT, SECONDS),
    (pa.timestamp("ns"), MOMENT.replace(tzinfo=None), SECONDS),
    (pa.timestamp("ms", "Europe/Berlin"), MOMENT, SECONDS),
    (pa.timestamp("s"), datetime(2024, 1, 2), 1704153600.0),  # noqa: DTZ001 - a column without a zone
    (pa.date32(), date(2024, 1, 2), 1704153600.0),
    (pa.string(), MOMENT.isoformat(), SECONDS),
    (pa.large_string(), "5.25", 5.25),
    (pa.dictionary(pa.int8(), pa.string()), MOMENT.isoformat(), SECONDS),
]


@pytest.mark.parametrize(("kind", "value", "seconds"), TIMES, ids=str)
def test_times_come_in_any_type(kind: pa.DataType, value: Any, seconds: float) -> None:
    read = timestamps(pa.array([None, value, None, value], kind).slice(1))
    np.testing.assert_array_equal(read, [seconds, np.nan, seconds])
    found = by_table(column(kind, [value, None], "ts"))
    assert (found.accepted, found.rejected) == ({"prediction": 1}, {"invalid_timestamp": 1})
    assert found.newest == seconds


def test_ids_are_texts_whatever_their_type() -> None:
    for kind in (pa.int64(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())):
        values = [7, None] if pa.types.is_integer(kind) else ["7", None]
        [batch] = by_table(column(kind, values, "id")).predictions["m"]
        assert batch.ids is not None
        assert batch.ids.to_pylist() == ["7", None]


def test_columns_that_are_not_there_have_their_defaults() -> None:
    table = pa.table({"ts": [1.0], "score": [0.5]})
    found = by_table(table)
    assert found.accepted == {"prediction": 1}
    assert found.predictions["m"][0].version.decode() == ["unversioned"]
    two = ParquetReader(SCHEMA, None)
    assert sort([two.records(table)], MODEL).rejected == {"unknown_model": 1}


def test_objects_come_as_structs_and_maps() -> None:
    table = pa.table({
        "kind": ["counts", "counts"], "ts": [1.0, 2.0], "requests": [5.0, 5.0],
        "errors": pa.array([{"timeout": 2.0, "oom": None}, None]),
        "latency_buckets": pa.array([[("0.1", 3.0), ("+Inf", 5.0)], None], pa.map_(pa.string(), pa.float64())),
    })  # fmt: skip
    first, second = by_table(table).reports["m"]
    assert first.errors == {"timeout": 2.0}
    assert first.latency.sum() == 5
    assert second.errors == {"error": 0.0}


def test_probabilities_name_the_class_and_its_confidence() -> None:
    of = Counting.of(model_of("multiclass"), baseline_of("multiclass"))
    table = pa.table({"ts": [1.0, 2.0], "probabilities": pa.array([{"a": 0.2, "b": 0.8}, None])})
    found = by_table(table, of)
    assert found.rejected == {"missing_prediction": 1}
    assert of.profile(found).part("output")[1, 16] == 1


@pytest.mark.parametrize(("columns", "message"), [
    ({"score": [0.5]}, "no column `ts`; a log in Parquet has the record format's columns"),
    ({"ts": [1.0], "features": [1]}, "column `features` is a int64; make it a struct, or columns"),
    ({"ts": [1.0], "id": [[1]]}, "column `id` is a list<"),
])  # fmt: skip
def test_a_table_that_cannot_be_a_log_says_why(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as raised:
        by_table(pa.table(columns))
    assert str(raised.value).startswith(message)


def test_reading_goes_on_at_a_row_group(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pq.write_table(flat(ROWS), path, row_group_size=2)
    assert [group for group, _ in READER.row_groups(str(path), 1)] == [1, 2]
    assert sum(records.rows for _, records in READER.row_groups(str(path), 1)) == 4
