"""Metrics of past instants: what `evaluate --at` says of each of them, computed in one reading of the log.

What the exporter tells of itself (what it read, how long that took) is no part of the past and stays out, but for its
models and their newest records.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from exporter import names
from exporter.collector import cut, series_of
from exporter.history.openmetrics import Lines
from exporter.history.replay import Dated, Grid, Replay, read_dated
from exporter.measures import Sample, Scope
from exporter.measures.drift import compare
from exporter.monitor import Monitor
from exporter.snapshot import Failure, Snapshot, take_snapshot

_TOGETHER = 24  # instants whose drift is compared at once; tables of a hundred categories then take some 60 MB
PROMETHEUS_HEAD = 3 * 3_600  # seconds that Prometheus may still hold in memory; older blocks never meet them


def snapshots(monitor: Monitor, paths: Sequence[str], grid: Grid, latest: float) -> Iterator[Snapshot]:
    """The snapshot at each instant of `grid` for which there is any record; DataError when there is nothing."""
    dated = read_dated(monitor, paths, grid, latest)
    yield from snapshots_in(monitor, grid, dated, range(len(grid.instants)))


def snapshots_in(monitor: Monitor, grid: Grid, dated: Dated, steps: range) -> Iterator[Snapshot]:
    """The snapshots at the instants of `grid` that bear the numbers `steps`, which follow one another."""
    for several in _batched(_moments(Replay(monitor, grid, dated), grid, steps), _TOGETHER):
        with suppress(Exception):  # then each scope compares for itself, and the one that cannot says so
            compare([scope for moment in several for scope in moment.scopes])
        for moment in several:
            yield _whole(monitor, moment, take_snapshot(moment.scopes, moment.at, time.perf_counter, monitor.measures))


@dataclass(frozen=True, slots=True)
class _Moment:
    """What was known at an instant."""

    at: float
    scopes: Sequence[Scope]
    newest: Mapping[str, float]


def _moments(replay: Replay, grid: Grid, steps: range) -> Iterator[_Moment]:
    for step, at in enumerate(grid.instants[: steps.stop]):
        replay.advance(step)
        if step >= steps.start and replay.newest:
            yield _Moment(at, list(replay.scopes(at)), dict(replay.newest))


def _whole(monitor: Monitor, moment: _Moment, snapshot: Snapshot) -> Snapshot:
    newest = (Sample(names.LAST_RECORD_TIMESTAMP_SECONDS, (model,), ts) for model, ts in moment.newest.items())
    told = (sample for sample in snapshot.samples if sample.family is not names.STATISTIC_DURATION_SECONDS)
    samples, limit = [*monitor.info(), *newest, *told], monitor.config.limits.series
    if sum(map(series_of, samples)) > limit:
        samples, _ = cut(samples, limit)
    return Snapshot(snapshot.at, tuple(samples), snapshot.failures)


def _batched(moments: Iterable[_Moment], size: int) -> Iterator[list[_Moment]]:
    """Lists of `size`, the last one shorter."""
    left = iter(moments)
    while several := list(islice(left, size)):
        yield several


def backfill(snapshots: Iterator[Snapshot], lines: Lines, progress: Callable[[int], None]) -> list[Failure]:
    """Write every snapshot, telling of each one that it is done; one failure of each statistic that raised."""
    failures: dict[tuple[str, str], Failure] = {}
    for snapshot in snapshots:
        lines.write(snapshot.at, snapshot.samples)
        failures |= {(failure.model, failure.statistic): failure for failure in snapshot.failures}
        progress(1)
    lines.flush()
    return list(failures.values())
