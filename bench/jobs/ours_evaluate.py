"""Ours: seven distances of every numeric feature and the five that categories have, against a baseline from a file.

The Parquet is read while it is counted. Every other metric that the records allow is computed too.
"""

import time
from importlib.metadata import version
from pathlib import Path

from drift_data import config
from job import run

from exporter import names
from exporter.evaluate import evaluate
from exporter.monitor import Monitor


def load(path: Path) -> Monitor:
    return Monitor.load(config(path.parent), "bench")


def read(path: Path) -> Path:
    return path


def work(monitor: Monitor, path: Path) -> int:
    snapshot = evaluate(monitor, [str(path)], None, time.time()).snapshot()
    return sum(sample.family is names.FEATURE_DRIFT_SCORE for sample in snapshot.samples)


run(version("prediction-exporter"), load, read, work)
