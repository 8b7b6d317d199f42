"""The exporter as a process: killed at any moment, out of disk, told to reload and to stop."""

import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import httpx
import pytest

from exporter import names
from tests.exporters import some, wait_until, write
from tests.served import Served
from tests.world import CONFIG, world

pytestmark = pytest.mark.e2e


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
