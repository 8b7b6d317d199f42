"""Lines become records: the line reader refuses by name, the bulk reader agrees with it or raises."""

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.ingest.ndjson import MAX_LINE, LineReader, timestamp
from exporter.ingest.records import Sorted
from exporter.ingest.schema import FeatureSchema
from exporter.profile.columns import text_array
from tests.strategies import (
    SCHEMA,
    Row,
    bulk_reader,
    by_lines,
    by_pipe,
    by_stream,
    counting,
    line_reader,
    lines,
    outcome,
    prediction,
    predictions,
)

COUNTING = counting()
MODEL = COUNTING.model


def told(records: Sorted) -> dict[str, Any]:
    """What came of records, in a form that compares: the order of rows does not matter."""
    outcomes = [
        (ts, label, identity)
        for batch in records.outcomes.get("m", [])
        for ts, label, identity in zip(
            batch.ts.tolist(), text_array(batch.label).to_pylist(), batch.ids.to_pylist(), strict=True
        )
    ]
    ids = [i for batch in records.predictions.get("m", []) if batch.ids is not None for i in batch.ids.to_pylist()]
    versions = [v for batch in records.predictions.get("m", []) for v in batch.version.decode()]
    reports = [(r.ts, r.version, r.requests, r.errors, r.latency.tolist()) for r in records.reports.get("m", [])]
    return {
        "accepted": dict(records.accepted),
        "rejected": dict(records.rejected),
        "outcomes": sorted(outcomes),
        "ids": sorted(map(str, ids)),
        "versions": sorted(map(str, versions)),
        "reports": sorted(reports, key=str),
    }


def assert_same(one: Sorted, other: Sorted) -> None:
    assert told(one) == told(other)
    np.testing.assert_allclose(COUNTING.profile(one).vector, COUNTING.profile(other).vector, rtol=1e-12, atol=1e-12)


def assert_agreed(text: bytes) -> bool:
    """The bulk reader agrees with the line reader or raises `duckdb.Error`, by pipe and file; whether it agreed."""
    expected, agreed = by_lines(text, MODEL), []
    for read in (by_pipe, by_stream):
        try:
            bulk = read(text, MODEL)
        except duckdb.Error:
            continue
        assert_same(expected, bulk)
        agreed.append(read)
    assert len(agreed) in (0, 2)
    return bool(agreed)


CLEAN: list[Row] = [
    prediction(ts="2024-01-02T03:04:05.25+02:00", label=1.0, error="timeout"),  # first, so that times are read as texts
    prediction(id="i1", weight=2, latency_seconds=0.01, cost_usd=0.5, label=1, prediction=1),
    prediction(features={}),
    prediction(features=None),
    {name: value for name, value in prediction().items() if name != "features"},
    prediction(features={"x": None, "c": None, "unknown": {"deep": [1]}}, unknown=[1]),
    prediction(features={"x": "1.5", "c": 1}, weight="2.5"),
    prediction(features={"x": True, "c": True}),
    prediction(features={"x": 7, "c": {"nested": 1}}),
    prediction(features={"x": float("nan"), "c": float("nan")}),
    prediction(features={"x": float("-inf"), "c": 'é "q" \\ \u2028 😀'}),
    prediction(id=42, ts=1.5, label="1"),
    prediction(id="é", label=True),
    prediction(label=0, score=None, prediction=False, version=3),
    outcome("i1", 1.0),
    outcome(42, True),
    {"kind": "counts", "ts": 3, "model": "m", "version": "v", "requests": 5, "errors": {"timeout": 2}, "skipped": 1,
     "latency_buckets": {"0.1": 3, "+Inf": 5}, "latency_sum": 0.5},
    {"kind": "counts", "ts": 3, "model": "m", "version": "v", "requests": 5, "errors": 1},
    {"kind": "counts", "ts": 3, "model": "m", "version": "v", "requests": 5, "errors": "3"},
    {"kind": "counts", "ts": 3, "model": "m", "version": "v", "requests": 5, "errors": "many"},
    {"kind": "counts", "ts": 3, "model": "m", "version": "v", "latency_buckets": '{"0.1": 3}'},
    {"kind": "odd", "ts": 3, "model": "m", "version": "v"},
]  # fmt: skip


def test_the_bulk_reader_agrees_on_records_with_every_freedom_of_the_format() -> None:
    assert assert_agreed(lines(CLEAN))
    found = by_lines(lines(CLEAN), MODEL)
    assert found.accepted == {"prediction": 14, "outcome": 2, "counts": 3}
    assert found.rejected == {"unknown_kind": 1, "invalid_counts": 2}


