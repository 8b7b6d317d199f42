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
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from exporter import names
from exporter.archive.archiver import Archiver
from exporter.collector import cut, render, series_of
from exporter.config import load_config, parse_duration
from exporter.costs import LogRate, monitoring_cost
from exporter.debug import described
from exporter.errors import ConfigError
from exporter.formats.targets import Targets
from exporter.ingest.engine import Delta, Period
from exporter.ingest.halves import Halves
from exporter.ingest.ledger import Ledger
from exporter.ingest.sources import Handle, Inode, LogReader, Piece, ahead
from exporter.ingest.writers import Writers
from exporter.intake.intake import Intake
from exporter.intake.keeper import Keeper
from exporter.measures import Sample, Scope
from exporter.monitor import Monitor, ingestion_samples
from exporter.pages.seen import Seen
from exporter.snapshot import Snapshot, take_snapshot
from exporter.store import Store
from exporter.web.exposition import Exposition
from exporter.windows import HOUR, bucket_starts, fine_since

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # between two looks at the log; a look at unchanged files costs one stat each
_COMMIT_BYTES = 8 * 1024 * 1024  # of log in one transaction: bounds what a crash makes read again
_RELOAD_SECONDS = 30.0  # that one who asks for a reload waits: a transaction and an evaluation take a few


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
    lag: dict[str, float] = field(default_factory=dict)
    """Age of each model's newest record when it was read, in seconds."""
    failures: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reload:
    """A configuration that the worker is asked to take over, and its answer."""

    monitor: Monitor
    answer: Future[None] = field(default_factory=Future)


