"""The year of flights backfilled at a step of an hour, against reading its log once: seconds, CPU seconds, ratios.

usage: python bench/backfill.py [FOLDER]     keeps the scored flights in FOLDER
"""

import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow.json

from exporter.config import load_config
from exporter.demo.flights import DAY, YEAR_END, YEAR_START, year
from exporter.demo.stage import build_baseline
from exporter.demo.traffic import write_year
from exporter.demo.workspace import CONFIG, DEPLOY
from exporter.evaluate import evaluate
from exporter.history.replay import Grid
from exporter.history.spans import Plan, Written, write_history
from exporter.monitor import Monitor

T = TypeVar("T")
HOUR, FULL = 3_600.0, 28 * DAY  # until the widest window is full


def main(folder: Path) -> None:
    """Print what each way takes."""
    monitor, paths = _prepared(folder), [str(folder / "logs/*.ndjson")]
    grid = Grid.of(monitor, YEAR_START + FULL, YEAR_END, HOUR)

    def backfilled() -> Written:
        out = folder / "openmetrics"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        plan = Plan(monitor.config, str(folder / "prediction-exporter.yml"), grid, out, {"job": "bench"}, HOUR)
        return write_history(plan, monitor, paths, time.time())

    _, floor = _taken("pyarrow.json.read_json", lambda: [pyarrow.json.read_json(file) for file in _files(folder)])
    _, once = _taken("one reading, by evaluate", lambda: evaluate(monitor, paths, YEAR_END, time.time()))
    written, whole = _taken(f"backfill, {len(grid.instants)} instants", backfilled)
    print(f"{written.samples} samples; CPU {whole / once:.1f} times one reading, {whole / floor:.1f} times pyarrow's; "
          f"{1e3 * (whole - once) / len(grid.instants):.1f} ms of CPU an instant beyond one reading")  # fmt: skip


def _prepared(folder: Path) -> Monitor:
    folder.mkdir(parents=True, exist_ok=True)
    path, scored = folder / "prediction-exporter.yml", year(folder)[0]
    shutil.copyfile(DEPLOY / CONFIG, path)
    write_year(folder / "logs", scored)
    build_baseline(path, scored)
    return Monitor.load(load_config(path), str(path))


def _files(folder: Path) -> list[Path]:
    return sorted((folder / "logs").glob("*.ndjson"))


def _taken(name: str, work: Callable[[], T]) -> tuple[T, float]:
    """What `work` gives, and its CPU seconds with those of its processes."""
    began, before = time.perf_counter(), _cpu()
    result = work()
    taken = _cpu() - before
    print(f"{name:<32} {time.perf_counter() - began:8.1f} s {taken:8.1f} s of CPU", flush=True)
    return result, taken


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(of.ru_utime + of.ru_stime for of in both)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/prediction_exporter_bench/flights"))
