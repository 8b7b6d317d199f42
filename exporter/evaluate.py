"""One shot: the metrics at an instant, from files alone, without state."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import duckdb

from exporter.errors import DataError
from exporter.ingest.engine import Delta, Engine, Period
from exporter.ingest.records import Sorted
from exporter.ingest.sources import BULK_FROM, LogFile, LogReader, Piece, ahead, find_files, newest_parquet_time
from exporter.measures import Sample, Scope
from exporter.monitor import Monitor, ingestion_samples
from exporter.profile.layout import Profile
from exporter.profile.packed import sum_packed
from exporter.snapshot import Snapshot, take_snapshot
from exporter.windows import bucket_starts, segment_starts, window_start


@dataclass
class Evaluation:
    """What one-shot work counted, and the instant it holds at."""

    monitor: Monitor
    at: float
    delta: Delta = field(default_factory=Delta)
    log_bytes: int = 0

    def scopes(self) -> Iterator[Scope]:
        """One scope for each model and version seen."""
        config = self.monitor.config
        for model, version in sorted({key[:2] for key in self.delta.profiles}):
            windows = {
                name: self._profile(model, version, window_start(self.at, length))
                for name, length in self.monitor.windows.items()
            }
            totals = self._profile(model, version, 0)
            errors = self._errors(model, version, totals)
            yield Scope(config.model(model), version, config.costs, windows, totals, errors)

    def _profile(self, model: str, version: str, since: int) -> Profile:
        layout = self.monitor.layouts[model]
        parts = [
            packed
            for (owner, of, start), several in self.delta.profiles.items()
            if (owner, of) == (model, version) and start >= since
            for packed in several
        ]
        return Profile(layout, sum_packed(parts, layout.size))

    def _errors(self, model: str, version: str, totals: Profile) -> dict[str, float]:
        source = "reports" if totals.part("reported")[0] else "records"
        errors = self.delta.errors.items()
        return {error: n for (m, v, error, s), n in errors if (m, v, s) == (model, version, source)}

    def absorb(self, counted: tuple[Delta, int]) -> None:
        """Take in a file's delta and bytes."""
        delta, size = counted
        self.delta.absorb(delta)
        self.log_bytes += size

    def snapshot(self) -> Snapshot:
        """Every metric that files alone can give."""
        snapshot = take_snapshot(self.scopes(), self.at, time.perf_counter)
        delta = self.delta
        own = ingestion_samples(delta.accepted, delta.rejected, float(self.log_bytes), delta.newest)
        samples: tuple[Sample, ...] = (*self.monitor.info(), *own, *snapshot.samples)
        return Snapshot(snapshot.at, samples, snapshot.failures)


def evaluate(monitor: Monitor, paths: Sequence[str], at: float | None, now: float) -> Evaluation:
    """Read `paths` whole and count the records up to the instant `at` (None: the newest record's time).

    DataError when there is no file, no usable record, or a file that cannot be read whole.
    """
    files = find_files(paths)
    if not files:
        raise DataError(f"no file at {', '.join(paths)}; give files, globs, directories or URLs that exist")
    known = at if at is not None else newest_parquet_time(files)
    period: Period = _stretches(known, monitor) if known is not None else lambda ts: bucket_starts(ts, 0)
    reader = LogReader(paths, monitor.schema, monitor.only_model, follow=False)
    connection = duckdb.connect(config={"threads": 2})
    result = Evaluation(monitor, known if known is not None else -math.inf)
    job = _Job(monitor, monitor.engine(connection, exact=False), period, now, math.inf if at is None else at)
    for file in files:
        result.absorb(_count_file(job, reader, file, connection))
    if broken := reader.unreadable():
        raise DataError(f"{broken[0]}: cannot be read whole; mend or remove it")
    if not result.delta.newest:
        refused = ", ".join(f"{count} {reason}" for reason, count in sorted(result.delta.rejected.items()))
        raise DataError(f"no usable record in {', '.join(paths)}{'; refused: ' + refused if refused else ''}")
    if known is None:
        result.at = max(result.delta.newest.values())
    return result


def _stretches(at: float, monitor: Monitor) -> Period:
    return lambda ts: segment_starts(ts, at, monitor.windows.values())


@dataclass(frozen=True)
class _Job:
    """What to do with every piece of the log."""

    monitor: Monitor
    engine: Engine
    period: Period
    now: float
    until: float

    def count(self, pieces: Iterator[Piece]) -> tuple[Delta, int]:
        """The pieces' delta and bytes; sorting goes on beside the counting."""
        delta, size = Delta(), 0
        for piece, records in ahead(self._sorted(pieces)):
            size += piece.size
            delta.absorb(self.engine.take(records, self.period))
        return delta, size

    def _sorted(self, pieces: Iterator[Piece]) -> Iterator[tuple[Piece, Sorted]]:
        for piece in pieces:
            yield piece, self.monitor.sort(piece.records, piece.rejected, self.now, self.until)


def _count_file(job: _Job, reader: LogReader, file: LogFile, ledger: duckdb.DuckDBPyConnection) -> tuple[Delta, int]:
    """Count a file whole at full speed where its lines allow, else again in blocks, with each bad line counted."""
    if file.is_plain and file.size >= BULK_FROM:
        ledger.execute("BEGIN")
        try:
            counted = job.count(reader.stream(file))
        except duckdb.Error:
            ledger.execute("ROLLBACK")
        else:
            ledger.execute("COMMIT")
            return counted
    return job.count(reader.read(file))
