"""Data for drift alone, as every peer can read it: times, features and a prediction, without ids.

usage: python bench/drift_data.py FOLDER ROWS REFERENCE_ROWS NUMERIC CATEGORICAL
"""

import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import data
import pyarrow as pa
import pyarrow.parquet as pq

from exporter.config import Config, parse_config
from exporter.reference import build_baseline, read_reference

GROUP = 122_880  # rows of a row group: what is held at once
FEW = 2_000
CONFIG = """
state: state
log: [{path: current.parquet}]
evaluation: {clock: log, windows: [7d]}
models:
  - name: bench
    task: binary
    baseline: baseline.json
    drift: {methods: [psi, js, ks, chi2, hellinger, tv, wasserstein], window: 7d}
"""


def config(folder: Path) -> Config:
    """A configuration that computes every distance over one window that holds all of the data in `folder`."""
    return parse_config(CONFIG, folder=folder)


def write(folder: Path, rows: int, reference_rows: int, numeric: int, categorical: int) -> None:
    """`current`, `few` and `reference.parquet` and the reference's `baseline.json` in `folder`, unless they are there.

    Rows are made and written a row group at a time.
    """
    if (folder / "baseline.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, seed in (("current", rows, 1_000), ("few", FEW, 2_000), ("reference", reference_rows, 3_000)):
        _write(folder / f"{name}.parquet", count, seed, numeric, categorical)
    model = config(folder).models[0]
    baseline = build_baseline(model, read_reference(folder / "reference.parquet"), time.time())
    (folder / "baseline.json").write_text(baseline.to_json())


def _write(path: Path, rows: int, seed: int, numeric: int, categorical: int) -> None:
    parts = _parts(rows, seed, numeric, categorical)
    first = next(parts)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        for part in chain([first], parts):
            writer.write_table(part)


def _parts(rows: int, seed: int, numeric: int, categorical: int) -> Iterator[pa.Table]:
    """Row groups that follow one another through the week."""
    for first in range(0, rows, GROUP):
        count = min(GROUP, rows - first)
        start, seconds = data.START + data.WEEK * first / rows, data.WEEK * count / rows
        part = data.table(count, seed + first // GROUP, numeric, categorical, start, seconds)
        yield part.drop_columns(["kind", "model", "version", "id", "score", "label"])


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
