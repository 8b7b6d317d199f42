"""A backfill by two processes: each writes the files of a span of instants of its own, the same as one would alone.

The log is read once. What became known before a span is counted again by the process that writes the span, which is a
small part of the work; spans meet where one file ends.
"""

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from exporter.config import Config
from exporter.history.backfill import backfill, snapshots_in
from exporter.history.openmetrics import Lines
from exporter.history.replay import Dated, Grid, read_dated
from exporter.monitor import Monitor

WORTH = 500  # instants; the second process takes as long to start as some 200 take to write


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write: `config`, read from `source`, at the instants of `grid`, into files of `folder`."""

    config: Config
    source: str
    grid: Grid
    folder: Path
    labels: Mapping[str, str]
    step: float

    def lines(self) -> Lines:
        """An empty set of files."""
        return Lines(self.folder, self.labels, self.step)


@dataclass(frozen=True, slots=True)
class Written:
    """The files in order, their samples, and a sentence for each statistic that raised."""

    files: Sequence[Path]
    samples: int
    failures: Sequence[str]

    def __add__(self, other: "Written") -> "Written":
        failures = dict.fromkeys((*self.failures, *other.failures))
        return Written((*self.files, *other.files), self.samples + other.samples, tuple(failures))


def write_history(plan: Plan, monitor: Monitor, paths: Sequence[str], latest: float,
                  progress: Callable[[int], None] = lambda _: None) -> Written:  # fmt: skip
    """Read `paths` once and write every instant of `plan`; DataError when there is nothing.

    `progress` hears how many more instants are done; while two processes work, the other is taken to be as far.
    """
    dated = read_dated(monitor, paths, plan.grid, latest)
    count = len(plan.grid.instants)
    middle = _middle(plan.grid.instants, plan.lines()) if count >= WORTH else count
    if middle == count:
        return _write(plan, monitor, dated, range(count), progress)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        second = pool.submit(_write_apart, plan, dated, range(middle, count))
        first = _write(plan, monitor, dated, range(middle), lambda done: progress(2 * done))
        return first + second.result()


def _middle(instants: Sequence[float], lines: Lines) -> int:
    """The first instant of the file that holds the middle one; as many as there are when one file holds them all."""
    middle = lines.file_of(instants[len(instants) // 2])
    before = sum(lines.file_of(at) < middle for at in instants)
    return before or sum(lines.file_of(at) <= middle for at in instants)


def _write_apart(plan: Plan, dated: Dated, steps: range) -> Written:
    """In a process of its own, which loads baselines and the user's statistics for itself."""
    return _write(plan, Monitor.load(plan.config, plan.source), dated, steps, lambda _: None)


def _write(plan: Plan, monitor: Monitor, dated: Dated, steps: range, progress: Callable[[int], None]) -> Written:
    lines = plan.lines()
    failures = backfill(snapshots_in(monitor, plan.grid, dated, steps), lines, progress)
    told = tuple(f"{failure.model}: {failure.statistic} failed: {failure.error!r}" for failure in failures)
    return Written(tuple(lines.files), lines.samples, told)
