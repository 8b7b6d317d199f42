"""The command `explain`: what it prints in both forms, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter import names
from tests.commands import Run
from tests.world import outcome, prediction, text

ARGUMENTS = ("--config", "prediction-exporter.yml", "--log", "logs")


def log() -> None:
    records = [*(prediction(number, version=f"v{number // 60}") for number in range(100)),
               *(outcome(number) for number in range(50))]  # fmt: skip
    Path("logs/x.ndjson").write_bytes(text(records))


def evaluated(run: Run, *arguments: str) -> dict[tuple[str, ...], float]:
    """The numbers of `evaluate`, by name and sorted labels."""
    found = json.loads(run("evaluate", *ARGUMENTS, "--format", "json", *arguments).out)
    return {(of["name"], *(f"{name}={value}" for name, value in sorted(of["labels"].items()))): of["value"]
            for of in found}  # fmt: skip


def test_explained_numbers_are_those_that_evaluate_prints(run: Run) -> None:
    log()
    theirs = evaluated(run)
    for arguments in (("churn",), ("churn", "age")):
        found: list[dict[str, Any]] = json.loads(run("explain", *ARGUMENTS, *arguments, "--format", "json").out)
        assert {of["labels"]["model_version"] for of in found} == {"v0", "v1"}
        ours = {
            (of["metric"], *(f"{name}={value}" for name, value in sorted(of["labels"].items()))): of["value"]
            for of in found
            if not of["metric"].endswith("_seconds")  # histograms are told by their mean
        }
        present = {key: value for key, value in ours.items() if value is not None}
        assert len(present) > 20
        assert present == pytest.approx({key: theirs[key] for key in present}, rel=1e-9)
        assert not {key for key, value in ours.items() if value is None} & theirs.keys()


def test_one_number_is_told_in_a_paragraph(run: Run) -> None:
    log()
    options = ("--metric", names.MODEL_ACCURACY.name, "--window", "7d", "--version", "v0")
    ended = run("explain", *ARGUMENTS, "churn", *options)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(f"{names.MODEL_ACCURACY.name}{{model_name='churn', model_version='v0', window='7d'}}\n")
    assert "labelled predictions that were right, over all labelled predictions" in ended.out
    assert ended.out.count("{") == 1
    assert ended.out.splitlines()[-1].startswith("  = 0.")


def test_what_there_is_no_number_of_says_why(run: Run) -> None:
    log()
    ended = run("explain", *ARGUMENTS, "churn", "--metric", names.MODEL_AUC.name, "--version", "v1")
    assert "  absent: no positive labels (has 0, needs 1)" in ended.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody",), "no model called 'nobody'; it has churn, price"),
        (("churn", "nothing"), "FEATURE: no 'nothing' here; give one of age, colour"),
        (("churn", "--window", "2h"), "--window: no '2h' here; give one of 1h, 1d, 7d"),
        (("churn", "--version", "v9"), "--version: no 'v9' here; give one of v0, v1"),
        (("churn", "--metric", "accuracy"), "--metric: no 'accuracy' here; give one of "),
        (("price",), "price: no predictions up to that instant"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(run: Run, arguments: tuple[str, ...], message: str) -> None:
    log()
    ended = run("explain", *ARGUMENTS, *arguments)
    assert ended.status > 0
    assert message in ended.err
