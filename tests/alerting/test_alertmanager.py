"""The generated routes in a real Alertmanager: one cause is told once, and its consequences are silent."""

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from alerting import build
from exporter.config import parse_config

from .cases import CASES
from .promtool import SHIPPED

pytestmark = pytest.mark.e2e
PATIENCE = 20  # seconds; the replay's pace tells an alert after two


class Receiver(HTTPServer):
    """Takes webhooks on a free port and keeps the names of the alerts in them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.told: list[str] = []


class _Hook(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.extend(alert["labels"]["alertname"] for alert in payload["alerts"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the test reads `told`."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def alertmanager(receiver: Receiver, tmp_path: Path) -> Iterator[str]:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        pytest.skip("alertmanager is not installed; scripts/install-prometheus installs it")
    config = parse_config(f"""
log: [{{path: logs/}}]
models: [{{name: churn, task: binary, baseline: churn.json}}]
alerting: {{speed: 43200, webhook: {{url: "http://127.0.0.1:{receiver.server_port}/"}}}}
""")
    (tmp_path / "alertmanager.yml").write_text(build.generated(config)["alertmanager.yml"])
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [program, f"--config.file={tmp_path}/alertmanager.yml", f"--storage.path={tmp_path}/data"]
    command += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            until(lambda: ready(f"http://{address}"))
            yield f"http://{address}"
        finally:
            process.terminate()


def ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=1).ok
    except requests.ConnectionError:
        return False


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def silent(url: str) -> dict[str, bool]:
    found: Any = requests.get(f"{url}/api/v2/alerts", timeout=5).json()
    return {alert["labels"]["alertname"]: bool(alert["status"]["inhibitedBy"]) for alert in found}


def test_a_broken_feature_is_told_once_and_its_consequences_are_silent(alertmanager: str, receiver: Receiver) -> None:
    cause = "PredictionFeatureBroken"
    follows = {
        "PredictionFeatureDriftSevere",
        "PredictionFeatureDriftModerate",
        "PredictionFeatureDriftMinor",
        "PredictionFeatureIncomplete",
        "PredictionFeaturesMissing",
        "PredictionFeaturesDrifted",
        "PredictionDriftSevere",
        "PredictionDriftModerate",
        "PredictionAucLow",
    }
    unrelated = {"PredictionErrorsHigh", "Watchdog"}
    labels = {case.alert: case.labels for case in CASES} | {"Watchdog": {}}
    alerts = [
        {"labels": labels[name] | {"alertname": name, "severity": SHIPPED[name].severity}}
        for name in (cause, *follows, *unrelated)
    ]
    requests.post(f"{alertmanager}/api/v2/alerts", json=alerts, timeout=5).raise_for_status()
    until(lambda: {cause, *unrelated} <= set(receiver.told))
    assert silent(alertmanager) == {cause: False} | dict.fromkeys(follows, True) | dict.fromkeys(unrelated, False)
    assert sorted(receiver.told) == sorted({cause, *unrelated})
