"""`PredictionLog`: predictions and outcomes enter from any thread, task or forked worker; files leave.

A call costs one append to a bounded queue. It never blocks and never raises: what cannot be kept is counted.
"""

import atexit
import copy
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, time
from typing import Any, Self, overload
from weakref import WeakSet

from predlog.batch import Batch, is_columnar, row_count
from predlog.counts import Counts
from predlog.record import Outcome, Prediction, error_name
from predlog.sampling import Sampling
from predlog.segment import Compression, Fsync, Rotation, Segments, check_compression
from predlog.track import Function, Output, Source, tracked
from predlog.worker import Barrier, Reporter, Settings, Worker

_LOOK_SECONDS = 0.1  # who waits for the background thread looks this often whether it still lives
_EXIT_SECONDS = 10.0  # a disk that hangs must not keep a process from ending


class PredictionLog:
    """The log of one model's version in one process.

    Features are kept by reference until the background thread encodes them, within milliseconds as a rule: do not
    change them after the call, or set `copy_features` (about one microsecond a call).
    """

    def __init__(
        self,
        model: str,
        version: str,
        path: str | os.PathLike[str],
        *,
        sampling: Sampling | None = None,
        feature_names: Sequence[str] | None = None,
        capacity: int = 65_536,
        copy_features: bool = False,
        flush_seconds: float = 1.0,
        fsync: Fsync = "flush",
        rotate_bytes: int = 64 << 20,
        rotate_seconds: float = 3600.0,
        compression: Compression | None = None,
    ) -> None:
        """Log to files in the folder `path`, which is made when it is missing; nothing is opened before the first call.

        `feature_names` name the values of features given as rows or matrices. `capacity` bounds the queue, in
        predictions. `flush_seconds` is what a crash may cost. `fsync`: at `flush`, rotation and `close`; at every
        `interval` too; or `never`. A segment ends at `rotate_bytes` or `rotate_seconds`, and is packed then if
        `compression` says so: `gzip`, or `zstd`, which needs `predlog[zstd]`. ValueError for arguments that make no
        sense, ModuleNotFoundError where zstd is missing: here, and never later.
        """
        _check(model=model, version=version, capacity=capacity, flush_seconds=flush_seconds)
        _check(rotate_bytes=rotate_bytes, rotate_seconds=rotate_seconds, path=os.fspath(path))
        _check_choice("fsync", fsync, ("flush", "interval", "never"))
        _check_choice("compression", compression, (None, "gzip", "zstd"))
        check_compression(compression)
        names = None if feature_names is None else tuple(feature_names)
        self._settings = Settings(model, version, names, sampling or Sampling(), flush_seconds, fsync)
        self._folder = Path(path).absolute()  # servers change their directory when they become daemons
        self._rotation = Rotation(rotate_bytes, rotate_seconds, compression, sync=fsync != "never")
        self._open_capacity = capacity
        self._copies = copy_features
        self._report = Reporter()
        self._begin()
        _logs.add(self)

    def _begin(self) -> None:
        """The state of a process that has logged nothing: at the start, and in a forked child."""
        self._queue: deque[Any] = deque()
        self._capacity = self._open_capacity  # 0 once closed
        self._refused = Counts()
        self._guard = threading.RLock()  # reentrant, for a signal handler may log too
        self._worker: Worker | None = None

    def log(
        self,
        features: Any,
        *,
        score: Any = None,
        probabilities: Any = None,
        prediction: Any = None,
        id: Any = None,  # noqa: A002 - the field's name
        latency_seconds: float | None = None,
        ts: Any = None,
        error: Any = None,
        segments: Any = None,
        trace_id: Any = None,
        cost_usd: float | None = None,
        metadata: Any = None,
    ) -> None:
        """Log one prediction; the arguments are the record format's fields.

        `features`: a mapping, or a row in the order of `feature_names`. `ts`: Unix seconds, datetime or RFC 3339;
        now by default. `error`: a short name or an exception, when the request failed. Never blocks, never raises.
        """
        try:
            if self._copies:
                features = copy.copy(features)
            # A plain tuple, because making the named one takes longer than all the rest of this call.
            entry = (
                features, score, probabilities, prediction, id, latency_seconds,
                time() if ts is None else ts, error, segments, trace_id, cost_usd, metadata,
            )  # fmt: skip
            if len(self._queue) < self._capacity and self._worker is not None:
                self._queue.append(entry)
            else:
                self._enter(Prediction._make(entry), 1)
        except Exception as problem:  # noqa: BLE001 - no exception may reach a request
            self._refuse_unread("a prediction was not logged", problem)

    def log_batch(
        self,
        features: Any,
        *,
        score: Any = None,
        probabilities: Any = None,
        prediction: Any = None,
        id: Any = None,  # noqa: A002 - the field's name
        latency_seconds: Any = None,
        ts: Any = None,
        error: Any = None,
        segments: Any = None,
        trace_id: Any = None,
        cost_usd: Any = None,
        metadata: Any = None,
    ) -> None:
        """Log many predictions, given as columns: lists, numpy, pandas, polars or Arrow.

        `features`: a mapping of name to column, a frame, an Arrow table, a matrix (columns in the order of
        `feature_names`), or a list of mappings. `probabilities`, `segments`: a mapping of name to column. The others:
        a column, or one value for all rows; `metadata` is always one value for all. Never blocks, never raises.
        """
        try:
            fields = Prediction(
                copy.copy(features) if self._copies else features, score, probabilities, prediction, id,
                latency_seconds, time() if ts is None else ts, error, segments, trace_id, cost_usd, metadata,
            )  # fmt: skip
            batch = Batch(row_count(features), fields)
            if batch.rows:
                self._enter(batch, batch.rows)
        except Exception as problem:  # noqa: BLE001 - no exception may reach a request
            self._refuse_unread("a batch was not logged", problem)

    def outcome(self, id: Any, label: Any, *, ts: Any = None) -> None:  # noqa: A002 - the field's name
        """Log what really happened to the prediction called `id`; `ts` is when, now by default. Never raises."""
        try:
            self._enter(Outcome(id, label, time() if ts is None else ts), 1)
        except Exception as problem:  # noqa: BLE001 - no exception may reach a request
            self._report("an outcome was not logged", problem)

    @overload
    def track_predictions(self, function: Function) -> Function: ...

    @overload
    def track_predictions(
        self, *, features: Source | None = None, id: Source | None = None, output: Output = "prediction"
    ) -> Callable[[Function], Function]: ...

    def track_predictions(
        self,
        function: Function | None = None,
        *,
        features: Source | None = None,
        id: Source | None = None,  # noqa: A002 - the field's name
        output: Output = "prediction",
    ) -> Function | Callable[[Function], Function]:
        """Decorate a function, plain or async, so that each call is logged with its latency.

        `features`, `id`: the argument's name, or a callable of the arguments; features are the first argument by
        default. `output` is what the returned value means: `score`, `probabilities`, `prediction`, or a callable
        that makes a dict of `log`'s arguments from it; a returned dict with keys `score`, `probabilities` or
        `prediction` (and `id`, ...) is taken at its word. Exceptions are logged as errors and raised on; the
        function's value is returned as it is.
        """

        def decorate(inner: Function) -> Function:
            return tracked(self._log_either, self._report, inner, features, id, output)

        return decorate if function is None else decorate(function)

    def flush(self, timeout: float | None = None) -> int:
        """Wait until all that was logged before is durable (with `fsync` at `never`: handed to the system).

        Returns how many predictions and outcomes this process has dropped so far: 0 means that nothing was lost.
        TimeoutError when that takes longer than `timeout` seconds; OSError when the disk refuses to sync.
        """
        worker = self._worker
        if worker is not None and self._capacity:
            barrier = Barrier()
            _wait(self._queue, worker, barrier, timeout)
            if not barrier.is_durable:
                raise OSError(f"{self._folder}: the disk refused to sync; what was logged may not survive a crash")
        with self._guard:
            before = 0 if worker is None else worker.dropped
            return before + self._refused.dropped + self._refused.outcomes_dropped

    def close(self, timeout: float | None = None) -> None:
        """Write all that was logged and end the files; what is logged afterwards is dropped. Closing twice is fine.

        TimeoutError when that takes longer than `timeout` seconds.
        """
        with self._guard:
            worker, was_open = self._worker, self._capacity > 0
            self._capacity = 0
        if worker is not None and was_open:
            _wait(self._queue, worker, Barrier(last=True), timeout)
        _logs.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _log_either(self, features: Any, **fields: Any) -> None:
        (self.log_batch if is_columnar(features) else self.log)(features, **fields)

    def _enter(self, entry: Prediction | Batch | Outcome, rows: int) -> None:
        """Queue `entry` if there is room (for a batch larger than the queue: if the queue is empty), else count it."""
        with self._guard:
            waiting = len(self._queue)
            has_room = waiting + rows <= self._capacity or (not waiting and self._capacity > 0)
            if has_room and self._is_working():
                self._queue.append(entry)
            else:
                self._refuse(entry, rows)

    def _is_working(self) -> bool:
        """Whether the background thread runs; it is started with the first entry, so that a fork before costs none."""
        if self._worker is None:
            try:
                self._start()
            except RuntimeError as problem:  # no more threads, or the interpreter is ending
                self._report("the background thread cannot start", problem)
                return False
        return True

    def _start(self) -> None:
        segments = Segments(self._folder, self._settings.model, self._rotation, self._report)
        worker = Worker(self._queue, self._settings, segments, self._report, self._take_refused)
        worker.start()
        self._worker = worker
        _close_before_multiprocessing_exits()

    def _refuse(self, entry: Prediction | Batch | Outcome, rows: int) -> None:
        refused = self._refused
        if isinstance(entry, Outcome):
            refused.outcomes_dropped += 1
            return
        refused.dropped += rows
        if isinstance(entry, Prediction):
            refused.request(error_name(entry.error), entry.latency_seconds)
        else:
            refused.requests += rows

    def _refuse_unread(self, what: str, problem: Exception) -> None:
        """Count what could not even be looked at as one prediction."""
        with self._guard:
            self._refused.requests += 1
            self._refused.dropped += 1
        self._report(what, problem)

    def _take_refused(self) -> Counts:
        with self._guard:
            refused, self._refused = self._refused, Counts()
        return refused

    def _forked(self) -> None:
        """In a forked child: what waits, the thread and the file belong to the parent."""
        worker, closed = self._worker, self._capacity == 0
        self._begin()
        if closed:
            self._capacity = 0
        if worker is not None:
            worker.segments.abandon()


