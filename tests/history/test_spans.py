"""A backfill by two processes writes the very files that one writes alone."""

from pathlib import Path

import pytest

from exporter.history import spans
from exporter.history.replay import Grid
from exporter.history.spans import Plan, write_history
from tests.world import START, counts, monitor, outcome, prediction, text

HOUR = 3_600.0
LATEST = START + 1e6
STEP = 400.0  # puts 18 hours in a file


def files(written: spans.Written) -> dict[str, list[str]]:
    """The lines of each file."""
    return {path.name: path.read_text(encoding="utf-8").splitlines() for path in written.files}


@pytest.mark.parametrize("hours", [30, 90])
def test_two_processes_write_what_one_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    small = monitor(tmp_path)
    records = [*(prediction(number, ts=START + 900 * number) for number in range(4 * hours)), counts(700)]
    records += [outcome(number, ts=START + 900 * number + 5 * HOUR) for number in range(0, 3 * hours, 2)]
    (tmp_path / "a.ndjson").write_bytes(text(records))
    grid = Grid.of(small, START, START + hours * HOUR, HOUR)
    found = []
    for name, worth in (("alone", 10_000), ("apart", 1)):
        (tmp_path / name).mkdir()
        plan = Plan(small.config, "test", grid, tmp_path / name, {"job": "x"}, STEP)
        monkeypatch.setattr(spans, "WORTH", worth)
        found.append(write_history(plan, small, [str(tmp_path / "a.ndjson")], LATEST))
    assert len(found[0].files) > 1
    assert files(found[0]) == files(found[1])
    assert [path.name for path in found[1].files] == sorted(path.name for path in found[1].files)
    assert found[0].samples == found[1].samples
