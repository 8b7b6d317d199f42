"""Whatever lines go in, readers find in the columns and in the lines left over what they found in the log."""

import io
import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.archive import columns
from exporter.archive.columns import Sorter
from exporter.archive.encoding import write_parquet
from exporter.ingest.ndjson import LineReader
from exporter.ingest.parquet import ParquetReader
from exporter.ingest.records import NUMBERS, OBJECTS, TEXTS, Records
from exporter.ingest.schema import FeatureSchema
from exporter.profile.columns import NumericColumn, TextColumn, any_of
from tests.strategies import Row, lines, numbers, outcome, prediction, predictions, texts

SCHEMA = FeatureSchema(frozenset({"x"}), frozenset({"c"}), frozenset({"region"}))
LINES, TABLES = LineReader(SCHEMA), ParquetReader(SCHEMA, None)
Facts = Counter[tuple[Any, ...]]


def numeric(column: NumericColumn | None, row: int) -> object:
    if column is None or any_of(column.missing, len(column.values))[row]:
        return None
    wrong = any_of(column.wrong, len(column.values))[row]
    return "wrong" if wrong else repr(float(column.values[row]))


def text(column: TextColumn | None, row: int) -> object:
    if column is None or column.codes[row] < 0:
        return None
    found = column.texts[column.codes[row]]
    return ("wrong",) if found is None else found


def value(column: Any, row: int) -> object:
    return numeric(column, row) if isinstance(column, NumericColumn) else text(column, row)


def structure(found: Any) -> str:
    """An object, or a number in its place, numbers alike whether they were written with a point or not."""
    inner = (
        {key: float(of) if type(of) is int else of for key, of in found.items()} if isinstance(found, dict) else found
    )
    return json.dumps((float(inner) if type(inner) is int else inner) or None, sort_keys=True)


def facts(parts: Iterable[Records]) -> Facts:
    """Every record as all that readers know of it."""
    return Counter(
        (
            *(text(column, row) for column in (records.kind, records.model, records.version)),
            repr(float(records.ts[row])),
            records.ids[row].as_py(),
            *(numeric(records.numbers[name], row) for name in NUMBERS),
            *(text(records.texts[name], row) for name in TEXTS),
            *(structure(records.object(name, row)) for name in OBJECTS),
            *(value(records.features.get(name), row) for name in ("x", "c")),
            text(records.segments.get("region"), row),
        )
        for records in parts
        for row in range(records.rows)
    )


def archived(log: bytes, *pieces: int) -> tuple[list[tuple[str, str, pa.Table]], bytes]:
    """The tables, by way of files, and the lines left over, of a log that came in pieces of so many lines."""
    sorter, given_lines = Sorter({"m"}), log.splitlines(keepends=True)
    for size in pieces or (len(given_lines),):
        sorter.add(b"".join(given_lines[:size]))
        given_lines = given_lines[size:]
    sorter.add(b"".join(given_lines))
    return [(*key, table) for key, table in sorter.tables()], b"".join(sorter.left)


def read_back(tables: Iterable[tuple[str, str, pa.Table]], left: bytes, folder: Path) -> tuple[Facts, Counter[str]]:
    parts, rejected = LINES.read(left)
    for _, _, table in tables:
        path = folder / "x.parquet"
        write_parquet(table, path)
        parts += [records for _, records in TABLES.row_groups(io.BytesIO(path.read_bytes()))]
    return facts(parts), +rejected


def assert_comes_back(log: bytes, folder: Path, *pieces: int) -> bytes:
    """The lines left over, once the rest is seen to come back."""
    tables, left = archived(log, *pieces)
    parts, rejected = LINES.read(log)
    assert read_back(tables, left, folder) == (facts(parts), +rejected)
    return left


odd_objects = st.one_of(
    st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.floats(0, 1), st.none()), max_size=3),
    st.sampled_from([[1], "a", 3, None, {"a": {"b": 1}}]),
)
odd_rows = st.builds(
    lambda row, fields: row | fields,
    predictions(),
    st.dictionaries(
        st.sampled_from(["probabilities", "errors", "latency_buckets", "segments", "metadata", "trace_id", "weight",
                         "model", "kind", "version", "ts", "features", "features.x", "requests"]),
        st.one_of(odd_objects, numbers, texts),
        max_size=3,
    ),
)  # fmt: skip
segmented = st.builds(
    lambda row, region: row | {"segments": {"region": region}}, predictions(), st.sampled_from(["eu", "us", 7, None])
)
counts = st.builds(
    lambda ts, requests, errors: {
        "kind": "counts", "ts": ts, "model": "m", "version": "v", "requests": requests, "errors": errors,
        "latency_buckets": {"0.1": 1, "+Inf": requests}, "latency_sum": 0.5, "outcomes_dropped": 2,
    },
    st.integers(0, 10**6), st.integers(0, 100), st.sampled_from([{}, {"Timeout": 2}, 3]),
)  # fmt: skip
outcomes = st.builds(outcome, st.text(max_size=4), texts, st.floats(0, 1e6))
logs = st.lists(st.one_of(predictions(), segmented, outcomes, counts, odd_rows), max_size=30).map(lines)
broken = st.sampled_from(
    [b"{", b"nothing\n", b"\xff\n", b"\n", b"  \n", b"null\n", b'{"kind": "prediction"}\n', b"[1]\n"]
)


