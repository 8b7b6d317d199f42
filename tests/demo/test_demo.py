import os
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest

from exporter.demo.processes import find_program
from exporter.demo.stage import ALERTMANAGER, own_program

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        find_program("prometheus") is None or find_program(*ALERTMANAGER) is None,
        reason="needs prometheus and alertmanager on PATH",
    ),
]

SECONDS = 90  # the temperature's drift is severe on 10 February, 24 seconds into the replay


def processes_that_name(text: str) -> list[str]:
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    return [line.decode(errors="replace") for line in lines if text.encode() in line]


def test_the_demo_shows_drift_decay_and_a_firing_alert_and_leaves_nothing_running(tmp_path: Path) -> None:
    command = [*own_program(), "demo", "--folder", str(tmp_path)]
    environment = {**os.environ, "DEMO_SECONDS": str(SECONDS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS + 60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "flights=" in line]
    severe = [
        set(match[1].split()) for line in lines if (match := re.search(r"PredictionFeatureDriftSevere\((.*?)\)", line))
    ]
    auc = [float(match[1]) for line in lines if (match := re.search(r"28d=([0-9.]+)", line))]
    assert "PredictionFeatureDrift" not in lines[0]
    assert {"temp", "pressure"} <= set().union(*severe)
    assert not {"hour", "distance"} & set().union(*severe)
    assert auc[0] > 0.8
    assert auc[-1] < 0.7
    assert re.search(r"^Responder     http://127\.0\.0\.1:\d+/ \(dry run;", done.stdout, flags=re.MULTILINE)
    database = sqlite3.connect(tmp_path / "run/flights/responder/responder.sqlite")
    found = database.execute("SELECT outcome FROM actions WHERE kind = 'open_ticket'").fetchall()
    database.close()
    assert set(found) == {("dry_run",)}
    assert processes_that_name(str(tmp_path)) == []
