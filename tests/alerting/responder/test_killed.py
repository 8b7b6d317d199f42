"""SIGKILL after a target has taken a call and before its answer arrives: the call is repeated under the same key.

The target itself kills the responder, in the middle of the first call that changes anything there.
"""

import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from exporter.demo.processes import Server, Servers, free_port
from exporter.demo.stage import start_responder

from .stubs import Airflow, GitHub, Jira
from .world import WEBHOOK_TOKEN, Request, Target, alert, payload, settings_file, wait_until

pytestmark = pytest.mark.e2e
TOKEN = {"token": {"file": "target.token"}}


@dataclass
class Deadly:
    """Hands requests to `stub`, and kills `victim` before it answers the first that changes anything there."""

    stub: Callable[[Request], tuple[int, Any]]
    victim: Server | None = None
    taken: list[Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> tuple[int, Any]:
        answer = self.stub(request)
        if request.method == "POST":
            with self._lock:
                self.taken.append(request)
                if self.victim and len(self.taken) == 1:
                    self.victim.process.send_signal(signal.SIGKILL)
                    self.victim.process.wait(30)
        return answer


def killed_once(folder: Path, target: Target, kind: str, **section: Any) -> None:
    """Tell a responder of severe drift, let its target kill it, start it again and wait until the action is done."""
    port, deadly = free_port(), target.answer
    assert isinstance(deadly, Deadly)
    # Only the call in question goes anywhere: one killing is of one action.
    responses = {"PredictionFeatureDriftSevere": [{"open_ticket": "ticket"}.get(kind, kind)]}
    config = settings_file(folder, dry_run=False, listen=f"127.0.0.1:{port}", responses=responses, **section)
    with Servers(folder / "servers") as servers:
        deadly.victim = first = start_responder(servers, config, port)
        headers = {"Authorization": f"Bearer {WEBHOOK_TOKEN}"}
        told = requests.post(f"{first.url}/v1/alerts", json=payload(alert()), headers=headers, timeout=10)
        assert told.text == "accepted\n"
        wait_until(lambda: first.process.poll() is not None)
        assert decided(folder, kind) == {"planned"}
        start_responder(servers, config, port)
        wait_until(lambda: "done" in decided(folder, kind))


def decided(folder: Path, kind: str) -> set[str]:
    database = sqlite3.connect(folder / "responder.sqlite", timeout=30)
    found = {row[0] for row in database.execute("SELECT decided FROM audit WHERE subject = ?", [kind])}
    database.close()
    return found


@pytest.mark.parametrize("kind", ["notify", "open_ticket", "retrain"])
def test_a_webhook_is_called_again_under_the_same_key(tmp_path: Path, kind: str) -> None:
    with Target(Deadly(lambda _: (200, None))) as target:
        hook = {"url": f"{target.url}/hook", **TOKEN}
        sections: dict[str, dict[str, Any]] = {
            "notify": {"notify": hook},
            "open_ticket": {"tickets": {"webhook": hook}},
            "retrain": {"retraining": {"target": {"webhook": hook}, "fresh_labels": 0}},
        }
        killed_once(tmp_path, target, kind, **sections[kind])
        first, again = target.sent("/hook")
    assert first.body == again.body
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"] != ""
    assert first.body["key"] in first.headers["idempotency-key"]


@pytest.mark.parametrize("system", ["github", "jira"])
def test_a_ticket_that_stands_already_is_found_and_not_opened_twice(tmp_path: Path, system: str) -> None:
    stub: Any = {"github": GitHub, "jira": Jira}[system]()
    deadly = Deadly(stub)
    with Target(deadly) as target:
        place = {"github": {"repository": "o/r"}, "jira": {"project": "ML"}}[system]
        killed_once(tmp_path, target, "open_ticket", tickets={system: {"url": target.url, **place, **TOKEN}})
    assert len(deadly.taken) == 1
    assert len({"github": lambda: stub.issues, "jira": lambda: stub.found}[system]()) == 1


@pytest.mark.parametrize(("system", "calls"), [("github", 1), ("airflow", 2)])
def test_a_job_that_was_started_is_not_started_twice(tmp_path: Path, system: str, calls: int) -> None:
    stub: Any = {"github": GitHub, "airflow": Airflow}[system]()
    deadly = Deadly(stub)
    with Target(deadly) as target:
        place = {"github": {"repository": "o/r", "workflow": "retrain.yml"}, "airflow": {"dag": "retrain"}}[system]
        section = {"target": {system: {"url": target.url, **place, **TOKEN}}, "fresh_labels": 0}
        killed_once(tmp_path, target, "retrain", retraining=section)
    assert len(deadly.taken) == calls
    assert len(stub.runs) == 1


def test_a_command_is_given_the_same_key_again(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    script = f"""
import os, pathlib, signal, sys
ran = pathlib.Path({str(ran)!r})
first = not ran.exists()
with ran.open("a") as out:
    out.write(sys.argv[1] + chr(10))
if first:
    os.kill(os.getppid(), signal.SIGKILL)
"""
    section = {"target": {"command": {"command": [sys.executable, "-c", script, "{key}"]}}, "fresh_labels": 0}
    with Target(Deadly(lambda _: (200, None))) as target:
        killed_once(tmp_path, target, "retrain", retraining=section)
    first, again = ran.read_text().split()
    assert first == again
