"""What two segments of ten values each cost: one-shot evaluation with and without them in turn, and the state's size.

usage: python bench/segments.py [FOLDER] [ROWS] [ROUNDS]
"""

import sys
import time
from functools import partial
from pathlib import Path

import data
from pairs import pairs

from exporter.config import Config
from exporter.evaluate import evaluate
from exporter.ingest.ledger import Ledger
from exporter.ingest.sources import LogReader
from exporter.monitor import Monitor
from exporter.reference import build_baseline, read_reference
from exporter.store import Store
from exporter.windows import bucket_starts


def main(folder: Path, rows: int, rounds: int) -> None:
    """Print seconds of both, and bytes of both."""
    data.write(folder, rows)
    told, whole = (_monitor(data.config(folder, segments), folder) for segments in ("c00, c01", ""))
    print(f"{rows} records{'two segments':>38} {'none':>10}")
    for name in ("current.parquet", "current.ndjson"):
        path = [str(folder / name)]
        pairs(name, partial(_numbers, told, path), partial(_numbers, whole, path), rounds)
    for monitor, text in ((told, "two segments"), (whole, "none")):
        buckets, size = _stored(monitor, folder / "current.parquet")
        print(f"five-minute buckets with {text}: {buckets}, {size / 1e6:.1f} MB")


def _monitor(config: Config, folder: Path) -> Monitor:
    return Monitor(
        config, {"bench": build_baseline(config.models[0], read_reference(folder / "reference.parquet"), 0.0)}
    )


def _numbers(monitor: Monitor, path: list[str]) -> None:
    evaluate(monitor, path, None, time.time()).snapshot()


def _stored(monitor: Monitor, path: Path) -> tuple[int, int]:
    """Buckets, and bytes of them all as the state holds them."""
    store = Store(None, monitor.layouts, 7 * 86_400)
    engine, reader = monitor.engine(Ledger(store.connection)), LogReader([str(path)], monitor.schema, "bench")
    for piece in reader.poll():
        records = monitor.sort(piece.records, piece.rejected, time.time())
        with store.transaction():
            delta = engine.take(records, lambda ts, _: bucket_starts(ts, 0))
            store.commit(delta, {piece.identity: piece.position}, piece.size, 0)
    count = "SELECT count(*), sum(octet_length(profile))::BIGINT FROM buckets"
    [row] = store.connection.execute(count).fetchall()
    reader.close()
    store.close()
    return row[0], row[1]


if __name__ == "__main__":
    arguments = [*sys.argv[1:], *("/tmp/prediction_exporter_bench", "1000000", "5")[len(sys.argv) - 1 :]]
    main(Path(arguments[0]), int(arguments[1]), int(arguments[2]))
