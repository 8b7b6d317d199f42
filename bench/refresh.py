"""History behind the windows: what a refresh costs with one day of it and with 90, and what 90 days take.

A refresh is the exporter's own step: reading and committing 500 new records, and evaluating every metric over windows
of 1h, 1d and 7d. The two exporters, each with its state on disk, take turns. Their logs end alike; one begins a day
before the longest window, the other 90 days before.

usage: python bench/refresh.py [FOLDER] [ROUNDS]
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import data
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pairs import pairs

from exporter.baseline import Baseline
from exporter.ingest.engine import Delta
from exporter.profile.layout import Layout
from exporter.reference import build_baseline, read_reference
from exporter.service import Exporter
from exporter.store import Store
from exporter.windows import BUCKET, HOUR, fine_since

DAY = 86_400
WINDOW, SHORT, LONG = 7, 1, 90  # days: the longest window, and what lies behind it
A_DAY, A_REFRESH = 60 * DAY // BUCKET, 500  # records
END = data.START // DAY * DAY + 120 * DAY
CONFIG = """
log: [{{path: {logs}}}, {{path: live.ndjson}}]
evaluation: {{clock: log, windows: [{windows}]}}
models: [{{name: bench, task: binary, baseline: ../baseline.json}}]
limits: {{retention: 120d}}
"""


def main(folder: Path, rounds: int) -> None:
    """Print memory and disk of 90 days, then the refreshes' ratio."""
    shutil.rmtree(folder, ignore_errors=True)
    _write(folder)
    for kind in ("dense", "read"):
        subprocess.run([sys.executable, __file__, str(folder), kind], check=True)
    for named in ("with ids", "without ids"):
        homes = [
            _home(folder, f"{named}, {days}", days, named, "1h, 1d, 7d") for days in (WINDOW + SHORT, WINDOW + LONG)
        ]
        refreshes(named, homes, rounds)


def refreshes(named: str, homes: list[Path], rounds: int) -> None:
    """Print how long a refresh takes with much history beside one with little."""
    short, long = (Exporter(home / "config.yml") for home in homes)
    steps = {}
    for exporter, home in ((short, homes[0]), (long, homes[1])):
        _refresh(exporter)
        steps[exporter] = _steps(exporter, home, rounds + 1)
    pairs(
        f"refresh, {named}: {LONG} days behind, against {SHORT}",
        lambda: next(steps[long]),
        lambda: next(steps[short]),
        rounds,
    )
    for exporter in (short, long):
        exporter.stop()


def _steps(exporter: Exporter, home: Path, count: int) -> Iterator[None]:
    """Each step logs some records, of five minutes, and lets the exporter take them in."""
    blocks = [_lines(step) for step in range(count)]
    with (home / "live.ndjson").open("ab") as log:
        for block in blocks:
            log.write(block)
            log.flush()
            _refresh(exporter)
            yield


def _refresh(exporter: Exporter) -> None:
    exporter._read()  # noqa: SLF001 - the worker's step, without its thread and its pauses
    exporter._evaluate()  # noqa: SLF001


def read(folder: Path) -> None:
    """Print what an exporter takes that reads 90 days and keeps a window as long in memory."""
    home = _home(folder, "read", LONG, "with ids", "1h, 1d, 90d")
    exporter = Exporter(home / "config.yml")
    _refresh(exporter)
    _tell(f"the exporter, {LONG} days of {A_DAY} records, a window as long", exporter._store.size)  # noqa: SLF001
    exporter.stop()


def dense(folder: Path) -> None:
    """Print what a store takes in which no cell of any bucket of 90 days is zero: the most that there can be."""
    layout = Layout(Baseline.from_json((folder / "baseline.json").read_text(), "baseline"))
    store = Store(folder / "dense", {"bench": layout}, LONG * DAY)
    rng = np.random.default_rng(1)
    for hour in np.arange(END - LONG * DAY, END, HOUR):
        delta, fine = Delta(newest={"bench": hour + HOUR - 1}), fine_since(hour + HOUR - 1)
        for start in range(int(hour), int(hour) + HOUR, BUCKET):
            delta.add(("bench", "v1", start), rng.integers(1, 100, layout.size).astype(np.float64))
        with store.transaction():
            store.commit(delta, {}, 0, fine)
    _tell(f"a store, {LONG} days of full buckets", store.size)
    store.close()


def _tell(what: str, disk: int) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
    print(f"{what}: peak memory {peak:.0f} MiB, disk {disk / 2**20:.0f} MiB", flush=True)


def _home(folder: Path, name: str, days: int, named: str, windows: str) -> Path:
    """A folder with a configuration whose log is the last `days` of history."""
    home = folder / name
    (home / "logs").mkdir(parents=True)
    for day in range(WINDOW + LONG - days, WINDOW + LONG):
        (home / "logs" / f"{day:03d}.parquet").symlink_to(folder / named / f"{day:03d}.parquet")
    (home / "config.yml").write_text(CONFIG.format(logs="logs", windows=windows))
    return home


def _write(folder: Path) -> None:
    """History, a file a day; with ids and without."""
    for named in ("with ids", "without ids"):
        (folder / named).mkdir(parents=True)
    for day in range(WINDOW + LONG):
        table = data.table(A_DAY, day, start=END - (WINDOW + LONG - day) * DAY, seconds=DAY).drop_columns(["label"])
        ids = pa.array([f"{day}-{row}" for row in range(A_DAY)])
        table = table.set_column(table.column_names.index("id"), "id", ids)
        pq.write_table(table, folder / "with ids" / f"{day:03d}.parquet", compression="zstd")
        pq.write_table(table.drop_columns(["id"]), folder / "without ids" / f"{day:03d}.parquet", compression="zstd")
    pq.write_table(data.table(100_000, 1_000), folder / "reference.parquet")
    model = data.config(folder).models[0]
    baseline = build_baseline(model, read_reference(folder / "reference.parquet"), time.time())
    (folder / "baseline.json").write_text(baseline.to_json())


def _lines(step: int) -> bytes:
    """Records of one step as NDJSON."""
    table = data.table(A_REFRESH, 2_000 + step, start=END + step * BUCKET, seconds=BUCKET).drop_columns(["label"])
    return b"".join(json.dumps(_record(row, f"live-{step}-")).encode() + b"\n" for row in table.to_pylist())


def _record(row: dict[str, object], prefix: str) -> dict[str, object]:
    """The row as a log writes it, its features in an object."""
    features = {name.removeprefix("features."): value for name, value in row.items() if name.startswith("features.")}
    plain = {name: value for name, value in row.items() if not name.startswith("features.")}
    return {**plain, "id": f"{prefix}{row['id']}", "features": features}


if __name__ == "__main__":
    where = Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/prediction_exporter_bench/refresh").resolve()
    if sys.argv[2:] in (["dense"], ["read"]):
        {"dense": dense, "read": read}[sys.argv[2]](where)
    else:
        main(where, int(sys.argv[2]) if len(sys.argv) > 2 else 24)
