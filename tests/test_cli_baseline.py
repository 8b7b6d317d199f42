"""The commands about baselines: what they print and how they end."""

import json
from pathlib import Path

import pytest

from exporter.baseline import Baseline
from tests.commands import Run
from tests.world import other_baseline


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
