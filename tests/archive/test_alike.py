"""Logs that begin alike: nothing leaves its folder that was not read."""

from pathlib import Path

import pytest

from exporter import names
from tests.archive.test_archiver import ARCHIVED, logs, rest, sweep
from tests.commands import Run
from tests.exporters import Make, predictions, some, step, write


@pytest.mark.parametrize("last", [25, 40])
def test_logs_that_begin_alike_are_both_read_before_they_move(tmp_path: Path, make: Make, run: Run, last: int) -> None:
    rest(
        write(tmp_path, some(0, 2) + some(2, 30), "a.ndjson"),
        write(tmp_path, some(0, 2) + some(50, last + 30), "b.ndjson"),
    )
    exporter = make(ARCHIVED)
    step(exporter)
    assert predictions(exporter) == 30 + last - 20
    sweep(exporter)
    assert logs(tmp_path) == []
    exporter.stop()
    page = run("evaluate", "--config", "prediction-exporter.yml", "--log", "state/archive/**/*").out
    assert f'{names.RECORDS_TOTAL.name}{{kind="prediction"}} {30.0 + last - 20}' in page


def test_a_file_that_is_a_part_of_what_was_read_stays(tmp_path: Path, make: Make) -> None:
    rest(write(tmp_path, some(0, 30), "a.ndjson"), write(tmp_path, some(0, 20), "b.ndjson"))
    exporter = make(ARCHIVED)
    step(exporter)
    sweep(exporter)
    assert logs(tmp_path) == ["b.ndjson"]
    assert predictions(exporter) == 30
