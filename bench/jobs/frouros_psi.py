"""frouros' PSI on ten bins, of the numeric features only."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from frouros.detectors.data_drift import PSI
from job import numbers, run


def read(path: Path) -> dict[str, Any]:
    table = pq.read_table(path, columns=numbers(pq.read_schema(path).names))
    return {name: table.column(name).to_numpy() for name in table.column_names}


def load(path: Path) -> dict[str, Any]:
    detectors = {}
    for name, values in read(path).items():
        detectors[name] = PSI(num_bins=10)
        detectors[name].fit(X=values)
    return detectors


def work(detectors: dict[str, Any], current: dict[str, Any]) -> int:
    return len([detectors[name].compare(X=values)[0].distance for name, values in current.items()])


run(version("frouros"), load, read, work)