def _check(**values: float | str) -> None:
    for name, value in values.items():
        if not (value.strip() if isinstance(value, str) else value > 0):
            raise ValueError(f"{name} must be {'text' if isinstance(value, str) else 'above 0'}, not {value!r}")


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def _wait(queue: deque[Any], worker: Worker, barrier: Barrier, timeout: float | None) -> None:
    """Return when the worker has passed `barrier`, or is gone; TimeoutError when it does not in time."""
    queue.append(barrier)
    worker.wake.set()
    deadline = None if timeout is None else monotonic() + timeout
    while worker.is_alive():
        left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - monotonic())
        if barrier.passed.wait(left):
            return
        if left <= 0:
            raise TimeoutError(f"the log was not written within {timeout} seconds")


_logs: WeakSet[PredictionLog] = WeakSet()


def _close_all() -> None:
    for log in list(_logs):
        try:
            log.close(_EXIT_SECONDS)
        except TimeoutError as problem:
            log._report("the log was not written at exit", problem)  # noqa: SLF001 - this module's own class


def _after_fork() -> None:
    for log in list(_logs):
        log._forked()  # noqa: SLF001 - this module's own class


def _close_before_multiprocessing_exits() -> None:
    """Children of multiprocessing end without `atexit`; they run their own finalizers."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and sys.modules["multiprocessing"].parent_process() is not None:
        util.Finalize(None, _close_all, exitpriority=100)


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
