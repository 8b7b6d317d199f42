"""The background thread: queued entries enter, sampled and encoded lines leave for the segments, and all is counted.

Nothing that happens here reaches the caller; what goes wrong is counted, and told once a minute to `logging`.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from predlog.batch import Batch, entries
from predlog.counts import Counts
from predlog.record import (
    OUTCOME_START,
    PREDICTION_START,
    Outcome,
    Prediction,
    encode,
    error_name,
    outcome_record,
    prediction_record,
)
from predlog.sampling import Sampler, Sampling
from predlog.segment import Fsync, Segments

# The thread holds the interpreter for at most this many entries (0.3 ms), then lets callers run.
_BURST = 64
_PAUSE_SECONDS = 0.001
_BATCH_PAUSE_SECONDS = 0.0001
# With more waiting than eight bursts, bursts grow with what waits, so that the thread keeps up with any steady load.
_BACKLOG_SHARE = 8
_IDLE_SECONDS = 0.05  # callers do not wake the thread, which would cost them a microsecond; it looks for itself
_CHUNK_BYTES = 1 << 18  # 256 KiB a write: larger ones gain nothing, smaller ones cost calls
_TELL_AGAIN_SECONDS = 60

_log = logging.getLogger("predlog")


class Settings(NamedTuple):
    """What the worker needs to know of its log."""

    model: str
    version: str
    feature_names: tuple[str, ...] | None
    sampling: Sampling
    flush_seconds: float
    fsync: Fsync


class Barrier:
    """A place in the queue that a caller waits for."""

    def __init__(self, *, last: bool = False) -> None:
        self.passed = threading.Event()
        self.is_durable = False
        self.last = last


class Reporter:
    """Tells each kind of trouble to `logging`, at most once a minute."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def __call__(self, what: str, error: Exception) -> None:
        """Warn that `what` happened, unless that was said within the last minute."""
        now = time.monotonic()
        if now - self._told.get(what, -_TELL_AGAIN_SECONDS) >= _TELL_AGAIN_SECONDS:
            self._told[what] = now
            _log.warning("predlog: %s: %s", what, error)


