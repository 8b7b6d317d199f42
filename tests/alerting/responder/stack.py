"""Prometheus, Alertmanager and the responder as real processes, over metrics that a test sets.

Rules and routes are the generated ones; only the routes' times are shorter than any speed makes them, so that
Alertmanager repeats itself within seconds.
"""

import signal
import sqlite3
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from alerting import build
from exporter import names
from exporter.config import parse_config
from exporter.demo.processes import Server, Servers, free_port
from exporter.demo.stage import start_alertmanager, start_prometheus, start_responder

from .world import Target, settings_file

SPEED = 43_200  # alerts wait the two seconds that are the shortest
MODEL = {"model_version": "v2", "window": "1d"}


@dataclass
class Metrics:
    """An exporter of models whose drift is set; their labels keep coming."""

    psi: dict[str, float] = field(default_factory=dict)
    labelled: float = 0.0

    def __post_init__(self) -> None:
        metrics = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = metrics.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics")

    def text(self) -> str:
        self.labelled += 1000
        lines = []
        for model, psi in self.psi.items():
            labels = {"model_name": model, **MODEL, "feature": "age"}
            lines += [
                _line(names.FEATURE_DRIFT_SCORE.name, labels | {"method": "psi"}, psi),
                _line(names.FEATURE_DRIFTED.name, labels, psi >= 0.1),
                _line(
                    names.LABELLED_PREDICTIONS_TOTAL.name, {"model_name": model, "model_version": "v2"}, self.labelled
                ),
            ]
        return "\n".join([*lines, ""])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _line(name: str, labels: dict[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {float(value)}"


@dataclass
class Stack:
    """The processes, each of which can be killed and started again on its own data."""

    folder: Path
    servers: Servers
    metrics: Metrics
    target: Target
    ports: dict[str, int] = field(default_factory=lambda: {"p": free_port(), "a": free_port(), "r": free_port()})
    running: dict[str, Server] = field(default_factory=dict)

    def configure(self) -> None:
        """Write every file."""
        address = f"http://127.0.0.1:{self.ports['r']}"
        self.responder = settings_file(
            self.folder,
            dry_run=False,
            listen=f"127.0.0.1:{self.ports['r']}",
            external_url=address,
            prometheus={"url": f"http://127.0.0.1:{self.ports['p']}"},
            tickets={"webhook": {"url": f"{self.target.url}/tickets"}},
            retraining={"target": {"webhook": {"url": f"{self.target.url}/retrain"}}},
        )
        models = [{"name": name, "task": "binary", "baseline": "b.json"} for name in ("churn", "fraud")]
        webhook = {"url": f"{address}/v1/alerts", "bearer_token_file": str(self.folder / "webhook.token")}
        config = {"log": [{"path": "logs/"}], "models": models, "alerting": {"speed": SPEED, "webhook": webhook}}
        generated = build.generated(parse_config(yaml.safe_dump(config)))
        (self.folder / "rules.yml").write_text(generated["rules.yml"])
        (self.folder / "alertmanager.yml").write_text(
            yaml.safe_dump(_impatient(yaml.safe_load(generated["alertmanager.yml"])))
        )
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(self._prometheus()))

    def _prometheus(self) -> dict[str, Any]:
        def job(name: str, address: str) -> dict[str, Any]:
            return {"job_name": name, "static_configs": [{"targets": [address]}]}

        return {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{self.ports['a']}"]}]}]},
            "scrape_configs": [
                job("exporter", self.metrics.address),
                job("responder", f"127.0.0.1:{self.ports['r']}"),
            ],
        }

    def start(self, *which: str) -> None:
        """Start them, all without a name, in an order in which each finds the other."""
        for name in which or ("r", "a", "p"):
            started = getattr(self, f"_start_{name}")()
            assert started is not None
            self.running[name] = started

    def _start_r(self) -> Server:
        return start_responder(self.servers, self.responder, self.ports["r"])

    def _start_a(self) -> Server | None:
        return start_alertmanager(self.servers, self.folder / "alertmanager.yml", self.ports["a"])

    def _start_p(self) -> Server | None:
        return start_prometheus(self.servers, self.folder / "prometheus.yml", self.ports["p"])

    def kill(self, *which: str) -> None:
        """SIGKILL."""
        for name in which:
            process = self.running[name].process
            process.send_signal(signal.SIGKILL)
            process.wait(30)

    def audit(self, subject: str, decided: str) -> list[str]:
        """The reasons of decisions."""
        with sqlite3.connect(self.folder / "responder.sqlite", timeout=30) as database:
            query = "SELECT reason FROM audit WHERE subject = ? AND decided = ? ORDER BY id"
            found = [reason for (reason,) in database.execute(query, [subject, decided])]
        database.close()
        return found

    def told(self, name: str) -> int:
        """How often Alertmanager told of this alert again."""
        return len(self.audit(name, "ignored"))


def _impatient(routes: dict[str, Any]) -> dict[str, Any]:
    times = {"group_wait": "1s", "group_interval": "1s", "repeat_interval": "2s"}
    for route in (routes["route"], *routes["route"]["routes"]):
        route.update(times)
    return routes