class Exporter:
    """Follows the log of one configuration file and keeps a rendered snapshot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        now = time.time()
        self._health = Health(started=now, reloaded=now)
        self._exposition: Exposition | None = None
        self._scopes: tuple[Scope, ...] = ()
        self._seen: Seen | None = None
        self._due = 0.0
        self._handles: dict[Inode, Handle] = {}
        self._writers = Writers()
        self._keeper = Keeper()
        self._open(self._load())
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._reloading = threading.Lock()
        self._asked: _Reload | None = None
        self._thread = threading.Thread(target=self._run, name="exporter", daemon=True)

    def _load(self) -> Monitor:
        monitor = Monitor.load(load_config(self._path), str(self._path))
        for warning in monitor.warnings():
            log.warning("%s: %s", self._path, warning)
        return monitor

    def _open(self, monitor: Monitor) -> None:
        """Work with `monitor` and its state from now on; ConfigError when that state cannot be used."""
        config = monitor.config
        folder = config.resolve(config.state)
        store = Store(folder, monitor.layouts, monitor.reach)
        try:
            self._keeper.adopt(monitor)
            ledger = Ledger(store.connection, folder)
        except ConfigError:
            store.close()
            raise
        except OSError as error:
            store.close()
            problem = f"cannot be written ({error.strerror}); give `state` a folder with room that this user can write"
            raise ConfigError(str(folder), [problem]) from error
        self._store, self._monitor, self._engine = store, monitor, monitor.engine(ledger)
        self._halves = Halves(store.connection)
        self._share_knowledge()
        paths = [*map(config.locate, config.log), *self._keeper.paths]
        self._reader = LogReader(
            paths, monitor.schema, monitor.only_model, self._store.positions, traces=self._store.traces,
            handles=self._handles, translations=Targets(config, monitor.baselines).of_log(),
        )  # fmt: skip
        self._archiver = Archiver(config, self._store, self._reader)
        self._is_open = True
        self._cleaned = -math.inf

    def _share_knowledge(self) -> None:
        for model in self._monitor.kernels:
            versions = self._store.versions(model)
            self._engine.know(model, {of: self._store.error_names(model, of) for of in versions})

    def _close(self) -> None:
        """Let go of the state; what windows need stays in memory."""
        self._store.close()
        self._is_open = False

    def start(self) -> None:
        """Begin to read and evaluate."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present step; what is read is committed."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._reader.close()
        self._keeper.close()
        self._close()

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

    @property
    def intake(self) -> Intake | None:
        """The HTTP intake in force; None while none is configured."""
        return self._keeper.intake

    def reload(self) -> Sequence[str]:
        """Load the configuration file anew; its problems when the old one stays in force."""
        with self._reloading:
            try:
                asked = _Reload(self._load())
                self._asked = asked
                self._wake.set()
                asked.answer.result(_RELOAD_SECONDS)
            except ConfigError as error:
                log.error("reload refused: %s", error)  # noqa: TRY400 - a person's mistake, not a fault to trace
                problems: Sequence[str] = error.problems
            except TimeoutError:
                asked.answer.cancel()
                problems = [f"the exporter was busy for {_RELOAD_SECONDS:g} s; try again"]
            else:
                problems, self._health.reloaded = (), time.time()
            self._health.reload_ok = not problems
            self._due = 0.0
            self._wake.set()
            return problems

    def seen(self) -> Seen | None:
        """The newest evaluation, for pages; None before the first."""
        return self._seen

    def debug(self, model: str | None) -> str:
        """The counts behind the numbers, as text; KeyError for an unknown model."""
        if model is not None:
            self._monitor.config.model(model)
        scopes = [scope for scope in self._scopes if model in (None, scope.model.name)]
        failures = [f"{of} {what}: {why}" for (of, what), why in self._health.failures.items() if model in (None, of)]
        return "\n".join([*("\n".join(described(scope)) for scope in scopes), *failures]) + "\n"

    # The worker.

    def _run(self) -> None:
        while not self._stop.is_set():
            self._swap_if_asked()
            self._read()
            self._evaluate_if_due()
            if self._is_open:
                self._archiver.work()
            self._wake.wait(min(POLL_SECONDS, max(self._due - time.monotonic(), 0.01)))
            self._wake.clear()

    def _swap_if_asked(self) -> None:
        asked, self._asked = self._asked, None
        if asked is None or not asked.answer.set_running_or_notify_cancel():
            return
        self._close()
        try:
            self._open(asked.monitor)
            asked.answer.set_result(None)
        except ConfigError as error:  # the old one is opened again before the next reading
            asked.answer.set_exception(error)

    def _read(self) -> None:
        """Read what is new, evaluating in between when a backlog takes long."""
        try:
            if not self._is_open:
                self._open(self._monitor)
            self._clean()
            with closing(ahead(self._reader.poll())) as pieces:
                while self._read_some(pieces) and not (self._stop.is_set() or self._asked):
                    self._keeper.clear(self._store, self._reader)
                    self._evaluate_if_due()
                    self._clean()
            self._keeper.clear(self._store, self._reader)
        except Exception as error:  # noqa: BLE001 - told by `_ingested`; whatever it is, the metrics go on
            self._ingested(error)
            self._close()  # a database that failed may be of no more use; the committed state is loaded again
        else:
            self._ingested(None)

    def _ingested(self, error: Exception | None) -> None:
        """Tell a change in the log, and in the metrics at once."""
        ok = error is None
        if ok == self._health.ingestion_ok:
            return
        self._health.ingestion_ok, self._due = ok, 0.0
        if ok:
            log.info("reading the log goes on")
        else:
            log.error("reading the log failed; it is tried again every second", exc_info=error)

    def _read_some(self, pieces: Iterator[Piece]) -> bool:
        """Count and commit one transaction's worth of pieces; whether there may be more."""
        total, positions, traces, size = Delta(), dict[str, int](), dict[str, bytes](), 0
        latest = time.time() + parse_duration(self._monitor.config.limits.future)
        with self._store.transaction():
            for found in pieces:
                piece = self._halves.complete(found, self._reader.parse, time.time())
                records = self._monitor.sort(piece.records, piece.rejected, latest)
                total.absorb(self._engine.take(records, self._buckets(records.newest)))
                positions[piece.identity], traces[piece.identity] = piece.position, piece.trace
                self._writers.heard(piece.path, records.newest)
                size += piece.size
                if size >= _COMMIT_BYTES:
                    break
            if positions:
                newest = max(total.newest.values(), default=-math.inf)
                self._store.commit(total, positions, size, self._fine(newest), traces)
        now = time.time()
        self._health.lag |= {model: max(now - ts, 0.0) for model, ts in total.newest.items()}
        return size >= _COMMIT_BYTES

    def _clean(self) -> None:
        """Once an hour of the clock in use: forget old profiles, and what has waited for too long."""
        now, config = self._clock(), self._monitor.config
        if now is None or now < self._cleaned + HOUR:
            return
        horizon, retention = parse_duration(config.outcomes.horizon), parse_duration(config.limits.retention)
        orphans = Delta()
        with self._store.transaction():
            orphans.rejected["orphan_outcome"] = self._engine.expire(now - min(horizon, retention))
            orphans.rejected["orphan_half"] = self._halves.expire(time.time() - min(horizon, retention))
            self._keeper.forget(self._store)
            self._store.forget(now - retention)
            self._store.commit(orphans, {}, 0, self._store.fine)
        self._share_knowledge()
        self._cleaned = now

    def _evaluate_if_due(self) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + parse_duration(self._monitor.config.evaluation.interval)
            self._evaluate()

    def _buckets(self, newest: float) -> Period:
        fine = self._fine(newest)
        return lambda ts, _: bucket_starts(ts, fine)

    def _evaluate(self) -> None:
        started = time.monotonic()
        try:
            snapshot, self._scopes = self._take()
            self._health.evaluated = time.time()
            self._health.evaluation_seconds = time.monotonic() - started
            self._seen = self._as_seen(snapshot.at, self._publish(snapshot))
        except Exception:
            log.exception("the evaluation failed; the last snapshot stays, and its age tells")

    def _take(self) -> tuple[Snapshot, tuple[Scope, ...]]:
        at = self._clock()
        scopes = tuple(self._scopes_at(at)) if at is not None else ()
        snapshot = take_snapshot(scopes, at or 0.0, time.perf_counter, self._monitor.measures)
        failures = {(failure.model, failure.statistic): failure.error for failure in snapshot.failures}
        for (model, statistic), error in failures.items():
            if (model, statistic) not in self._health.failures:
                log.error("%s: %s failed", model, statistic, exc_info=error)
        self._health.failures = {key: repr(error) for key, error in failures.items()}
        return snapshot, scopes

    def _clock(self) -> float | None:
        """The instant that windows end at; None while the log's clock has no record."""
        if self._monitor.config.evaluation.clock == "wall":
            return time.time()
        return max(self._store.totals.newest.values(), default=None)

    def _scopes_at(self, at: float) -> Iterator[Scope]:
        return self._monitor.scopes(at, self._store)

    def _as_seen(self, at: float, samples: Sequence[Sample]) -> Seen:
        history = {(of.model.name, of.version): self._store.stored(of.model.name, of.version) for of in self._scopes}
        return Seen(at, self._monitor.config, self._scopes, samples, self._health.failures, history)

    def _publish(self, snapshot: Snapshot) -> Sequence[Sample]:
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
        return kept

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
        yield from self._freshness()
        yield from self._keeper.samples()
        yield from self._archiver.samples()
        yield from self._cost_samples()

    def _cost_samples(self) -> Iterator[Sample]:
        totals, costs = self._store.totals, self._monitor.config.costs
        rate = LogRate.of(self._scopes, self._monitor.windows, totals.log_bytes, totals.accepted["prediction"])
        yield from monitoring_cost(costs, rate, sum(os.times()[:2]), time.time() - self._health.started)
        yield from rate.savings(costs)

    def _freshness(self) -> Iterator[Sample]:
        """How late records are read, and how long ago each writer was heard."""
        for model, seconds in self._health.lag.items():
            yield Sample(names.LAG_SECONDS, (model,), seconds)
        if (at := self._clock()) is not None:
            for state, count in self._writers.states(at).items():
                yield Sample(names.WRITERS, (state,), float(count))
        if (oldest := self._writers.oldest()) is not None:
            yield Sample(names.OLDEST_WRITER_TIMESTAMP_SECONDS, (), oldest)

    def _fine(self, newest: float) -> int:
        """From when on buckets are five minutes wide, now that a record as new as `newest` is there."""
        now = time.time()
        if self._monitor.config.evaluation.clock == "log":
            now = max([newest, *self._store.totals.newest.values()])
        return max(fine_since(now), self._store.fine) if math.isfinite(now) else self._store.fine
