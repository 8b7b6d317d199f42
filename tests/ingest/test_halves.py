"""Azure ML's two collections, followed: joined once, in whatever order they come, over restarts and copies."""

import json
from pathlib import Path

import pytest

from exporter import names
from exporter.service import Exporter
from tests.exporters import Make, series, step
from tests.world import CONFIG, START

AZURE = CONFIG.replace(
    'log: [{path: "logs/*.ndjson*"}]',
    "log: [{path: collected/model_inputs/, format: azureml, foreign: {model: churn}}, "
    "{path: collected/model_outputs/, format: azureml, foreign: {model: churn}}]",
)


def line(side: str, number: int, rows: int = 1) -> bytes:
    """A line as the collector writes it."""
    row = {"age": 40, "colour": "red"} if side == "inputs" else {"0": 0.25}
    about = {
        "specversion": "1.0",
        "type": f"azureml.inference.model_{side}",
        "time": START + number,
        "data": rows * [row],
    }
    return json.dumps(about | {"correlationid": f"r-{number}", "modelversion": "default"}).encode() + b"\n"


def write(folder: Path, side: str, data: bytes) -> None:
    path = folder / f"collected/model_{side}/a.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)


def counted(exporter: Exporter) -> tuple[float, float]:
    """Predictions, and pairs that became none."""
    found = series(exporter)
    logged = found.get((names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "default"), 0.0)
    return logged, found[names.REJECTED_RECORDS_TOTAL.name, "malformed"]


@pytest.mark.parametrize("first", ["inputs", "outputs"])
def test_a_half_waits_for_its_other_one_over_a_restart(first: str, tmp_path: Path, make: Make) -> None:
    other = {"inputs": "outputs", "outputs": "inputs"}[first]
    for side in (first, other):
        write(tmp_path, side, b"")
    write(tmp_path, first, line(first, 0) + line(first, 1, rows=2) + line(first, 2))
    exporter = make(AZURE)
    step(exporter)
    assert counted(exporter) == (0, 0)
    exporter.stop()
    write(tmp_path, other, line(other, 1, rows=2) + line(other, 0) + line(other, 3))
    again = make(AZURE)
    step(again)
    assert counted(again) == (3, 0)
    write(tmp_path, other, line(other, 2, rows=2))
    step(again)
    assert counted(again) == (3, 1), "two halves of unlike length are one bad record"
    again.stop()
    last = make(AZURE)
    step(last)
    assert counted(last) == (3, 1)


def test_a_half_whose_other_one_never_comes_is_given_up(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "inputs", line("inputs", 0))
    write(tmp_path, "outputs", b"")
    exporter = make(AZURE.replace("clock: log", "clock: wall"))
    step(exporter)
    assert series(exporter)[names.REJECTED_RECORDS_TOTAL.name, "orphan_half"] == 0
    exporter._store.connection.execute("UPDATE halves SET since = since - 400 * 86400")
    exporter._cleaned = float("-inf")
    monkeypatch.setattr(exporter, "_clock", lambda: START + 10.0)
    step(exporter)
    assert series(exporter)[names.REJECTED_RECORDS_TOTAL.name, "orphan_half"] == 1
    write(tmp_path, "outputs", line("outputs", 0))
    step(exporter)
    assert counted(exporter) == (0, 0)


def test_halves_may_come_in_one_log_and_twice(tmp_path: Path, make: Make) -> None:
    write(tmp_path, "outputs", b"")
    write(tmp_path, "inputs", line("inputs", 0) + line("inputs", 1) + line("inputs", 0) + line("outputs", 0))
    exporter = make(AZURE)
    step(exporter)
    assert counted(exporter) == (1, 0)
    write(tmp_path, "inputs", line("inputs", 1) + line("outputs", 1))
    step(exporter)
    assert counted(exporter) == (2, 0)
