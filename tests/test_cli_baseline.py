"""The commands about baselines: what they print and how they end."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from exporter.baseline import Baseline
from tests.commands import Ended, Run
from tests.world import _reference, other_baseline


def test_a_baseline_is_shown_as_tables_and_as_json(run: Run) -> None:
    baseline = Baseline.from_json(Path("churn.json").read_text(), "churn.json")
    ended = run("baseline", "show", "churn.json")
    assert (ended.status, ended.err) == (0, "")
    for words in (baseline.fingerprint, "churn (binary)", "blue, green, red", "accuracy", "volume", "0" * 64):
        assert words in ended.out
    found = json.loads(run("baseline", "show", "churn.json", "--format", "json").out)
    assert found["fingerprint"] == baseline.fingerprint
    assert [feature["name"] for feature in found["features"]] == ["age", "colour"]


def test_equal_baselines_end_with_0_and_others_with_1(run: Run) -> None:
    Path("other.json").write_text(other_baseline())
    assert run("baseline", "diff", "churn.json", "churn.json").status == 0
    ended = run("baseline", "diff", "churn.json", "other.json")
    assert (ended.status, ended.err) == (1, "")
    assert "differs in: features" in ended.out
    ended = run("baseline", "diff", "churn.json", "price.json", "--format", "json")
    assert ended.status == 1
    assert json.loads(ended.out)["facts"]["task"] == ["binary", "regression"]


@pytest.mark.parametrize("command", [("show",), ("diff", "churn.json")], ids=lambda command: command[0])
@pytest.mark.parametrize(("content", "problem"), [
    (None, "none.json: no such file or directory; give a file that `prediction-exporter baseline build` wrote\n"),
    ("{}", "none.json: not a usable baseline ("),
    ("counts", "none.json: counts do not fit the cells (feature:age"),
])  # fmt: skip
def test_what_is_no_baseline_ends_with_2(run: Run, command: tuple[str, ...], content: str | None, problem: str) -> None:
    if content == "counts":
        whole = json.loads(Path("churn.json").read_text())
        content = json.dumps({**whole, "counts": {**whole["counts"], "feature:age": [1.0]}})
    if content is not None:
        Path("none.json").write_text(content)
    ended = run("baseline", *command, "none.json")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(problem)


def build(run: Run, *more: str) -> Ended:
    pq.write_table(_reference("churn").table, "january.parquet")
    files = ("--data", "january.parquet", "--out", "built.json")
    return run("baseline", "build", "--config", "prediction-exporter.yml", "--model", "churn", *files, *more)


def test_a_schema_is_proposed_edited_and_obeyed(run: Run) -> None:
    plain = build(run)
    assert plain.status == 0
    assert "  age: numeric, 12.1971 to 68.289\n  colour: category, blue, green, red\n" in plain.err
    ended = run("baseline", "schema", "--data", "january.parquet", "--out", "schema.yml")
    assert ended == Ended(0, "", "schema.yml: 2 features; read and edit it, then build with --schema schema.yml\n")
    before = Baseline.from_json(Path("built.json").read_text(), "built.json")
    assert build(run, "--schema", "schema.yml").status == 0
    assert Baseline.from_json(Path("built.json").read_text(), "built.json").fingerprint == before.fingerprint
    text = Path("schema.yml").read_text()
    Path("schema.yml").write_text(
        text.replace("range: [12.1", "range: [18] #").replace("kind: numeric", "kind: ignore")
    )
    assert (
        "schema.yml: features.age.range[1]: required key is missing; add it\n"
        in build(run, "--schema", "schema.yml").err
    )
    Path("schema.yml").write_text("features: {age: {kind: numeric, range: [18, 60]}, colour: {kind: ignore}}")
    ended = build(run, "--schema", "schema.yml")
    ages = _reference("churn").table.column("features.age").to_numpy()
    share = 100 * np.mean((ages < 18) | (ages > 60))
    assert (
        f"  age: numeric, 18 to 60, {share:.3g} % out of range\n  colour: left out, the schema ignores it\n"
        in ended.err
    )


def test_a_schema_that_may_be_edited_is_not_written_over(run: Run) -> None:
    pq.write_table(_reference("churn").table, "january.parquet")
    Path("schema.yml").write_text("mine")
    ended = run("baseline", "schema", "--data", "january.parquet", "--out", "schema.yml")
    assert (ended.status, Path("schema.yml").read_text()) == (2, "mine")
    assert ended.err == "--out schema.yml: is there already, and may be edited; give another name, or remove it\n"


def test_every_problem_of_a_schema_is_told_at_once_and_nothing_is_written(run: Run) -> None:
    Path("schema.yml").write_text("features: {age: {kind: category, range: [0, 1]}, colour: {kind: colour}}")
    ended = build(run, "--schema", "schema.yml")
    assert (ended.status, Path("built.json").exists()) == (2, False)
    assert len(ended.err.splitlines()) == 2
    Path("schema.yml").write_text("features: {ages: {kind: numeric}, colour: {kind: numeric}}")
    ended = build(run, "--schema", "schema.yml")
    assert ended.status == 2
    assert [line.split(": ")[1] for line in ended.err.splitlines()] == [
        "features.age",
        "features.ages",
        "features.colour.kind",
    ]


def test_an_output_among_the_features_is_left_out_aloud(run: Run) -> None:
    table = _reference("churn").table
    pq.write_table(table.append_column("features.score", table.column("score")), "leaky.parquet")
    ended = build(run, "--data", "leaky.parquet")
    assert ended.status == 0
    assert "  score: left out, a model's own output or label is no feature\n" in ended.err


def test_a_schema_and_single_categories_exclude_each_other(run: Run) -> None:
    ended = build(run, "--schema", "schema.yml", "--categorical", "age")
    assert ended.status == 2
    assert "set kind: category there" in ended.err
