"""The exporter as a process: killed at any moment, out of disk, told to reload and to stop."""

import gzip
import json
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import names
from tests.exporters import some, wait_until, write
from tests.world import CONFIG, START, Record, world

pytestmark = pytest.mark.e2e
KILLS = 12
# Without ids, so that nothing but positions keeps a record from being counted twice; the others settle outcomes.
WRITER = f"""
import sys, threading, time
from predlog import PredictionLog
log = PredictionLog("churn", "v1", "logs", rotate_bytes=400_000, compression="gzip", flush_seconds=0.02, fsync="never")
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
number = 0
while not ended.wait(0.01):
    for number in range(number, number + 20):
        log.log({{"age": number % 60, "colour": "red"}}, score=0.5, ts={START} + number / 100)
    log.log({{"age": 1}}, score=0.9, id=f"c-{{number}}", ts={START} + number / 100)
    log.outcome(f"c-{{number - 190}}", 1, ts={START} + number / 100)
log.close()
"""
Series = dict[tuple[str, ...], float]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class Served:
    """An exporter process of the world in a folder."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        command = [sys.executable, "-c", "from exporter.cli import main; main()", "serve"]
        with (folder / "errors.txt").open("ab") as errors:
            self.process = subprocess.Popen(
                [*command, "--config=prediction-exporter.yml", listen], cwd=folder, stderr=errors
            )

    def scrape(self) -> Series:
        """Values by name and label values; nothing while it does not answer."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10)
        except httpx.TransportError:
            return {}
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in (text_string_to_metric_families(answer.text) if answer.status_code == 200 else ())
            for sample in family.samples
        }

    def wait_for(self, *key: str, value: float) -> None:
        wait_until(lambda: self.scrape().get(key) == value)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """Its exit status when it is asked to end."""
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], Served]]:
    world(tmp_path)
    started: list[Served] = []

    def start() -> Served:
        started.append(Served(tmp_path))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A process that logs through predlog until the block ends."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER], cwd=folder, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        assert writer.stdin is not None
        writer.stdin.close()
        assert writer.wait(60) == 0


def written(folder: Path) -> list[Record]:
    """The records in the log."""
    lines = list[bytes]()
    for path in (folder / "logs").iterdir():
        lines += (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).splitlines()
    return [json.loads(line) for line in lines]


def test_every_record_counts_exactly_once_whenever_it_is_killed(tmp_path: Path, serve: Callable[[], Served]) -> None:
    moments = random.Random(20_231_115)  # noqa: S311 - the same moments in every run
    with writing(tmp_path):
        for _ in range(KILLS):
            one = serve()
            wait_until(lambda one=one: bool(one.scrape()) or one.process.poll() is not None)  # type: ignore[misc]  # mypy knows no such default
            assert one.process.poll() is None, (tmp_path / "errors.txt").read_text()
            time.sleep(moments.uniform(0, 1.5))
            one.kill()
    records = written(tmp_path)
    expected = Counter(record["kind"] for record in records)
    assert expected["prediction"] > 1_000
    assert len(list((tmp_path / "logs").glob("*.gz"))) > 2
    last = serve()
    for kind, count in expected.items():
        last.wait_for(names.RECORDS_TOTAL.name, kind, value=count)
    found = last.scrape()
    assert found[names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v1"] == expected["prediction"]
    predicted, happened = ({record["id"] for record in records if record["kind"] == kind and "id" in record}
                           for kind in ("prediction", "outcome"))  # fmt: skip
    assert found[names.LABELLED_PREDICTIONS_TOTAL.name, "churn", "v1"] == len(predicted & happened) > 100
    refused = {key: value for key, value in found.items() if key[0] == names.REJECTED_RECORDS_TOTAL.name and value}
    assert refused == {}
    assert found[names.LAG_BYTES.name,] == 0
    assert last.stop() == 0


def test_it_ends_cleanly_when_asked_to(tmp_path: Path, serve: Callable[[], Served]) -> None:
    write(tmp_path, some(0, 10))
    one = serve()
    one.wait_for(names.RECORDS_TOTAL.name, "prediction", value=10)
    assert one.stop() == 0
    assert "Traceback" not in (tmp_path / "errors.txt").read_text()
    with duckdb.connect(str(tmp_path / "state/state.duckdb")) as state:
        assert state.execute("SELECT value FROM counters WHERE label = 'prediction'").fetchall() == [(10,)]


def test_it_reloads_on_a_signal_and_on_a_request(tmp_path: Path, serve: Callable[[], Served]) -> None:
    write(tmp_path, some(0, 10))
    one = serve()
    one.wait_for(names.RECORDS_TOTAL.name, "prediction", value=10)
    world(tmp_path, CONFIG + "colour: blue\n")
    one.process.send_signal(signal.SIGHUP)
    one.wait_for(names.CONFIG_LAST_RELOAD_SUCCESSFUL.name, value=0)
    refused = httpx.post(f"http://127.0.0.1:{one.port}/-/reload", timeout=60)
    assert (refused.status_code, refused.text) == (400, "colour: unknown key; remove it or correct its spelling\n")
    world(tmp_path, CONFIG.replace("7d]", "14d]"))
    assert httpx.post(f"http://127.0.0.1:{one.port}/-/reload", timeout=60).status_code == 200
    one.wait_for(names.CONFIG_LAST_RELOAD_SUCCESSFUL.name, value=1)
    one.wait_for(names.PREDICTIONS_IN_WINDOW.name, "churn", "v1", "14d", value=10)
    assert one.stop() == 0


def test_a_full_disk_pauses_the_reading_and_nothing_else(tmp_path: Path, serve: Callable[[], Served]) -> None:
    write(tmp_path, some(0, 10))
    one = serve()
    one.wait_for(names.RECORDS_TOTAL.name, "prediction", value=10)
    unlimited = resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))  # no file may grow
    log = write(tmp_path, some(10, 2_000))
    one.wait_for(names.INGESTION_SUCCESS.name, value=0)
    log.rename(tmp_path / "rotated-away")
    write(tmp_path, some(2_000, 2_010))
    time.sleep(2)
    found = one.scrape()
    assert found[names.INGESTION_SUCCESS.name,] == 0
    assert found[names.PREDICTIONS_IN_WINDOW.name, "churn", "v1", "7d"] == 10
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, unlimited)
    one.wait_for(names.INGESTION_SUCCESS.name, value=1)
    one.wait_for(names.RECORDS_TOTAL.name, "prediction", value=2_010)
    assert one.stop() == 0


def test_a_second_exporter_on_the_same_state_is_refused(tmp_path: Path, serve: Callable[[], Served]) -> None:
    one = serve()
    wait_until(lambda: bool(one.scrape()))
    two = serve()
    assert two.process.wait(30) == 2
    assert "no other exporter uses" in (tmp_path / "errors.txt").read_text()
    assert one.stop() == 0