class Worker(threading.Thread):
    """Takes entries from `queue` until a last barrier; `refused` gives (and forgets) what never entered the queue."""

    def __init__(
        self,
        queue: deque[Any],
        settings: Settings,
        segments: Segments,
        report: Reporter,
        refused: Callable[[], Counts],
    ) -> None:
        super().__init__(name=f"predlog-{settings.model}", daemon=True)
        self.segments = segments
        self.wake = threading.Event()
        self.dropped = 0
        self._queue = queue
        self._settings = settings
        self._report = report
        self._refused = refused
        self._sampler = Sampler(settings.sampling, Random(), self._condition_raised)  # noqa: S311 - no secret is drawn
        self._counts = Counts()
        self._newest = -math.inf
        self._lines: list[bytes] = []
        self._bytes = 0
        self._adapted = time.monotonic()
        self._due = self._adapted + settings.flush_seconds
        self._mean_bytes = 0.0
        self._last: Barrier | None = None

    def run(self) -> None:
        """Work until told to stop; an unexpected error costs what it interrupted, never the thread."""
        while self._last is None:
            try:
                self._burst()
                self._keep_time()
            except Exception as error:  # noqa: BLE001 - the thread must outlive everything
                self._report("an error in the background thread", error)
            self.wake.wait(_PAUSE_SECONDS if self._queue else self._idle())
        self.segments.close()
        self._last.passed.set()

    def _idle(self) -> float:
        self.wake.clear()
        # An entry or barrier may have come before the clear; then there is no time to rest.
        return 0 if self._queue else max(0.0, min(_IDLE_SECONDS, self._due - time.monotonic()))

    def _burst(self) -> None:
        for _ in range(max(_BURST, len(self._queue) // _BACKLOG_SHARE)):
            try:
                entry = self._queue.popleft()
            except IndexError:
                return
            self._take(entry)

    def _take(self, entry: Any) -> None:
        if type(entry) is tuple:
            self._predict(Prediction._make(entry))
        elif type(entry) is Batch:
            self._unfold(entry)
        elif type(entry) is Outcome:
            self._outcome(entry)
        elif type(entry) is Prediction:
            self._predict(entry)
        else:
            self._pass(entry)

    def _predict(self, entry: Prediction) -> None:
        counts, settings = self._counts, self._settings
        counts.request(None if entry.error is None else error_name(entry.error), entry.latency_seconds)
        try:
            record = prediction_record(entry, settings.model, settings.version, settings.feature_names)
            weight = self._sampler.weight(record)
            if weight is None:
                counts.skipped += 1
                return
            record["weight"] = weight
            if isinstance(record["ts"], float):
                self._newest = max(self._newest, record["ts"])
            self._add(encode(record))
        except Exception as error:  # noqa: BLE001 - callers' objects may raise anything
            counts.dropped += 1
            self.dropped += 1
            self._report("a prediction was dropped", error)

    def _unfold(self, batch: Batch) -> None:
        done = 0
        try:
            for part in entries(batch, self._settings.feature_names, _BURST):
                for entry in part:
                    self._predict(entry)
                done += len(part)
                self._keep_time()
                time.sleep(_BATCH_PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - callers' columns may raise anything
            left = batch.rows - done
            self._counts.requests += left
            self._counts.dropped += left
            self.dropped += left
            self._report(f"{left} predictions of a batch were dropped", error)

    def _outcome(self, entry: Outcome) -> None:
        try:
            self._add(encode(outcome_record(entry, self._settings.model, self._settings.version)))
        except Exception as error:  # noqa: BLE001 - callers' objects may raise anything
            self._counts.outcomes_dropped += 1
            self.dropped += 1
            self._report("an outcome was dropped", error)

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= _CHUNK_BYTES:
            self._write()

    def _write(self) -> bool:
        """Hand the waiting lines to the segment; lines that it does not take are dropped. True if it took all."""
        lines, self._lines, self._bytes = self._lines, [], 0
        if not lines:
            return True
        self._mean_bytes = sum(map(len, lines)) / len(lines)
        left = lines[self.segments.write(lines) :]
        predictions = sum(line.startswith(PREDICTION_START) for line in left)
        outcomes = sum(line.startswith(OUTCOME_START) for line in left)
        self._counts.dropped += predictions
        self._counts.outcomes_dropped += outcomes
        self.dropped += predictions + outcomes
        return not left

    def _keep_time(self) -> None:
        if time.monotonic() >= self._due:
            self._interval()

    def _interval(self) -> None:
        """What is done every flush interval: records and counts to the file, rotation, the sampler's budget."""
        now = time.monotonic()
        self._due = now + self._settings.flush_seconds
        self._write()
        self._write_counts()
        if self._settings.fsync == "interval":
            self.segments.sync()
        self.segments.rotate()
        self._sampler.adapt(now - self._adapted, self._mean_bytes)
        self._adapted = now

    def _write_counts(self) -> None:
        counts, self._counts = self._counts, Counts()
        refused = self._refused()
        if turned_away := refused.dropped + refused.outcomes_dropped:
            self.dropped += turned_away
            self._report(
                "the queue was full", OverflowError(f"{turned_away} records dropped; sample, or raise capacity")
            )
        counts.merge(refused)
        if not counts:
            return
        settings = self._settings
        # Counts belong to the time of what they count, which in a replay is not this moment.
        ts = self._newest if math.isfinite(self._newest) else time.time()
        self._newest = -math.inf
        start = {"kind": "counts", "ts": ts, "model": settings.model, "version": settings.version}
        if not self.segments.write([encode({**start, **counts.fields()})]):
            self._counts.merge(counts)

    def _pass(self, barrier: Barrier) -> None:
        while barrier.last and self._queue:  # entries of threads that were inside `log` when it was closed
            self._take(self._queue.popleft())
        try:
            self._interval()
            barrier.is_durable = self._settings.fsync == "never" or self.segments.sync()
        finally:  # whatever happened, nobody may wait forever
            if barrier.last:
                self._last = barrier
            else:
                barrier.passed.set()

    def _condition_raised(self, error: Exception) -> None:
        self._report("a sampling condition raised and counts as not met", error)
