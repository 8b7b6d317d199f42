"""One shot: the metrics at an instant, from files alone, without state."""

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import duckdb

from exporter.errors import DataError
from exporter.ingest.blocks import BULK_FROM
from exporter.ingest.engine import Admitted, Delta, Engine, Period
from exporter.ingest.files import LogFile, find_files, likely_newest
from exporter.ingest.records import Sorted
from exporter.ingest.seen import SeenIds
from exporter.ingest.sources import LogReader, Piece, given
from exporter.ingest.transient import TransientLedger
from exporter.measures import Sample, Scope
from exporter.monitor import Monitor, ingestion_samples
from exporter.profile.columns import Floats
from exporter.profile.layout import Profile
from exporter.profile.packed import sum_packed
from exporter.snapshot import Snapshot, take_snapshot
from exporter.windows import Starts, Stretch, bucket_starts, stretch_starts

_THREADS = 2  # that count beside each other; more hold more pieces in memory, and Python's lock lets few work at once


@dataclass
class Evaluation:
    """What one-shot work counted, and the instant it holds at."""

    monitor: Monitor
    at: float
    delta: Delta = field(default_factory=Delta)
    log_bytes: int = 0

    def scopes(self) -> Iterator[Scope]:
        """One scope for each model and version seen."""
        scopes = self.monitor.scopes(self.at, self)
        yield from sorted(scopes, key=lambda scope: (scope.model.name, scope.version))

    def stretch(self, model: str, version: str, of: Stretch) -> Profile:
        """The sum of what lies in `of`."""
        layout = self.monitor.layouts[model]
        parts = [
            packed
            for (owner, said, start), several in self.delta.profiles.items()
            if (owner, said) == (model, version) and of.first <= start < of.last
            for packed in several
        ]
        return Profile(layout, sum_packed(parts, layout.size))

    def total(self, model: str, version: str) -> Profile:
        """Everything counted of the version."""
        return self.stretch(model, version, Stretch(0, sys.maxsize))

    def past(self, model: str, stretch: Stretch) -> Profile:
        """The sum over all versions of what lies in `stretch`."""
        layout, profiles = self.monitor.layouts[model], self.delta.profiles.items()
        within = (packed for (owner, _, start), several in profiles
                  if owner == model and stretch.first <= start < stretch.last for packed in several)  # fmt: skip
        return Profile(layout, sum_packed(within, layout.size))

    def oldest(self, model: str) -> dict[str, int]:
        """Where each version's oldest records stand."""
        oldest: dict[str, int] = {}
        for owner, version, start in self.delta.profiles:
            if owner == model:
                oldest[version] = min(start, oldest.get(version, start))
        return oldest

    def errors(self, model: str, version: str, source: str) -> dict[str, float]:
        """Failed requests by error, from `records` or `reports`."""
        errors = self.delta.errors.items()
        return {error: n for (m, v, error, s), n in errors if (m, v, s) == (model, version, source)}

    def absorb(self, counted: tuple[Delta, int]) -> None:
        """Take in a file's delta and bytes."""
        delta, size = counted
        self.delta.absorb(delta)
        self.log_bytes += size

    def snapshot(self) -> Snapshot:
        """Every metric that files alone can give."""
        snapshot = take_snapshot(self.scopes(), self.at, time.perf_counter, self.monitor.measures)
        delta = self.delta
        own = ingestion_samples(delta.accepted, delta.rejected, float(self.log_bytes), delta.newest)
        samples: tuple[Sample, ...] = (*self.monitor.info(), *own, *snapshot.samples)
        return Snapshot(snapshot.at, samples, snapshot.failures)


def evaluate(monitor: Monitor, paths: Sequence[str], at: float | None, latest: float) -> Evaluation:
    """Read `paths` whole and count the records up to the instant `at` (None: the newest record's time).

    Records later than `latest` are refused. DataError when there is no file, no usable record, or a file that cannot
    be read whole.
    """
    files = find_files(paths)
    if not files:
        raise DataError(f"no file at {', '.join(paths)}; give files, globs, directories or URLs that exist")
    known = at if at is not None else likely_newest(files, latest)
    result = _count(monitor, files, known, math.inf if at is None else at, latest)
    if not result.delta.newest:
        refused = ", ".join(f"{count} {reason}" for reason, count in sorted(result.delta.rejected.items()))
        until = "" if at is None else " up to that instant"
        raise DataError(f"no usable record in {', '.join(paths)}{until}{'; refused: ' + refused if refused else ''}")
    newest = max(result.delta.newest.values())
    if at is None and known is not None and known != newest:  # the hint was wrong
        return _count(monitor, files, newest, math.inf, latest)
    return result if known is not None else replace(result, at=newest)


