"""The intake of a real exporter process: killed at any moment, out of disk, behind slow senders and passwords."""

import random
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from exporter import names
from tests.exporters import some, wait_until
from tests.intake.sender import TOKEN, WITH_INTAKE
from tests.served import Served
from tests.world import prediction, text, world

pytestmark = pytest.mark.e2e
KILLS = 8
BATCH = 20
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
Serve = Callable[[], Served]


@pytest.fixture(autouse=True)
def _with_intake(tmp_path: Path, serve: Serve) -> None:  # noqa: ARG001 - made first, for it makes a world too
    (tmp_path / "tokens").write_text(TOKEN)
    world(tmp_path, WITH_INTAKE)


class Sending:
    """Threads that post batches without ids, so that nothing but positions keeps one from being counted twice."""

    def __init__(self, port: Callable[[], int], threads: int) -> None:
        self.acknowledged = self.unknown = 0
        self._port = port
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        body = text(prediction(number, id=None) for number in range(BATCH))
        while not self._ended.wait(0.002):
            try:
                url = f"http://127.0.0.1:{self._port()}/v1/records"
                answer = httpx.post(url, content=body, headers=HEADERS, timeout=30)
            except httpx.ConnectError:
                continue  # nobody was there to take it
            except httpx.TransportError:
                with self._lock:
                    self.unknown += BATCH
                continue
            with self._lock:
                self.acknowledged += BATCH if answer.status_code == 200 else 0

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def wait_until_up(one: Served) -> None:
    wait_until(lambda: bool(one.scrape()))


def test_what_was_acknowledged_counts_exactly_once_whenever_it_is_killed(tmp_path: Path, serve: Serve) -> None:
    moments = random.Random(20_261_124)  # noqa: S311 - the same moments in every run
    one = serve()
    sending = Sending(lambda: one.port, threads=3)
    try:
        for _ in range(KILLS):
            wait_until_up(one)
            time.sleep(moments.uniform(0, 2))
            one.kill()
            one = serve()
        wait_until_up(one)
    finally:
        sending.stop()
    assert sending.acknowledged > 50 * BATCH
    key = (names.RECORDS_TOTAL.name, "prediction")
    wait_until(lambda: one.scrape()[key] >= sending.acknowledged)
    wait_until(lambda: one.scrape()[names.LAG_BYTES.name,] == 0)
    time.sleep(2)  # a second look at the log, in which nothing more may be found
    found = one.scrape()
    assert sending.acknowledged <= found[key] <= sending.acknowledged + sending.unknown
    assert sending.unknown <= KILLS * 3 * BATCH
    assert not any(value for name, value in found.items() if name[0] == names.REJECTED_RECORDS_TOTAL.name)
    left = [path.stat().st_size for path in (tmp_path / "state/intake").iterdir()]
    assert found[names.INTAKE_SPOOL_BYTES.name,] == sum(left)
    assert len(left) <= 2, "segments of earlier processes are counted in full, so they are gone"
    assert one.stop() == 0


def test_a_disk_that_fails_is_told_and_senders_may_come_again(serve: Serve) -> None:
    one = serve()
    url = f"http://127.0.0.1:{one.port}/v1/records"
    wait_until_up(one)
    unlimited = resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))  # no file may grow
    refused = httpx.post(url, content=some(0, 5), headers=HEADERS, timeout=30)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, unlimited)
    assert httpx.post(url, content=some(0, 5), headers=HEADERS, timeout=30).status_code == 200
    one.wait_for(names.RECORDS_TOTAL.name, "prediction", value=5)
    one.wait_for(names.INTAKE_REQUESTS_TOTAL.name, "503", value=1)
    assert one.stop() == 0


def test_those_who_only_begin_to_send_keep_nobody_waiting(serve: Serve) -> None:
    one = serve()
    wait_until_up(one)
    fields = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 90000\r\n\r\n"
    slow = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(200)]
    for sender in slow:
        sender.sendall(f"POST /v1/records HTTP/1.1\r\n{fields}{{".encode())
    answer = httpx.post(f"http://127.0.0.1:{one.port}/v1/records", content=some(0, 5), headers=HEADERS, timeout=30)
    assert answer.status_code == 200
    one.wait_for(names.RECORDS_TOTAL.name, "prediction", value=5)
    for sender in slow:
        sender.close()
    one.wait_for(names.INTAKE_REQUESTS_TOTAL.name, "400", value=200)
    assert one.stop() == 0
