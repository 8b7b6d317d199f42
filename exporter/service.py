"""The exporter at work: one thread reads the log and evaluates; scrapes see the last rendered snapshot.

A failure costs itself alone: a reading that fails is rolled back, counted and tried again, a reload that fails keeps
the old configuration.
"""

import logging
import math
import os
import platform
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from exporter import names
from exporter.collector import cut, render, series_of
from exporter.config import Costs, load_config, parse_duration
from exporter.errors import ConfigError
from exporter.ingest.engine import Delta, Period
from exporter.ingest.sources import LogReader, Piece, ahead
from exporter.measures import Sample, Scope
from exporter.monitor import Monitor, ingestion_samples
from exporter.server import Exposition, ModelSummary
from exporter.snapshot import Snapshot, take_snapshot
from exporter.store import Store
from exporter.windows import bucket_starts, fine_since

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # between two looks at the log; a look at unchanged files costs one stat each
MONTH_SECONDS = 30 * 86_400
_COMMIT_BYTES = 32 * 1024 * 1024  # of log in one transaction: bounds what a crash makes read again


@dataclass
class Health:
    """What the exporter knows of itself beside its data."""

    started: float
    reloaded: float
    reload_ok: bool = True
    ingestion_ok: bool = True
    evaluated: float = 0.0
    evaluation_seconds: float = 0.0
    series_dropped: int = 0
    failures: dict[tuple[str, str], str] = field(default_factory=dict)