@pytest.mark.parametrize("text", [
    b"", b"\n\n", b"  \n" + lines(CLEAN) + b"\n\n", lines(CLEAN).replace(b"\n", b"\r\n"), lines(CLEAN).rstrip(b"\n"),
    lines([prediction()]) + b"null\n{}\n", lines([prediction()]).replace(b"}\n", b",}\n"),
    lines([prediction(features={"x": 1.0})]).replace(b"1.0}", b"nan}"),
])  # fmt: skip
def test_the_bulk_reader_agrees_on_blank_lines_line_ends_and_the_liberties_it_takes(text: bytes) -> None:
    assert assert_agreed(text)


@pytest.mark.parametrize("ts", ["2024-01-02T03:04:05Z", True, False, "soon"])
def test_the_bulk_reader_leaves_a_text_whose_times_turn_out_to_be_no_numbers(ts: object) -> None:
    assert not assert_agreed(lines([prediction(), prediction(ts=ts)]))


@given(st.lists(predictions(), min_size=1, max_size=6))
@settings(max_examples=60)
def test_the_bulk_reader_agrees_with_the_line_reader_or_raises(drawn: list[Row]) -> None:
    assert_agreed(lines(drawn))


GOOD = lines([prediction(id="before")]), lines([prediction(id="after")])
BROKEN = {
    "torn": lines([prediction()])[:-20],
    "no JSON": b"hello",
    "two objects": b"{} {}",
    "a comment": b"{} /* c */",
    "an array": b"[1]",
    "a number": b"5",
    "bad UTF-8": lines([prediction(id="x")]).replace(b'"x"', b'"\xff"'),
    "half a surrogate pair": rb'{"kind":"prediction","ts":1,"model":"m","version":"v","score":0.5,"id":"\ud800"}',
    "a control character": lines([prediction(id="x")]).replace(b'"x"', b'"\x01"'),
    "deep": b"[" * 100_000,
    "leading zero": lines([prediction()]).replace(b"0.25", b"00.25"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_malformed_line_is_counted_and_its_neighbours_are_read(name: str) -> None:
    text = GOOD[0] + BROKEN[name].rstrip(b"\n") + b"\n" + GOOD[1]
    found = by_lines(text, MODEL)
    assert found.rejected == {"malformed": 1}
    assert told(found)["ids"] == ["after", "before"]
    assert not assert_agreed(text)


LENIENT: dict[str, tuple[Any, str]] = {
    "text under a number": ({"x": "abc", "c": "a"}, "x:wrong"),
    "an empty text under a number": ({"x": "", "c": "a"}, "x:wrong"),
    "a list under a number": ({"x": [1], "c": "a"}, "x:wrong"),
    "an object under a category": ({"x": 0.25, "c": {"a": 1}}, "c:wrong"),
    "features in a list": ([1], "missing"),
}


@pytest.mark.parametrize("name", LENIENT)
def test_a_value_of_a_wrong_type_costs_only_itself(name: str) -> None:
    features, place = LENIENT[name]
    text = GOOD[0] + lines([prediction(features=features)]) + GOOD[1]
    assert_agreed(text)
    profile = COUNTING.profile(by_lines(text, MODEL))
    x, c = profile.part("feature:x"), profile.part("feature:c")
    assert profile.records == 3
    assert (x[-1], c[-1]) == (place == "x:wrong", place == "c:wrong")
    assert (x[5], c[5]) == ((1, 1) if place == "missing" else (0, 0))


@pytest.mark.parametrize("size", [MAX_LINE + 1, 3 * MAX_LINE])
def test_a_line_above_one_mebibyte_is_oversized_whoever_reads(size: int) -> None:
    filler = prediction(pad="")
    long = lines([{**filler, "pad": "x" * (size - len(lines([filler])) + 1)}])
    text = GOOD[0] + long + GOOD[1]
    found = by_lines(text, MODEL)
    assert found.rejected == {"oversized": 1}
    assert told(found)["ids"] == ["after", "before"]
    assert not assert_agreed(text)


def test_a_line_of_just_one_mebibyte_is_read() -> None:
    filler = prediction(pad="")
    text = lines([{**filler, "pad": "x" * (MAX_LINE - len(lines([filler])) + 1)}])
    assert by_lines(text, MODEL).accepted == {"prediction": 1}


def test_an_error_of_the_chunks_reaches_the_caller_and_counts_nothing() -> None:
    def broken() -> Iterator[bytes]:
        yield lines([prediction()])
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        bulk_reader().read(broken())


def test_a_reader_that_stops_early_leaves_no_feeder_behind() -> None:
    text = b"hello\n" + lines([prediction()]) * 50_000
    with pytest.raises(duckdb.Error):
        bulk_reader().read(iter([text]))
    assert_same(by_pipe(lines(CLEAN), MODEL), by_lines(lines(CLEAN), MODEL))


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert by_lines(b"\xef\xbb\xbf" + lines([prediction()]), MODEL).accepted == {"prediction": 1}


def test_a_feature_that_is_a_number_here_and_a_category_there_is_read_both_ways() -> None:
    both = FeatureSchema(frozenset({"x"}), frozenset({"x", "c"}))
    rows = [prediction(features={"x": value, "c": "a"}) for value in (0.25, 1, "0.7", True, "abc", None, [1], 1e300)]
    as_text = COUNTING.profile(by_lines(lines(rows), MODEL, both))
    as_number = COUNTING.profile(by_lines(lines(rows), MODEL, SCHEMA))
    np.testing.assert_array_equal(as_text.vector, as_number.vector)


@pytest.mark.parametrize("name", ["é", "a b", "a.b", "'", "select", "features", "x" * 200])
def test_feature_names_are_free(name: str) -> None:
    schema = FeatureSchema(frozenset({name}), frozenset())
    text = lines([prediction(features={name: 1.5})])
    [records], _ = LineReader(schema).read(text)
    bulk = bulk_reader(schema).read(iter([text]))
    for read in (records, bulk):
        column = read.features[name]
        assert column.take(np.array([0])).or_nan().tolist() == [1.5]  # type: ignore[union-attr]  # a number


def test_names_that_differ_by_case_alone_are_read_line_by_line() -> None:
    schema = FeatureSchema(frozenset({"x", "X"}), frozenset())
    text = lines([prediction(features={"x": 1, "X": 2})])
    with pytest.raises(duckdb.Error):
        bulk_reader(schema).read(iter([text]))
    [records], _ = line_reader(schema).read(text)
    assert [records.features[name].or_nan()[0] for name in ("x", "X")] == [1, 2]  # type: ignore[union-attr]  # numbers


TIMES: dict[Any, float] = {
    5: 5.0, 5.25: 5.25, "5.25": 5.25, " 7 ": 7.0, "1e3": 1000.0,
    "2024-01-02T03:04:05Z": 1704164645.0, "2024-01-02t03:04:05z": 1704164645.0,
    "2024-01-02 03:04:05": 1704164645.0, "2024-01-02T03:04:05.25Z": 1704164645.25,
    "2024-01-02T03:04:05.123456789Z": 1704164645.123456, "2024-01-02T03:04:05-07:30": 1704191645.0,
    "2024-01-02T03:04:05+0200": 1704157445.0, "2024-01-02T03:04Z": 1704164640.0, "2024-01-02": 1704153600.0,
}  # fmt: skip
NO_TIMES = [
    "", "abc", "2024-W01-1", "2024-1-2", "20240102T030405", "2024-01-02T24:00:00Z",
    "2024-02-30", "epoch", "\uff11\uff12", True,
    "2024-01-02T03:04:05 UTC", "2024-01-02T03:04:60Z", "2024-01-02T03:04:05,5Z", None, [1], {"a": 1}, "0x10",
]  # fmt: skip


@pytest.mark.parametrize("value", TIMES)
def test_times_are_unix_seconds_or_rfc_3339(value: Any) -> None:
    assert timestamp(value) == TIMES[value]
    assert assert_agreed(lines([prediction(ts=value, version=f"{value}")]))
    assert bulk_reader().read(iter([lines([prediction(ts=value)])])).ts.tolist() == [TIMES[value]]


@pytest.mark.parametrize("value", NO_TIMES, ids=str)
def test_what_is_no_time_is_an_invalid_timestamp_whoever_reads(value: Any) -> None:
    text = lines([prediction(ts=value)])
    assert by_lines(text, MODEL).rejected == {"invalid_timestamp": 1}
    assert assert_agreed(text)


def test_integers_of_any_size_are_numbers() -> None:
    rows = json.dumps(prediction(features={"x": 10**300, "c": 10**30})).encode() + b"\n"
    rows += json.dumps(prediction(ts=10**400)).encode() + b"\n"
    found = by_lines(rows, MODEL)
    assert found.rejected == {"invalid_timestamp": 1}
    assert found.accepted == {"prediction": 1}
    assert_agreed(rows)
