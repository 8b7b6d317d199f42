"""Hashed inputs: alike for alike inputs whatever brought them, and spread evenly over the counters."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from exporter.profile import inputs
from exporter.profile.columns import NumericColumn
from exporter.profile.inputs import input_codes
from exporter.profile.layout import INPUT_CELLS
from tests.strategies import SCHEMA, C, X, by_lines, by_pipe, by_stream, lines, model_of, prediction

FEATURES = (X, C)
MODEL = model_of()


def codes_of(features: list[dict[str, object]]) -> list[int]:
    rows = [prediction(features=one) for one in features]
    [batch] = by_lines(lines(rows), MODEL).predictions["m"]
    codes: list[int] = input_codes(batch, FEATURES).tolist()
    return codes


def test_alike_inputs_share_a_counter_whatever_else_the_batch_holds() -> None:
    alone = codes_of([{"x": 0.1, "c": "b"}])
    among = codes_of([{"x": 0.2, "c": "z"}, {"x": 0.1, "c": "b"}, {"c": "b", "x": 0.1, "unknown": 3}])
    assert among[1:] == alone * 2
    assert among[0] != alone[0]


@pytest.mark.parametrize("block", [3, 16_384])
def test_every_reader_and_block_gives_the_same_codes(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_BLOCK", block)
    features = [{"x": 1, "c": "a"}, {"x": "1.5", "c": 1}, {"x": None, "c": None}, {"x": -0.25}, {"c": "é"}, {}]
    text = lines([prediction(features=one) for one in features])
    found = [
        sorted(code for batch in read(text, MODEL, SCHEMA).predictions["m"] for code in input_codes(batch, FEATURES))
        for read in (by_lines, by_pipe, by_stream)
    ]
    assert found[0] == found[1] == found[2]
    assert len(set(found[0])) == 5


def test_what_is_absent_missing_or_of_a_wrong_type_is_alike() -> None:
    assert len({*codes_of([{}]), *codes_of([{"x": None, "c": None}]), *codes_of([{"x": "none", "c": [1]}])}) == 1


GRIDS = {
    "whole numbers": [(float(x), str(c)) for x in range(300) for c in range(40)],
    "powers of two": [(2.0**x, str(c)) for x in range(-100, 100) for c in range(60)],
    "decimals": [(x / 100, str(c)) for x in range(300) for c in range(40)],
    "texts": [(0.0, f"value-{c}") for c in range(12_000)],
}


@pytest.mark.parametrize("grid", GRIDS)
def test_unlike_inputs_spread_evenly(grid: str) -> None:
    codes = codes_of([{"x": x, "c": c} for x, c in GRIDS[grid]])
    counts = np.bincount(codes, minlength=INPUT_CELLS)
    assert len(counts) == INPUT_CELLS
    assert scipy_stats.chisquare(counts).pvalue > 1e-4


def test_many_small_numbers_spread_evenly() -> None:
    names = [f"x{place}" for place in range(9)]
    features = [X.model_copy(update={"name": name}) for name in names]
    rng = np.random.default_rng(1)
    distinct = np.unique(rng.integers(0, 4, (20_000, 9)), axis=0)
    [batch] = by_lines(lines([prediction()]), MODEL).predictions["m"]
    batch = batch.take(np.zeros(len(distinct), dtype=np.intp))
    columns = {name: NumericColumn(distinct[:, place].astype(np.float64)) for place, name in enumerate(names)}
    counts = np.bincount(input_codes(replace(batch, features=columns), features), minlength=INPUT_CELLS)
    assert scipy_stats.chisquare(counts).pvalue > 1e-4
