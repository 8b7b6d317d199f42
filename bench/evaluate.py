"""One-shot evaluation against the floor of reading the same columns, warm, in one process.

usage: python bench/evaluate.py [FOLDER] [ROWS] [ROUNDS]
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import data
import duckdb
import pyarrow.parquet as pq
from pairs import pairs

from exporter.evaluate import evaluate
from exporter.monitor import Monitor
from exporter.reference import build_baseline, read_reference


def main(folder: Path, rows: int, rounds: int) -> None:
    """Print ours beside the floor for Parquet and for NDJSON."""
    data.write(folder, rows)
    config = data.config(folder)
    baseline = build_baseline(config.models[0], read_reference(folder / "reference.parquet"), time.time())
    monitor = Monitor(config, {"bench": baseline})

    def ours(name: str) -> None:
        evaluate(monitor, [str(folder / name)], None, time.time()).snapshot()

    parquet, ndjson = folder / "current.parquet", folder / "current.ndjson"
    print(f"{rows} records x {len(data.features())} features{'ours':>24} {'floor':>10}")
    pairs("Parquet, against pyarrow read_table", lambda: ours(parquet.name), lambda: pq.read_table(parquet), rounds)
    total = _sum_all(ndjson)
    pairs("NDJSON, against DuckDB summing all columns", lambda: ours(ndjson.name), total, rounds)


def _sum_all(path: Path) -> Callable[[], object]:
    connection = duckdb.connect(config={"threads": 2, "preserve_insertion_order": False})
    kinds = ", ".join(f"{name} {'DOUBLE' if name[0] == 'n' else 'VARCHAR'}" for name in data.features())
    declared = ", ".join(
        f"{name}: '{kind}'"
        for name, kind in {
            "kind": "VARCHAR", "ts": "DOUBLE", "model": "VARCHAR", "version": "VARCHAR", "id": "VARCHAR",
            "features": f"STRUCT({kinds})", "score": "DOUBLE", "prediction": "DOUBLE",
        }.items()
    )  # fmt: skip
    sums = [f"{'sum' if name[0] == 'n' else 'count'}(features.{name})" for name in data.features()]
    others = "sum(ts), sum(score), sum(prediction), count(id), count(kind), count(model), count(version)"
    query = f"SELECT {', '.join(sums)}, {others} FROM read_ndjson('{path}', columns={{{declared}}})"
    return lambda: connection.execute(query).fetchall()


if __name__ == "__main__":
    arguments = [*sys.argv[1:], *("/tmp/prediction_exporter_bench", "1000000", "5")[len(sys.argv) - 1 :]]
    main(Path(arguments[0]), int(arguments[1]), int(arguments[2]))
