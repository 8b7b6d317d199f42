"""The serving exporter from outside: how long a scrape takes while records are read, and how much memory a year takes.

usage: python bench/serving.py [FOLDER]
"""

import statistics
import sys
import threading
import time
from pathlib import Path

import data
import requests

from exporter.baseline import Baseline
from exporter.demo.flights import year
from exporter.demo.processes import Server, Servers, free_port
from exporter.demo.stage import build_baseline, start_exporter
from exporter.demo.traffic import write_year
from exporter.demo.workspace import prepare
from exporter.reference import build_baseline as make_baseline
from exporter.reference import read_reference
from predlog import PredictionLog

SCRAPES = 300
RECORDS_A_SECOND = 5_000


def main(folder: Path) -> None:
    """Measure scrapes on the benchmarks' data, then memory on the year of flights."""
    with Servers(folder / "servers") as servers:
        scrapes(folder, servers)
    with Servers(folder / "servers") as servers:
        memory(folder, servers)


def scrapes(folder: Path, servers: Servers) -> None:
    """Print a scrape's latency, idle and while 5,000 records a second are logged and read."""
    data.write(folder, 1_000_000)
    home = folder / "serving"
    config = _configured(folder, home)
    server = start_exporter(servers, config, free_port())
    log = PredictionLog("bench", version="v1", path=home / "logs", flush_seconds=0.2)
    rows = data.table(20_000, seed=3).select([f"features.{name}" for name in data.features()]).to_pylist()
    features = [{name.removeprefix("features."): value for name, value in row.items()} for row in rows]
    stop = threading.Event()
    writer = threading.Thread(target=_write, args=(log, features, stop))
    log.log(features[0], score=0.5, prediction=1, id="first")
    _wait_for(server, "prediction_exporter_records_total", 1)
    _report("idle", server)
    writer.start()
    _wait_for(server, "prediction_exporter_records_total", 10 * RECORDS_A_SECOND)
    _report(f"at {RECORDS_A_SECOND} records a second", server)
    stop.set()
    writer.join()
    log.close()


def _configured(folder: Path, home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    config = home / "config.yml"
    # Two windows of two methods: about a thousand series over 50 features.
    config.write_text(
        "log: [{path: logs/}]\n"
        "evaluation: {interval: 1s, windows: [1h, 1d]}\n"
        "models: [{name: bench, task: binary, baseline: baseline.json, drift: {methods: [psi, js]}}]\n"
    )
    model = data.config(folder).models[0]
    baseline: Baseline = make_baseline(model, read_reference(folder / "reference.parquet"), time.time())
    (home / "baseline.json").write_text(baseline.to_json())
    return config


def _write(log: PredictionLog, features: list[dict[str, object]], stop: threading.Event) -> None:
    number, started = 0, time.monotonic()
    while not stop.is_set():
        for _ in range(50):
            number += 1
            log.log(features[number % len(features)], score=number % 100 / 100, prediction=1, id=f"r{number}")
        time.sleep(max(number / RECORDS_A_SECOND - (time.monotonic() - started), 0))


def _report(what: str, server: Server) -> None:
    with requests.Session() as session:
        taken, size = [], 0
        for _ in range(SCRAPES):
            started = time.perf_counter()
            answer = session.get(f"{server.url}/metrics", timeout=10)
            taken.append(1_000 * (time.perf_counter() - started))
            size = sum(not line.startswith("#") for line in answer.text.splitlines())
            time.sleep(0.01)
    cuts = statistics.quantiles(taken, n=100)
    print(f"scrape of {size} series, {what}: median {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms", flush=True)


def memory(folder: Path, servers: Servers) -> None:
    """Print the exporter's peak memory and time while it reads the whole year of flights."""
    work = prepare(folder / "flights")
    scored, _ = year(cache=folder)
    build_baseline(work.config, scored)
    records = write_year(work.logs, scored)
    started = time.monotonic()
    server = start_exporter(servers, work.config, free_port())
    _wait_for(server, "prediction_exporter_records_total", 300_000)
    _settle(server)
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print(f"year of flights: {records} records, peak memory {peak / 1024:.0f} MiB, {time.monotonic() - started:.0f} s")


def _total(server: Server, name: str) -> float:
    answer = requests.get(f"{server.url}/metrics", timeout=10)
    lines = [line for line in answer.text.splitlines() if line.startswith(name)] if answer.ok else []
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def _wait_for(server: Server, name: str, value: float) -> None:
    while _total(server, name) < value:
        server.check()
        time.sleep(0.2)


def _settle(server: Server) -> None:
    """Wait until two looks see the same number of records."""
    before = -1.0
    while (now := _total(server, "prediction_exporter_records_total")) != before:
        before = now
        time.sleep(4)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/prediction_exporter_bench"))
