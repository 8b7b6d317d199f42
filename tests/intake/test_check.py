"""Any bytes at all: what is taken is what will be counted, and every other line is named."""

import json
from collections import Counter
from typing import Any

import zstandard
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from exporter.config import parse_config
from exporter.ingest.ndjson import LineReader
from exporter.ingest.records import Sorted, sort_records
from exporter.ingest.schema import FeatureSchema
from exporter.intake.body import ENCODINGS, unpack
from exporter.intake.check import Rules
from tests.world import CONFIG, START, counts, outcome, prediction

MODELS = parse_config(CONFIG).models
SCHEMA = FeatureSchema(frozenset({"age"}), frozenset({"colour"}))
NOW = START + 1e6
RULES = Rules(MODELS, SCHEMA, 300.0)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
keys = st.text(max_size=5)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
numbers = st.integers(0, 99)
prices = st.just(prediction(1, model="price", prediction=3))
good = numbers.map(prediction) | numbers.map(outcome) | numbers.map(counts) | prices


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """A record with some fields changed to anything."""
    record = dict(draw(good))
    for name in draw(
        st.lists(st.sampled_from([*record, "weight", "prediction", "probabilities", "errors"]), max_size=3)
    ):
        record[name] = draw(json_values)
    return record


def line(record: Any) -> bytes:
    return json.dumps(record).encode()


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """A line with some bytes changed, which may make it several."""
    data = bytearray(line(draw(changed())))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 2))] = draw(
            st.binary(max_size=2) | st.sampled_from([b"\\u", b'"', b"}"])
        )
        data = data or bytearray(b"x")
    return bytes(data)


bodies = st.lists(changed().map(line) | torn() | st.binary(max_size=20) | st.just(b""), max_size=8).map(b"\n".join)


def counted(text: bytes) -> Sorted:
    """What the log's reader makes of it."""
    parts, rejected = LineReader(SCHEMA).read(text)
    result = Sorted(rejected=Counter(rejected))
    for part in parts:
        result.add(sort_records(part, MODELS, NOW + 300.0))
    return result


@given(bodies)
def test_what_is_taken_is_what_will_be_counted(body: bytes) -> None:
    verdict, whole, kept = RULES.judge(body, NOW), counted(body), counted(RULES.judge(body, NOW).kept)
    assert verdict.records == kept.accepted.total() == whole.accepted.total()
    assert kept.rejected.total() == 0
    assert Counter(reason for _, reason in verdict.refused) == whole.rejected
    assert not verdict.kept or verdict.kept.endswith(b"\n")


@given(bodies)
def test_each_refused_line_is_the_one_that_would_be_refused_alone(body: bytes) -> None:
    alone = [next(iter(counted(text).rejected), None) for text in body.split(b"\n")]
    assert RULES.judge(body, NOW).refused == tuple((n, why) for n, why in enumerate(alone, 1) if why)


@given(st.lists(torn() | st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"")), min_size=1, max_size=5))
def test_no_line_takes_its_neighbours_along(between: list[bytes]) -> None:
    mine = [line(prediction(number)) for number in range(len(between) + 1)]
    text = b"\n".join(part for pair in zip(mine, [*between, b""], strict=True) for part in pair)
    assert set(mine) <= set(RULES.judge(text, NOW).kept.split(b"\n"))


@given(bodies)
def test_records_reach_no_model_but_the_one_they_name(body: bytes) -> None:
    alone = [counted(text) for text in body.split(b"\n")]
    named = Counter(model for one in alone for model in one.predictions)
    kept = counted(RULES.judge(body, NOW).kept)
    assert Counter({model: sum(part.rows for part in parts) for model, parts in kept.predictions.items()}) == named


@given(st.binary(max_size=300) | st.binary(max_size=300).map(zstandard.compress), st.sampled_from(ENCODINGS))
def test_any_body_is_unpacked_within_bounds_or_refused(body: bytes, encoding: str) -> None:
    try:
        status, size = 200, len(unpack(body, encoding, 200))
    except HTTPException as refusal:
        status, size = refusal.status_code, 0
    assert status in {200, 400, 413}
    assert size <= 200


def test_lines_far_into_a_body_are_numbered_from_its_start() -> None:
    lines = [line(prediction(number)) for number in range(3_000)]  # three chunks of the reader
    lines[2_500] = b"{torn"
    verdict = RULES.judge(b"\n".join(lines), NOW)
    assert verdict.refused == ((2_501, "malformed"),)
    assert verdict.records == 2_999
    assert verdict.kept.splitlines() == lines[:2_500] + lines[2_501:]


def test_a_line_beyond_the_limit_is_refused_and_one_at_it_is_not() -> None:
    fits, padding = line(prediction(1)), 1024 * 1024 - len(line(prediction(1)))
    text = b"\n".join([fits + b" " * padding, fits + b" " * (padding + 1), line(prediction(2))])
    assert RULES.judge(text, NOW).refused == ((2, "oversized"),)
