"""The benchmarks' data: records with 40 numeric and 10 categorical features over a week, as Parquet and as NDJSON."""

import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exporter.config import Config, parse_config

NUMERIC, CATEGORICAL, VALUES = 40, 10, 20
WEEK = 7 * 86_400
START = 1_700_000_000.0


def table(rows: int, seed: int, numeric: int = NUMERIC, categorical: int = CATEGORICAL,
          start: float = START, seconds: float = WEEK) -> pa.Table:  # fmt: skip
    """Predictions with labels, in the record format's columns, ordered in time."""
    rng = np.random.default_rng(seed)
    same = np.zeros(rows, dtype=np.int32)
    columns = {
        "kind": pa.DictionaryArray.from_arrays(same, ["prediction"]).dictionary_decode(),
        "ts": pa.array(start + np.sort(rng.uniform(0, seconds, rows))),
        "model": pa.DictionaryArray.from_arrays(same, ["bench"]).dictionary_decode(),
        "version": pa.DictionaryArray.from_arrays(same, ["v1"]).dictionary_decode(),
        "id": pa.array([f"r-{row:09d}" for row in range(rows)]),
    }
    texts = [f"value-{value}" for value in range(VALUES)]
    for place in range(numeric):
        columns[f"features.n{place:02d}"] = pa.array(np.round(rng.normal(size=rows), 6))
    for place in range(categorical):
        codes = rng.integers(0, VALUES, rows).astype(np.int32)
        columns[f"features.c{place:02d}"] = pa.DictionaryArray.from_arrays(codes, texts).dictionary_decode()
    score = 1 / (1 + np.exp(-rng.normal(size=rows)))
    columns["score"] = pa.array(np.round(score, 6))
    columns["prediction"] = pa.array((score >= 0.5).astype(np.int64))
    columns["label"] = pa.array((rng.uniform(size=rows) < score).astype(np.int64))
    return pa.table(columns)


def features() -> list[str]:
    """All feature names."""
    return [f"n{place:02d}" for place in range(NUMERIC)] + [f"c{place:02d}" for place in range(CATEGORICAL)]


def write(folder: Path, rows: int) -> None:
    """`current.parquet`, `current.ndjson` (no labels) and `reference.parquet` in `folder`, unless they are there."""
    if (folder / "current.ndjson").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    current = table(rows, seed=1)
    pq.write_table(current, folder / "current.parquet", compression="zstd", row_group_size=122_880)
    pq.write_table(table(max(rows // 10, 1_000), seed=2), folder / "reference.parquet", compression="zstd")
    connection = duckdb.connect()
    connection.register("current", current)
    packed = ", ".join(f'"{name}" := "features.{name}"' for name in features())
    query = f"SELECT kind, ts, model, version, id, struct_pack({packed}) AS features, score, prediction FROM current"
    connection.execute(f"COPY ({query}) TO '{folder / 'current.ndjson'}' (FORMAT json)")


def config(folder: Path, segments: str = "") -> Config:
    """A configuration that monitors the data in `folder`, also by `segments`."""
    text = f"""
state: state
log: [{{path: {folder / "current.ndjson"}}}]
evaluation: {{clock: log}}
models: [{{name: bench, task: binary, baseline: baseline.json, segments: [{segments}]}}]
"""
    return parse_config(text, folder=folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