@settings(max_examples=150)
@given(log=logs, bad=st.lists(broken, max_size=2), pieces=st.lists(st.integers(0, 10), max_size=3))
def test_every_record_comes_back_from_parquet_as_readers_knew_it(
    tmp_path_factory: pytest.TempPathFactory, log: bytes, bad: list[bytes], pieces: list[int]
) -> None:
    assert_comes_back(log + b"".join(bad), tmp_path_factory.getbasetemp(), *pieces)


@settings(max_examples=150)
@given(
    values=st.lists(
        st.one_of(
            st.none(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.integers(-(2**70), 2**70),
            st.decimals(-1000, 1000, places=3).map(float),
            st.sampled_from([-0.0, 5e-324, 1e22, 0.1 + 0.2, 2.0**53, 123456789.123456]),
        ),
        min_size=1,
    )
)
def test_numbers_come_back_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    log = lines(prediction(features={"x": number}) for number in values)
    assert_comes_back(log, tmp_path_factory.getbasetemp())


def test_ordinary_records_are_columns_and_leave_no_line(tmp_path: Path) -> None:
    rows: list[Row] = [
        prediction(
            86_400.0 * (number // 50),
            id=f"c-{number}",
            features={"x": number / 8, "c": "ab"[number % 2], "unknown": number % 3 == 0},
            segments={"region": "eu"},
            probabilities={"a": 0.25, "b": 0.75},
            metadata={"deep": [1, {"er": None}]},
            trace_id=f"t{number}",
        )
        for number in range(100)
    ]
    rows += [outcome("c-1", 1), {"kind": "counts", "ts": 5, "model": "m", "version": "v", "requests": 7, "errors": {}}]
    log = lines(rows)
    assert assert_comes_back(log, tmp_path) == b""
    tables, _ = archived(log)
    assert [(model, day, table.num_rows) for model, day, table in tables] == [
        ("m", "1970-01-01", 52),
        ("m", "1970-01-02", 50),
    ]
    first = tables[0][2]
    assert first["metadata"][0].as_py() == '{"deep":[1,{"er":null}]}'
    assert first["features.unknown"][0].as_py() is True
    assert first["trace_id"][1].as_py() == "t1"
    assert first["features.x"].type == pa.float64()


def test_a_line_that_columns_cannot_hold_is_kept_to_the_byte(tmp_path: Path) -> None:
    odd = [
        b'{"kind": "prediction", "ts": 1, "model": "other", "version": "v", "features": {}}',
        b'{"kind": "prediction", "ts": "never", "model": "m", "version": "v"}',
        b'{"kind":"prediction","ts":2,"model":"m","version":"v","features":{"x":[1,2]}}',
        b'{"kind":"prediction","ts":2,"model":"m","version":"v","features":{"x":NaN}}',
        b'{"kind":"prediction","ts":2,"model":"m","version":"v","features":{"x":9007199254740993}}',
        b'{"kind":"prediction","ts":2,"model":"m","features.x":1,"version":"v"}',
        b"x" * 1_100_000,
        b'{"torn": ',
    ]
    usual = lines([prediction(features={"x": 1.5, "c": "a"})])
    log = usual + b"\n".join(odd)
    assert sorted(assert_comes_back(log, tmp_path).splitlines()) == sorted(odd)


def test_a_flood_of_names_or_of_days_becomes_lines_not_columns_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "_MOST_SHEETS", 10)
    names = lines(prediction(features={f"{row}-{place}": 1 for place in range(100)}) for row in range(40))
    days = lines(prediction(86_400.0 * day) for day in range(15))
    assert assert_comes_back(names, tmp_path)
    [(_, _, table)], _ = archived(names)
    assert table.num_columns <= 2_000
    assert_comes_back(days, tmp_path)
    assert len(archived(days)[0]) == 10


def test_nothing_is_nan_that_was_a_number_before() -> None:
    [(_, _, table)], left = archived(lines([prediction(score=None), prediction(score=0.5)]))
    assert table["score"].to_pylist() == [None, 0.5]
    assert not any(isinstance(score, float) and math.isnan(score) for score in table["score"].to_pylist())
    assert left == b""
