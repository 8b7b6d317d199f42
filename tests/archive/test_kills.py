"""The archive of a real process, which is killed at random moments while it archives a log that a writer fills."""

import os
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
# Around every step that leaves a trace on disk the process may kill itself; at its end it does.
ARCHIVE = """
import functools, os, random, signal, sys
from pathlib import Path
from exporter import service
from exporter.archive import archiver, batch, book
draw = random.Random(int(sys.argv[1]))
def perhaps():
    if draw.random() < 0.04:
        os.kill(os.getpid(), signal.SIGKILL)
def risky(owner, name):
    right = getattr(owner, name)
    @functools.wraps(right)
    def around(*inputs, **options):
        perhaps()
        result = right(*inputs, **options)
        perhaps()
        return result
    setattr(owner, name, around)
for owner, name in ((batch, "write_parquet"), (batch, "sync"), (archiver, "place"), (archiver, "_delete"),
                    (book.Book, "enter"), (book.Book, "remember"), (archiver.Archiver, "_mend"), (Path, "unlink"),
                    (service.Store, "commit")):
    risky(owner, name)
archiver.BATCH_BYTES = 5_000
exporter = service.Exporter(Path("prediction-exporter.yml"))
exporter._read()
exporter._archiver.work()
while exporter._archiver._round is not None:
    exporter._archiver.work()
print("to its end", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_record_is_lost_or_doubled_whenever_it_is_killed(tmp_path: Path, make: Make) -> None:
    loaded, survived, parts = monitor(tmp_path, CONFIGURED), 0, 0
    for number in range(KILLS):
        # Without ids, so that nothing but positions keeps a record from being archived or counted twice.
        rows = (prediction(row, id=None) for row in range(number * ROWS, (number + 1) * ROWS))
        path = write(tmp_path, text(rows), f"{number:03d}.ndjson")
        os.utime(path, (START, START))
        command = [sys.executable, "-c", ARCHIVE, str(number)]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        survived += ended.stdout != ""
        parts += any((tmp_path / "state/archive").rglob("*.part"))
    assert survived < KILLS / 2, "most runs are killed on their way"
    assert parts, "some while files stand as parts"
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
