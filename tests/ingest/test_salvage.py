"""Bad lines among good ones, read in bulk: the line reader's answer, or an error that has all read line by line."""

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.ingest.ndjson import MAX_LINE
from exporter.ingest.records import Sorted
from exporter.ingest.salvage import Salvage
from tests.ingest.test_ndjson import BROKEN, CLEAN, COUNTING, MODEL, assert_same, told
from tests.strategies import SCHEMA, bulk_reader, by_lines, line_reader, lines, prediction, predictions, sort

GOOD = [lines([row]) for row in CLEAN]
BAD = [
    *BROKEN.values(), b"", b"  ", b"\r", b"\x00", b"\x0c", b"null", b'"text"', b"{", b"}{", b"[{}]", b"\xff\xfe",
    b",", b"nan",
    b'{"kind":"prediction","kind":"outcome"}', b'{"features":{"x":1},"features":{"x":2}}',
    b'{"a":' * 2_000, b'{"kind":{"kind":{}}}', b'{"\\ud800":1}',
    *(lines([prediction(**fields)]).rstrip(b"\n") for fields in (
        {"features": {"x": "abc", "c": "a"}}, {"features": {"x": [1], "c": {}}}, {"features": [1]}, {"features": "x"},
        {"score": "much"}, {"score": 1e300}, {"weight": -1}, {"weight": {"a": 1}}, {"latency_seconds": "slow"},
        {"ts": "yesterday"}, {"ts": -1}, {"model": "another"}, {"model": None}, {"id": "x" * 200}, {"version": ""},
        {"cost_usd": True}, {"score": None, "prediction": None},
    )),
]  # fmt: skip


def salvaged(text: bytes) -> Sorted:
    parts, rejected = Salvage(bulk_reader(SCHEMA), line_reader(SCHEMA)).read(memoryview(text))
    return sort(parts, MODEL, rejected)


def streamed(text: bytes) -> Sorted:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.ndjson"
        path.write_bytes(text)
        parts, refused = list[Any](), Counter[str]()
        for records, rejected in Salvage(bulk_reader(SCHEMA), line_reader(SCHEMA)).stream(str(path)):
            parts += records
            refused += rejected
        return sort(parts, MODEL, refused)


def assert_agrees(text: bytes) -> bool:
    """The line reader's answer, or an error, both times alike; whether it was an answer."""
    expected, answered = by_lines(text, MODEL), []
    for read in (salvaged, streamed):
        try:
            found = read(text)
        except duckdb.Error:
            continue
        assert_same(expected, found)
        answered.append(read)
    return bool(answered)


@pytest.mark.parametrize("place", range(len(BAD)))
def test_a_bad_line_costs_itself_alone_wherever_it_stands(place: int) -> None:
    bad = BAD[place].rstrip(b"\n") + b"\n"
    for text in (bad + b"".join(GOOD), GOOD[0] + bad + b"".join(GOOD), b"".join(GOOD) + bad, b"".join(GOOD) + bad[:-1]):
        assert_agrees(text)


def test_bad_lines_of_the_common_kinds_are_salvaged_and_not_read_line_by_line() -> None:
    common = [*BROKEN.values()][:2], [b"{", b"\xff\xfe", b"[1,2]", b"", b"2026-01-01 ERROR from elsewhere"]
    wrong = lines([prediction(features={"x": "abc"}), prediction(score="much")])
    text = b"".join([*GOOD, *(bad.rstrip(b"\n") + b"\n" for part in common for bad in part), wrong, *GOOD])
    assert assert_agrees(text)
    assert by_lines(text, MODEL).rejected["malformed"] == 6


def test_a_line_above_one_mebibyte_is_left_to_the_line_reader() -> None:
    text = GOOD[0] + b'{"pad":"' + b"x" * 2 * MAX_LINE + b'"}\n' + GOOD[1]
    for read in (salvaged, streamed):
        with pytest.raises(duckdb.Error):
            read(text)
    assert by_lines(text, MODEL).rejected == {"oversized": 1}


LINES = st.one_of(
    st.sampled_from([*BAD, *GOOD]),
    predictions().map(lambda row: lines([row])),
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b" ")),
    st.builds(
        lambda line, place, byte: line[: place % len(line)] + byte + line[place % len(line) :],
        st.sampled_from(GOOD), st.integers(0, 500), st.binary(min_size=1, max_size=2),
    ),
    st.builds(lambda line, place: line[: place % len(line)], st.sampled_from(GOOD), st.integers(0, 500)),
)  # fmt: skip


@pytest.mark.thorough
@settings(max_examples=60)
@example([b'{"kind":"k"}{"kind":"l"}', b"{}"])
@given(st.lists(LINES, min_size=1, max_size=12))
def test_no_bytes_crash_it_or_lose_a_neighbour(drawn: list[bytes]) -> None:
    first, last = lines([prediction(id="first")]), lines([prediction(id="last")])
    text = first + b"".join(line.rstrip(b"\n") + b"\n" for line in drawn) + last
    found = by_lines(text, MODEL)
    assert {"first", "last"} <= set(told(found)["ids"])
    assert_agrees(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*prediction(), "features", "id", "label", "weight", "error", "errors"])


@settings(max_examples=60)
@example(94906266, "weight")  # beside its square, a weight of 1 is lost
@given(VALUES, FIELDS)
def test_no_value_in_any_field_reaches_another_model_or_a_neighbour(value: object, name: str) -> None:
    strange = json.dumps(prediction(**{name: value})).encode() + b"\n"
    found = by_lines(GOOD[0] + strange + GOOD[1], MODEL)
    assert set(found.predictions) | set(found.outcomes) | set(found.reports) <= {MODEL.name}
    assert found.accepted.total() + found.rejected.total() == 3
    alone = COUNTING.profile(by_lines(GOOD[0] + GOOD[1], MODEL))
    both = alone.merge(COUNTING.profile(by_lines(strange, MODEL)))
    np.testing.assert_allclose(COUNTING.profile(found).vector, both.vector, rtol=1e-12)
