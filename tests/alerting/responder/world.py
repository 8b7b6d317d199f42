"""What the responder's tests share: settings, payloads, and a target on loopback that keeps what it was sent."""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from alerting.responder.payload import Alert, Delivery, parse_delivery
from alerting.responder.settings import Settings, load_settings

WEBHOOK_TOKEN = "webhook-token-of-the-tests"  # noqa: S105 - protects nothing
PAGE_TOKEN = "page-token-of-the-tests"  # noqa: S105 - protects nothing
TARGET_TOKEN = "token-of-the-target"  # noqa: S105 - protects nothing
START = 1_700_000_000.0
FULL: dict[str, Any] = {
    "dry_run": False,
    "prometheus": {"url": "http://127.0.0.1:1"},
    "tickets": {"webhook": {"url": "http://127.0.0.1:1/tickets"}},
    "retraining": {"target": {"webhook": {"url": "http://127.0.0.1:1/retrain"}}},
    "rollback": {"target": {"webhook": {"url": "http://127.0.0.1:1/rollback"}}},
}


def settings_file(folder: Path, **changes: Any) -> Path:
    """A configuration file in `folder`, with the secrets beside it."""
    for name, secret in (("webhook", WEBHOOK_TOKEN), ("page", PAGE_TOKEN), ("target", TARGET_TOKEN)):
        (folder / f"{name}.token").write_text(f"{secret}\n")
    tokens = {"webhook_token": {"file": "webhook.token"}, "page_token": {"file": "page.token"}}
    path = folder / "responder.yml"
    path.write_text(yaml.safe_dump(tokens | changes))
    return path


def settings_of(folder: Path, **changes: Any) -> Settings:
    return load_settings(settings_file(folder, **changes))


def alert(name: str = "PredictionFeatureDriftSevere", **told: Any) -> dict[str, Any]:
    """An alert as Alertmanager writes it: firing since `start`, or ended at `end`; `told` are further labels."""
    start, end = told.pop("start", START), told.pop("end", None)
    labels = {"alertname": name, "severity": "critical", "model_name": "churn", "model_version": "v2"}
    labels |= {"window": "1d", "feature": "age"} | told
    return {
        "status": "firing" if end is None else "resolved",
        "labels": labels,
        "annotations": {
            "summary": f"{labels['feature']} of {labels['model_name']} has drifted",
            "description": "PSI of age over 1d is 0.412.",
            "dashboard_url": "http://grafana:3000/d/prediction-model",
            "runbook_url": f"http://exporter:9750/runbook#{name}",
        },
        "startsAt": instant(start),
        "endsAt": "0001-01-01T00:00:00Z" if end is None else instant(end),
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": hashlib.sha256(repr(sorted(labels.items())).encode()).hexdigest()[:16],
    }


def instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def payload(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A webhook's payload as Alertmanager 0.25 sends it."""
    return {
        "receiver": "critical",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": '{}/{severity="critical"}:{alertname="PredictionFeatureDriftSevere"}',
        "truncatedAlerts": 0,
    } | changes


def delivery(*alerts: dict[str, Any], at: float = START + 60) -> Delivery:
    return parse_delivery(json.dumps(payload(*alerts)).encode(), at)


def told(*alerts: dict[str, Any]) -> tuple[Alert, ...]:
    return delivery(*alerts).alerts


def wait_until(true: Callable[[], object], seconds: float = 30) -> None:
    """Return when `true()`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.02)


@dataclass(frozen=True)
class Request:
    """What a target was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Target:
    """A server whose `answer` maps a request to a status and a JSON body; it keeps every request."""

    answer: Callable[[Request], tuple[int, Any]] = lambda _: (200, None)
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        target = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(raw) if raw[:1] == b"{" else raw.decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                target.requests.append(request)
                status, answer = target.answer(request)
                out = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = do_PATCH = handle_any  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="target")

    def sent(self, path: str) -> list[Request]:
        """Requests to `path`."""
        return [request for request in self.requests if request.path.partition("?")[0] == path]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
