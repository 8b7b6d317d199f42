"""A webhook receiver on loopback: what Alertmanager posts is kept, in the order of its coming."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from exporter.demo.processes import LOOPBACK

Json = dict[str, Any]


@dataclass
class Receiver:
    """A server with the payloads it was sent."""

    payloads: list[Json] = field(default_factory=list)

    def __post_init__(self) -> None:
        payloads = self.payloads

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payloads.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver")
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/alerts"

    def alerts(self, name: str, status: str) -> list[Json]:
        """Every telling of the alert `name` as `status`, firing or resolved."""
        told = [alert for payload in list(self.payloads) for alert in payload["alerts"]]
        return [alert for alert in told if (alert["labels"]["alertname"], alert["status"]) == (name, status)]

    def features(self, name: str, status: str) -> set[str]:
        """The features that the alert `name` was told of as `status`."""
        return {alert["labels"]["feature"] for alert in self.alerts(name, status)}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
