"""What a log call costs the caller's thread, beside a bare append, encoding inline, and logging with JSON.

50 features; bursts of 64 calls with a pause of 1 ms between, as a server under load makes them (64,000 a second at
most). Each call is timed alone, without the timer's own cost; prints microseconds, and ratios to the bare append.
whylogs is measured too where it is installed (it wants an environment of its own, and fewer `--calls`). Then: the
highest of some steady rates that one process logs without a drop, and the CPU that a prediction takes it in all.
"""

import argparse
import gc
import json
import logging
import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import orjson

from predlog import PredictionLog

BURST = 64
PAUSE_SECONDS = 0.001
ROUNDS = 5
Call = Callable[[dict[str, Any], int], object]


def rows(count: int) -> list[dict[str, Any]]:
    """Feature rows: 40 numbers and 10 categories, each its own object."""
    random = Random(0)  # noqa: S311 - the same rows each time
    numbers = [f"number_{index}" for index in range(40)]
    categories = [f"category_{index}" for index in range(10)]
    return [
        {name: random.gauss(0, 1) for name in numbers} | {name: random.choice("abcdefgh") for name in categories}
        for _ in range(count)
    ]


def record(features: dict[str, Any], index: int) -> dict[str, Any]:
    now = time.time()
    start = {"kind": "prediction", "ts": now, "model": "churn", "version": "v2", "id": f"c-{index}"}
    return {**start, "features": features, "score": 0.83, "latency_seconds": 0.012, "weight": 1.0}


def none_dropped(log: PredictionLog) -> None:
    if dropped := log.flush():
        raise SystemExit(f"{dropped} calls were dropped, so the figures are void")


@contextmanager
def bare_append(_: Path) -> Iterator[Call]:
    queue: deque[Any] = deque(maxlen=65_536)
    yield lambda features, index: queue.append((features, 0.83, index))


@contextmanager
def predlog(folder: Path) -> Iterator[Call]:
    with PredictionLog("churn", version="v2", path=folder) as log:
        yield lambda features, index: log.log(features, score=0.83, id=index, latency_seconds=0.012)
        none_dropped(log)


@contextmanager
def predlog_copying(folder: Path) -> Iterator[Call]:
    with PredictionLog("churn", version="v2", path=folder, copy_features=True) as log:
        yield lambda features, index: log.log(features, score=0.83, id=index, latency_seconds=0.012)
        none_dropped(log)


@contextmanager
def orjson_inline(folder: Path) -> Iterator[Call]:
    descriptor = os.open(folder / "inline.ndjson", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    option = orjson.OPT_APPEND_NEWLINE
    yield lambda features, index: os.write(descriptor, orjson.dumps(record(features, index), option=option))
    os.close(descriptor)


@contextmanager
def logging_json(folder: Path) -> Iterator[Call]:
    logger = logging.getLogger("bench")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.FileHandler(folder / "logging.ndjson")
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    yield lambda features, index: logger.info(json.dumps(record(features, index)))
    logger.removeHandler(handler)
    handler.close()


@contextmanager
def whylogs_row(folder: Path) -> Iterator[Call]:
    import whylogs

    with whylogs.logger(mode="rolling", interval=1, when="H", base_name="bench") as logger:
        logger.append_writer("local", base_dir=str(folder))
        yield lambda features, _: logger.log(row=features)


WAYS = {
    "bare deque append": bare_append,
    "predlog": predlog,
    "predlog, copy_features": predlog_copying,
    "orjson inline, os.write": orjson_inline,
    "json and logging": logging_json,
} | ({"whylogs, rolling logger": whylogs_row} if find_spec("whylogs") else {})


def timed(call: Call, data: list[dict[str, Any]]) -> list[int]:
    """Nanoseconds of each call, with a pause after each burst; the timer's own median is taken off."""
    clock = time.perf_counter_ns
    empty = int(statistics.median(-(clock() - clock()) for _ in range(1000)))
    took = []
    for start in range(0, len(data), BURST):
        for index, features in enumerate(data[start : start + BURST], start):
            before = clock()
            call(features, index)
            took.append(max(clock() - before - empty, 0))
        time.sleep(PAUSE_SECONDS)
    return took


def quantiles(took: list[int]) -> tuple[float, float, float]:
    """p50, p99 and p99.9 in microseconds."""
    ordered = sorted(took)
    p50, p99, p999 = (ordered[int(len(ordered) * share)] / 1000 for share in (0.5, 0.99, 0.999))
    return p50, p99, p999


def measure(calls: int) -> None:
    data = rows(calls)
    rounds: dict[str, list[tuple[float, float, float]]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):  # interleaved, so that the machine's moods meet every way
        for name, way in WAYS.items():
            with tempfile.TemporaryDirectory() as folder, way(Path(folder)) as call:
                gc.collect()
                rounds[name].append(quantiles(timed(call, data)))
    medians = {
        name: [statistics.median(column) for column in zip(*found, strict=True)] for name, found in rounds.items()
    }
    base = medians["bare deque append"]
    print(f"{'microseconds a call':26} {'p50':>8} {'p99':>8} {'p99.9':>8}   p50 and p99 over the bare append's")
    for name, (p50, p99, p999) in medians.items():
        print(f"{name:26} {p50:8.2f} {p99:8.2f} {p999:8.2f}   {p50 / base[0]:6.1f} {p99 / base[1]:6.1f}")


def sustained(rate: int, seconds: float, data: list[dict[str, Any]]) -> tuple[float, int, float]:
    """Log at `rate` a second for `seconds`; the rate reached, how many were dropped, and the CPU seconds of it all."""
    with tempfile.TemporaryDirectory() as folder, PredictionLog("churn", version="v2", path=folder) as log:
        begun, used, sent = time.perf_counter(), time.process_time(), 0
        while (elapsed := time.perf_counter() - begun) < seconds:
            due = int(elapsed * rate)
            for index in range(sent, due):
                log.log(data[index % len(data)], score=0.83, id=index, latency_seconds=0.012)
            sent = max(sent, due)
            time.sleep(PAUSE_SECONDS)
        reached = sent / (time.perf_counter() - begun)
        return reached, log.flush(), time.process_time() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=19_200, help="calls in each of the rounds")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each steady run")
    arguments = parser.parse_args()
    measure(arguments.calls)
    data = rows(4096)
    for rate in (50_000, 75_000, 100_000, 125_000, 150_000):
        reached, dropped, cpu = sustained(rate, arguments.seconds, data)
        each = cpu / (reached * arguments.seconds - dropped)
        words = f"{dropped:,} dropped, {each * 1e6:.1f} microseconds of CPU for each that was logged"
        print(f"steady {rate:,} a second: {reached:,.0f} reached, {words}")


if __name__ == "__main__":
    main()
