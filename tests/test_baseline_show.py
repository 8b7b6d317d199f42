"""What a baseline holds is told as it was put in."""

import io
import json
import math
from typing import Any

import pytest
from rich.console import Console

from exporter.baseline import Baseline, CategoryFeature
from exporter.baseline_show import held, listed, percent, summary, tables, utc
from tests.strategies import Row, built, model_of, prediction

MODEL = model_of()
VALUES: list[Any] = [1.0, 2.5, 4.0, None, "abc", float("inf"), 3.0, 2.0]
TEXTS: list[Any] = ["a", "b", "a", None, [1], "a", "b", "c"]
ROWS: list[Row] = [
    prediction(100.0 + place, features={"x": x, "c": c}, label=place % 2)
    for place, (x, c) in enumerate(zip(VALUES, TEXTS, strict=True))
]
BASELINE = built(MODEL, [{**row, "features": {"c": row["features"]["c"] if row["features"]["c"] != [1] else "z",
                                              "x": x if not isinstance(x := row["features"]["x"], str) else None}}
                         for row in ROWS])  # fmt: skip


def printed(baseline: Baseline) -> str:
    console = Console(file=io.StringIO(), width=200)
    for table in tables(summary(baseline, "m.json")):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_summary_says_what_the_rows_held() -> None:
    found = summary(BASELINE, "m.json")
    category, number = found["features"]
    assert number["kind"] == "numeric"
    assert number["range"] == [1.0, 4.0]
    assert (number["missing_ratio"], number["invalid_ratio"], number["out_of_range_ratio"]) == (2 / 8, 1 / 8, 0)
    assert (category["categories"], category["missing_ratio"], category["unseen_ratio"]) == (
        ["a", "b", "c", "z"],
        1 / 8,
        0,
    )
    assert found["provenance"] == BASELINE.provenance.model_dump()
    assert found["performance"] == BASELINE.performance
    assert (found["fingerprint"], found["file"]) == (BASELINE.fingerprint, "m.json")
    assert json.loads(json.dumps(found)) == found


def test_the_tables_say_it_too() -> None:
    text = printed(BASELINE)
    for words in (
        "1 to 4",
        "a, b, c, z",
        "25 %",
        "12.5 %",
        "r.parquet",
        "1970-01-01 00:01:40 UTC",
        "accuracy",
        "m.json",
    ):
        assert words in text
    assert BASELINE.fingerprint in text


def test_a_feature_without_a_value_has_no_range() -> None:
    baseline = built(MODEL, [prediction(features={"x": None, "c": "a"})])
    [_, number] = summary(baseline, "m.json")["features"]
    assert (number["range"], number["missing_ratio"], number["out_of_range_ratio"]) == (None, 1.0, None)
    assert "no value" in printed(baseline)


def test_usual_ranges_and_classes_are_told_where_there_are_any() -> None:
    usual = {3_600: {"volume": {"mean": 20.5, "deviation": 1.5, "windows": 24}}}
    rich = Baseline.model_validate({**BASELINE.model_dump(), "usual": usual, "classes": ("no", "yes")})
    assert summary(rich, "m.json")["usual"] == {"3600": usual[3_600]}
    text = printed(rich)
    assert "volume" in text
    assert "no, yes" in text
    assert "volume" not in printed(BASELINE)


@pytest.mark.parametrize(("texts", "words"), [
    ([], ""), (["a"], "a"), (list("abcdefgh"), "a, b, c, d, e, f, g, h"),
    (list("abcdefghij"), "a, b, c, d, e, f, g, h and 2 more"),
])  # fmt: skip
def test_long_lists_are_cut(texts: list[str], words: str) -> None:
    assert listed(texts) == words


def test_rare_and_open_lists_of_categories_are_told() -> None:
    feature = CategoryFeature(name="c", values=("a",), rare=("q", "r"), complete=False)
    facts = {"kind": "category", "categories": ["a"], "rare": 2, "complete": feature.complete}
    assert held(facts) == "a and 2 rare, of more than can be named"


def test_numbers_are_readable_or_left_out() -> None:
    assert [percent(share) for share in (None, 0.0, 1 / 3)] == ["", "0 %", "33.3 %"]
    assert utc(0.0) == "1970-01-01 00:00:00 UTC"
    assert utc(1e300) == "1e+300"
    assert utc(math.inf) == "inf"
