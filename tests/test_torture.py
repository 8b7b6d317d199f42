"""Writers and exporter killed fifty times, at any moment: every count is that of the records the writers wrote."""

import gzip
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import names
from tests.exporters import wait_until
from tests.served import Served
from tests.world import START, Record

pytestmark = pytest.mark.e2e
EXPORTERS, WRITERS = 20, 30  # kills of each; an exporter takes two seconds to start, a writer a tenth of one
# Most without ids, so that nothing but positions keeps them from being counted twice. One of each batch has an id, and
# is logged a second time; the batch after next brings its outcome. A number is printed when all before it are durable.
WRITER = f"""
import os, sys, time
from predlog import PredictionLog
log = PredictionLog("churn", "v1", "logs", rotate_bytes=60_000, compression="gzip", flush_seconds=0.02)
me = f"{{os.getpid()}}-{{time.time_ns()}}"
for number in range(1_000_000):
    ts = {START} + time.time() % 3_600
    for place in range(20):
        log.log({{"age": place, "colour": "red"}}, score=0.5, ts=ts)
    for again in range(2):
        log.log({{"age": 1}}, score=0.9, id=f"{{me}}-{{number}}", ts=ts)
    if number > 1:
        log.outcome(f"{{me}}-{{number - 2}}", 1, ts=ts)
    if number % 5 == 4 and not log.flush():
        print(f"{{me}}-{{number}}", flush=True)
    time.sleep(0.01)
"""


class Writing(threading.Thread):
    """Writers one after the other, each killed at a random moment; `acknowledged` are the last ids they called safe."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self._folder = folder

    def run(self) -> None:
        moments = random.Random(1_703)  # noqa: S311 - the same moments in every run
        for kill in range(WRITERS):
            command = [sys.executable, "-c", WRITER]
            with subprocess.Popen(command, cwd=self._folder, stdout=subprocess.PIPE, text=True) as writer:
                assert writer.stdout is not None
                said = [writer.stdout.readline()] if kill % 4 else []  # every fourth dies on its way up
                time.sleep(moments.uniform(0, 1.5))
                writer.kill()
                said += writer.stdout.readlines()
            self.acknowledged += [line.strip() for line in said if line.endswith("\n")][-1:]


def logged(folder: Path) -> list[Record]:
    """The whole records in the log; a segment that was compressed and not yet removed counts once."""
    records = list[Record]()
    for path in sorted((folder / "logs").iterdir()):
        if path.suffix == ".part" or path.with_name(path.name + ".gz").exists():
            continue
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        records += [json.loads(line) for line in data.split(b"\n") if line.endswith(b"}")]
    return records


def test_every_count_is_what_the_writers_wrote_whatever_is_killed_when(
    tmp_path: Path, serve: Callable[[], Served]
) -> None:
    moments, writing = random.Random(20_231_115), Writing(tmp_path)  # noqa: S311 - the same moments in every run
    writing.start()
    for kill in range(EXPORTERS):
        one = serve()
        if kill % 4:  # every fourth dies on its way up
            wait_until(lambda one=one: bool(one.scrape()) or one.process.poll() is not None)  # type: ignore[misc]  # mypy knows no such default
        assert one.process.poll() is None, (tmp_path / "errors.txt").read_text()
        time.sleep(moments.uniform(0, 1.2))
        one.kill()
    writing.join()

    records = logged(tmp_path)
    predictions = [record for record in records if record["kind"] == "prediction"]
    predicted = Counter(record["id"] for record in predictions if "id" in record)
    happened = {record["id"] for record in records if record["kind"] == "outcome"}
    assert len(writing.acknowledged) >= 3 * WRITERS // 4
    assert set(writing.acknowledged) <= set(predicted), "what was durable is there"
    assert len(list((tmp_path / "logs").glob("*.gz"))) > 2
    repeated = predicted.total() - len(predicted)
    last = serve()
    last.wait_for(names.RECORDS_TOTAL.name, "prediction", value=len(predictions) - repeated)
    last.wait_for(names.LAG_BYTES.name, value=0)
    found = last.scrape()
    assert found[names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v1"] == len(predictions) - repeated
    assert found[names.RECORDS_TOTAL.name, "outcome"] == len(happened)
    assert found[names.LABELLED_PREDICTIONS_TOTAL.name, "churn", "v1"] == len(happened & set(predicted)) > 100
    reports = [record for record in records if record["kind"] == "counts"]
    assert found[names.RECORDS_TOTAL.name, "counts"] == len(reports)
    assert found[names.PREDICTION_REQUESTS_TOTAL.name, "churn", "v1"] == sum(one["requests"] for one in reports)
    refused = {key[1]: value for key, value in found.items() if key[0] == names.REJECTED_RECORDS_TOTAL.name and value}
    assert refused == {"duplicate_id": repeated}
    assert last.stop() == 0
