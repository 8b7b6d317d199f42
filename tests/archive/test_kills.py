"""The archive of a real process, which is killed at random moments while it archives a log that a writer fills."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from exporter.errors import DataError
from exporter.evaluate import evaluate
from tests.exporters import Make, predictions, step, write
from tests.world import CONFIG, START, monitor, prediction, text

pytestmark = pytest.mark.e2e
KILLS = 25
ROWS = 40  # of a file
CONFIGURED = CONFIG.replace('"logs/*.ndjson*"}', '"logs/*.ndjson*", archive: true}') + "archive: {after: 1s}\n"
# Small batches, and a look at the log whenever there is time: more moments to be killed at.
ARCHIVE = """
import sys
from pathlib import Path
from exporter import service
from exporter.archive import archiver
service.POLL_SECONDS, archiver.BATCH_BYTES, archiver._LONGEST = 0.01, 10_000, 0.0
exporter = service.Exporter(Path("prediction-exporter.yml"))
exporter.start()
print("started", flush=True)
sys.stdin.read()
"""


def test_no_record_is_lost_or_doubled_whenever_it_is_killed(tmp_path: Path, make: Make) -> None:
    draw = random.Random(11)  # noqa: S311 - the same moments each time
    loaded = monitor(tmp_path, CONFIGURED)
    for number in range(KILLS):
        # Without ids, so that nothing but positions keeps a record from being archived or counted twice.
        rows = (prediction(row, id=None) for row in range(number * ROWS, (number + 1) * ROWS))
        path = write(tmp_path, text(rows), f"{number:03d}.ndjson")
        os.utime(path, (START, START))
        with subprocess.Popen([sys.executable, "-c", ARCHIVE], cwd=tmp_path, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stdout.readline() == b"started\n"
            time.sleep(draw.uniform(0, 0.25))  # the moment is the point
            process.send_signal(signal.SIGKILL)
    exporter = make(CONFIGURED)
    step(exporter)
    exporter._archiver.work()
    while exporter._archiver._round is not None:
        exporter._archiver.work()
    step(exporter)
    assert predictions(exporter) == KILLS * ROWS
    assert list((tmp_path / "logs").iterdir()) == []
    assert not list((tmp_path / "state/archive").rglob("*.part"))
    found = evaluate(loaded, [str(tmp_path / "state/archive/**/*")], None, time.time())
    assert found.delta.accepted == Counter(prediction=KILLS * ROWS)


def test_there_is_nothing_to_evaluate_before_the_first_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file at"):
        evaluate(monitor(tmp_path), [str(tmp_path / "state/archive/**/*")], None, time.time())
