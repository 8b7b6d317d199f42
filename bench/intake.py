"""The intake under load: records a second in batches of 500, what one costs in CPU time, and scrapes meanwhile.

Each form is sent as fast as it is taken, and at 30,000 records a second. Every record has an id of its own.

usage: python bench/intake.py [FOLDER] [SECONDS]
"""

import http.client
import itertools
import math
import multiprocessing
import os
import statistics
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import data
import zstandard
from serving import _configured, _total

from exporter import names
from exporter.demo.processes import Server, Servers, free_port
from exporter.demo.stage import start_exporter

BATCH = 500
SENDERS = 4  # connections that each wait for their answer before they send on
BODIES = 40  # that are sent in turn
TOKEN = "bench"  # noqa: S105 - of no server but this one
ENCODINGS = ("identity", "zstd")
TICKS = os.sysconf("SC_CLK_TCK")


def main(folder: Path, seconds: float) -> None:
    """Send plain and packed bodies, each to an exporter of its own."""
    data.write(folder, 1_000_000)
    for encoding in ENCODINGS:
        for rate in (math.inf, 30_000.0):
            with Servers(folder / "servers") as servers:
                measure(folder, servers, encoding, rate, seconds)


def measure(folder: Path, servers: Servers, encoding: str, rate: float, seconds: float) -> None:
    """Print what one exporter took."""
    home = folder / f"intake-{encoding}-{rate:g}-{os.getpid()}"
    config = _configured(folder, home)
    (home / "tokens").write_text(TOKEN)
    (home / "logs").mkdir(exist_ok=True)
    config.write_text(config.read_text() + "intake: {token_files: [tokens]}\n")
    server = start_exporter(servers, config, free_port())
    stop, sent = multiprocessing.Event(), multiprocessing.Value("q", 0)
    client = multiprocessing.Process(target=send, args=(server.url, folder, encoding, rate, stop, sent))
    before, started = cpu(server), time.monotonic()
    client.start()
    scrapes = scrape(server, seconds)
    taken, elapsed = sent.value, time.monotonic() - started
    spent = cpu(server) - before
    stop.set()
    client.join()
    counted = wait_until_counted(server)
    behind = time.monotonic() - started - elapsed
    whole = cpu(server) - before
    cuts = statistics.quantiles(scrapes, n=100)
    print(
        f"{encoding}, up to {rate:,.0f}: {taken / elapsed:,.0f} records a second acknowledged over {elapsed:.0f} s, "
        f"{counted:,.0f} counted {behind:.1f} s after the last; exporter {1e6 * spent / taken:.1f} us of CPU a record "
        f"({1e6 * whole / counted:.1f} until counted); scrape median {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms",
        flush=True,
    )


def send(url: str, folder: Path, encoding: str, rate: float, stop: Any, sent: Any) -> None:
    """Post bodies over some connections until told to stop, no faster than `rate`; counts acknowledged records."""
    with (folder / "current.ndjson").open("rb") as file:
        bodies = [b"".join(next(file) for _ in range(BATCH)) for _ in range(BODIES)]
    numbers = itertools.count()
    pack = partial(zstandard.compress, level=1) if encoding == "zstd" else bytes
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Encoding": encoding, "Content-Type": "application/x-ndjson"}
    host = url.removeprefix("http://")

    started = time.monotonic()

    def one(place: int) -> None:
        connection = http.client.HTTPConnection(host, timeout=60)
        while not stop.is_set():
            place += 1
            time.sleep(max(sent.value / rate - (time.monotonic() - started), 0))
            fresh = bodies[place % BODIES].replace(b'"id":"r-', b'"id":"%08d-' % next(numbers))
            connection.request("POST", "/v1/records", pack(fresh), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 200:
                with sent.get_lock():
                    sent.value += BATCH
            elif answer.status == 429:
                time.sleep(0.1)
            else:
                raise SystemExit(f"{answer.status} {text!r}")

    threads = [threading.Thread(target=one, args=(place * 7,)) for place in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def scrape(server: Server, seconds: float) -> list[float]:
    """Milliseconds that scrapes took, some twenty a second."""
    end, taken = time.monotonic() + seconds, []
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    while time.monotonic() < end:
        started = time.perf_counter()
        connection.request("GET", "/metrics")
        connection.getresponse().read()
        taken.append(1_000 * (time.perf_counter() - started))
        time.sleep(0.05)
    return taken


def wait_until_counted(server: Server) -> float:
    """Records counted, once they are as many as were taken."""
    while (counted := _total(server, names.RECORDS_TOTAL.name)) < _total(server, names.INTAKE_RECORDS_TOTAL.name):
        server.check()
        time.sleep(0.2)
    return counted


def cpu(server: Server) -> float:
    """Seconds of CPU that the exporter has used."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/prediction_exporter_bench"),
         float(sys.argv[2] if len(sys.argv) > 2 else 20))  # fmt: skip