def _count(monitor: Monitor, files: Sequence[LogFile], at: float | None, until: float, latest: float) -> Evaluation:
    """Count `files` in the stretches that windows and periods of `at` need; in buckets when it is not known yet."""
    bounds = None if at is None else monitor.bounds(at)

    def period(ts: Floats, _: Floats) -> Starts:
        return bucket_starts(ts, 0) if bounds is None else stretch_starts(ts, bounds)

    result = Evaluation(monitor, -math.inf if at is None else at)
    with Job.open(monitor, period, latest, until) as job:
        for counted in job.files(files):
            result.absorb(counted)
    return result


@dataclass(frozen=True)
class Job:
    """Reads files whole at full speed: what to do with every piece of the log."""

    monitor: Monitor
    ledger: TransientLedger
    period: Period
    latest: float
    until: float
    seen: SeenIds

    @classmethod
    @contextmanager
    def open(cls, monitor: Monitor, period: Period, latest: float, until: float, **more: Any) -> Iterator[Self]:
        """A job with a ledger of its own: records later than `latest` are refused, later than `until` passed over."""
        with duckdb.connect(config={"threads": 2}) as connection:
            yield cls(monitor, TransientLedger(connection), period, latest, until, SeenIds(connection), **more)

    def files(self, files: Iterable[LogFile]) -> Iterator[tuple[Delta, int]]:
        """The delta and bytes of each file."""
        with closing(LogReader((), self.monitor.schema, self.monitor.only_model, follow=False)) as reader:
            for file in files:
                yield self._count_file(reader, file)

    @cached_property
    def engine(self) -> Engine:
        """The engine of the whole job."""
        return self.monitor.engine(self.ledger)

    def count(self, pieces: Iterator[Callable[[], Piece]]) -> tuple[Delta, int]:
        """The pieces' delta and bytes; they are made, sorted and counted on two threads, and admitted in turn."""
        delta, size, due = self.nothing(), 0, deque[Future[tuple[Delta, int]]]()
        turn = _begun()

        def settle() -> None:
            nonlocal size
            part, taken = due.popleft().result()
            delta.absorb(part)
            size += taken

        with ThreadPoolExecutor(_THREADS, thread_name_prefix="count") as pool:
            for piece in pieces:
                before, turn = turn, threading.Event()
                due.append(pool.submit(self._count, piece, before, turn))
                if len(due) > _THREADS:
                    settle()
            while due:
                settle()
        return delta, size

    def _count(self, make: Callable[[], Piece], before: threading.Event, after: threading.Event) -> tuple[Delta, int]:
        try:
            piece = make()
            records = self.sort(piece)
            hashes = self.seen.hashes(records)
            before.wait()
            self.seen.drop_repeated(records, hashes)
            admitted = self.engine.admit(records)
        finally:
            after.set()
        return self.counted(records, admitted), piece.size

    def sort(self, piece: Piece) -> Sorted:
        """A piece's records, validated."""
        return self.monitor.sort(piece.records, piece.rejected, self.latest, self.until)

    def nothing(self) -> Delta:
        """The delta that `counted` ones are added to."""
        return Delta()

    def counted(self, _: Sorted, admitted: Admitted) -> Delta:
        """What a piece adds, given its records and what was admitted of them; on any thread."""
        return self.engine.count(admitted, self.period)

    def _count_file(self, reader: LogReader, file: LogFile) -> tuple[Delta, int]:
        """Count a file whole at full speed where it can be read so, else in blocks, with each bad line counted."""
        quick = file.size >= BULK_FROM if file.is_plain else file.is_parquet and file.filesystem is None
        if quick and not reader.knows(file):
            for attempt in (reader.stream, reader.salvage) if file.is_plain else (reader.stream,):
                known = self.seen.copy()
                try:
                    with self.ledger.trial():
                        return self.count(attempt(file))
                except duckdb.Error:
                    self.seen.restore(known)
        return self.count(map(given, reader.read(file)))


def _begun() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