class Exporter:
    """Follows the log of one configuration file and keeps a rendered snapshot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._monitor = Monitor.load(load_config(path), str(path))
        self._open()
        now = time.time()
        self._health = Health(started=now, reloaded=now)
        self._exposition: Exposition | None = None
        self._scopes: tuple[Scope, ...] = ()
        self._stop = threading.Event()
        self._next: Monitor | None = None
        self._thread = threading.Thread(target=self._run, name="exporter", daemon=True)

    def _open(self) -> None:
        monitor = self._monitor
        config = monitor.config
        self._store = Store(config.resolve(config.state), monitor.layouts, max(monitor.windows.values()))
        self._engine = monitor.engine(self._store.connection, exact=True)
        for name in monitor.kernels:
            self._engine.know_versions(name, self._store.versions(name))
        paths = [source.path if "://" in source.path else str(config.resolve(source.path)) for source in config.log]
        self._reader = LogReader(paths, monitor.schema, monitor.only_model, positions=self._store.positions)

    def start(self) -> None:
        """Begin to read and evaluate."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present step; what is read is committed."""
        self._stop.set()
        self._thread.join()
        self._store.close()

    # What the web server asks for.

    def snapshot(self) -> Exposition | None:
        """The newest rendered snapshot; None before the first."""
        return self._exposition

    def alive(self) -> bool:
        """Whether the worker thread runs."""
        return self._thread.is_alive()

    def ready(self) -> bool:
        """Whether there is a snapshot to scrape."""
        return self._exposition is not None

    def reload(self) -> Sequence[str]:
        """Load the configuration file anew; its problems when the old one stays in force."""
        try:
            self._next = Monitor.load(load_config(self._path), str(self._path))
        except ConfigError as error:
            self._health.reload_ok = False
            log.error("reload refused: %s", error)  # noqa: TRY400 - a person's mistake, not a fault to trace
            return error.problems
        self._health.reload_ok = True
        self._health.reloaded = time.time()
        return ()

    def models(self) -> Sequence[ModelSummary]:
        """The monitored models."""
        newest = self._store.totals.newest
        return [ModelSummary(m.name, m.task, newest.get(m.name)) for m in self._monitor.config.models]

    def debug(self, model: str | None) -> str:
        """The counts behind the numbers, as text; KeyError for an unknown model."""
        if model is not None:
            self._monitor.config.model(model)
        scopes = [scope for scope in self._scopes if model in (None, scope.model.name)]
        failures = [f"{of} {what}: {why}" for (of, what), why in self._health.failures.items() if model in (None, of)]
        return "\n".join([*("\n".join(_described(scope)) for scope in scopes), *failures]) + "\n"

    # The worker.

    def _run(self) -> None:
        due = 0.0
        while not self._stop.is_set():
            self._swap_if_reloaded()
            interval = parse_duration(self._monitor.config.evaluation.interval)
            due = self._read(due, interval)
            if time.monotonic() >= due:
                self._evaluate()
                due = time.monotonic() + interval
            self._stop.wait(min(POLL_SECONDS, max(due - time.monotonic(), 0.01)))

    def _swap_if_reloaded(self) -> None:
        if (monitor := self._next) is None:
            return
        self._next = None
        previous = self._monitor
        self._store.close()
        try:
            self._monitor = monitor
            self._open()
        except ConfigError:
            log.exception("the new configuration's state cannot be opened; the old configuration goes on")
            self._health.reload_ok = False
            self._monitor = previous
            self._open()

    def _read(self, due: float, interval: int) -> float:
        """Read what is new, evaluating in between when a backlog takes long; the time the next evaluation is due."""
        pieces = ahead(self._reader.poll())
        try:
            while self._read_some(pieces) and not self._stop.is_set():
                if time.monotonic() >= due:
                    self._evaluate()
                    due = time.monotonic() + interval
            self._health.ingestion_ok = True
        except Exception:
            log.exception("reading the log failed; it is tried again")
            self._health.ingestion_ok = False
        finally:
            pieces.close()
        if not self._health.ingestion_ok:
            self._reader.forget()
        return due

    def _read_some(self, pieces: Iterator[Piece]) -> bool:
        """Count and commit one transaction's worth of pieces; whether there may be more."""
        total, positions, size = Delta(), dict[str, int](), 0
        latest = time.time() + parse_duration(self._monitor.config.limits.future)
        with self._store.transaction():
            for piece in pieces:
                records = self._monitor.sort(piece.records, piece.rejected, latest)
                total.absorb(self._engine.take(records, self._buckets(records.newest)))
                positions[piece.identity] = piece.position
                size += piece.size
                if size >= _COMMIT_BYTES:
                    break
            if positions:
                newest = max(total.newest.values(), default=-math.inf)
                self._store.commit(total, positions, size, self._fine(newest))
        return size >= _COMMIT_BYTES

    def _buckets(self, newest: float) -> Period:
        fine = self._fine(newest)
        return lambda ts: bucket_starts(ts, fine)

    def _evaluate(self) -> None:
        started = time.monotonic()
        try:
            snapshot, scopes = self._take()
            self._health.evaluated = time.time()
            self._health.evaluation_seconds = time.monotonic() - started
            self._publish(snapshot)
            self._scopes = scopes
        except Exception:
            log.exception("the evaluation failed; the last snapshot stays, and its age tells")

    def _take(self) -> tuple[Snapshot, tuple[Scope, ...]]:
        at = self._clock()
        scopes = tuple(self._scopes_at(at)) if at is not None else ()
        snapshot = take_snapshot(scopes, at or 0.0, time.perf_counter)
        failures = {(f.model, f.statistic): repr(f.error) for f in snapshot.failures}
        for failure in snapshot.failures:
            if (failure.model, failure.statistic) not in self._health.failures:
                log.error("%s: %s failed", failure.model, failure.statistic, exc_info=failure.error)
        self._health.failures = failures
        return snapshot, scopes

    def _clock(self) -> float | None:
        """The instant that windows end at; None while the log's clock has no record."""
        if self._monitor.config.evaluation.clock == "wall":
            return time.time()
        return max(self._store.totals.newest.values(), default=None)

    def _scopes_at(self, at: float) -> Iterator[Scope]:
        config, store = self._monitor.config, self._store
        for model in config.models:
            for of in sorted(store.versions(model.name)):
                windows = {
                    name: store.window(model.name, of, at, length) for name, length in self._monitor.windows.items()
                }
                totals = store.total(model.name, of)
                source = "reports" if totals.part("reported")[0] else "records"
                yield Scope(model, of, config.costs, windows, totals, store.errors(model.name, of, source))

    def _publish(self, snapshot: Snapshot) -> None:
        own = list(self._own_samples())
        kept, dropped = cut([*own, *snapshot.samples], self._monitor.config.limits.series - 2)
        self._health.series_dropped += dropped
        series = sum(map(series_of, kept)) + 2
        kept += [
            Sample(names.SERIES, (), float(series)),
            Sample(names.SERIES_DROPPED_TOTAL, (), float(self._health.series_dropped)),
        ]
        text, openmetrics = render(kept)
        self._exposition = Exposition(text, openmetrics, series, time.time()).prepare()

    def _own_samples(self) -> Iterator[Sample]:
        health, totals = self._health, self._store.totals
        yield Sample(names.BUILD_INFO, (version("prediction-exporter"), platform.python_version()), 1.0)
        yield from self._monitor.info()
        yield from ingestion_samples(totals.accepted, totals.rejected, totals.log_bytes, totals.newest)
        for family, value in (
            (names.LAST_EVALUATION_TIMESTAMP_SECONDS, health.evaluated),
            (names.EVALUATION_DURATION_SECONDS, health.evaluation_seconds),
            (names.INGESTION_SUCCESS, float(health.ingestion_ok)),
            (names.LAG_BYTES, float(self._reader.lag())),
            (names.CONFIG_LAST_RELOAD_SUCCESSFUL, float(health.reload_ok)),
            (names.CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS, health.reloaded),
            (names.STATE_BYTES, float(self._store.size)),
        ):
            yield Sample(family, (), value)
        for component, usd in self._monitoring_cost().items():
            yield Sample(names.MONITORING_COST_USD, (component,), usd)

    def _monitoring_cost(self) -> Mapping[str, float]:
        """USD a month, at the rates seen so far."""
        costs = self._monitor.config.costs
        used, elapsed = sum(os.times()[:2]), max(time.time() - self._health.started, 1.0)
        return {
            "log_storage": log_cost(costs, self._bytes_a_month()),
            "compute": used / elapsed * MONTH_SECONDS / 3_600 * costs.compute_usd_per_core_hour,
        }

    def _bytes_a_month(self) -> float:
        """Bytes of log in 30 days, from the predictions of the longest window and the log's bytes for each."""
        totals = self._store.totals
        logged = totals.accepted["prediction"]
        longest = max(self._monitor.windows, key=self._monitor.windows.__getitem__)
        recent = sum(scope.windows[longest].records for scope in self._scopes)
        per_prediction = totals.log_bytes / logged if logged else 0.0
        return recent * per_prediction * MONTH_SECONDS / self._monitor.windows[longest]

    def _fine(self, newest: float) -> int:
        """From when on buckets are five minutes wide, now that a record as new as `newest` is there."""
        now = time.time()
        if self._monitor.config.evaluation.clock == "log":
            now = max([newest, *self._store.totals.newest.values()])
        return max(fine_since(now), self._store.fine) if math.isfinite(now) else self._store.fine


def log_cost(costs: Costs, bytes_a_month: float) -> float:
    """USD a month for taking in that much log and keeping it for the configured retention."""
    gib = bytes_a_month / 2**30
    kept_months = parse_duration(costs.log_retention) / MONTH_SECONDS
    return gib * (costs.log_ingestion_usd_per_gib + kept_months * costs.log_storage_usd_per_gib_month)


def _described(scope: Scope) -> Iterator[str]:
    yield f"model {scope.model.name} version {scope.version} baseline {scope.totals.layout.baseline.fingerprint}"
    for window, profile in scope.windows.items():
        records, weight, squared = profile.part("rows")
        yield f"  window {window}: records {records:g}, weight {weight:g}, squared weight {squared:g}"
        for feature in scope.totals.layout.features:
            counts = profile.part(f"feature:{feature.name}")
            yield f"    {feature.name}: {' '.join(f'{count:g}' for count in counts)}"
