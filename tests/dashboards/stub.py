"""A Grafana for tests: the calls of provisioning, each body held against a description, with state and conflicts."""

import copy
import json
import os
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jsonschema
import yaml

from .configs import ROOT, Json

TOKEN = "glsa_secret"  # noqa: S105 - the stub's own
OWN = ROOT / "tests/data/grafana-api.yml"
Answer = tuple[int, Json]


def descriptions() -> list[Path]:
    """Our own description, and a fuller one where GRAFANA_CHECKER names the folder that has it."""
    fuller = Path(os.environ.get("GRAFANA_CHECKER", "")) / "api/grafana-api.yaml"
    return [OWN, *([fuller] if fuller.is_file() else [])]


@dataclass
class Stub:
    """The server; `dashboards`, `folders` and `sources` are what it holds, `writes` what it was sent to change."""

    description: Path = OWN
    version: str = "13.2.2"
    dashboards: dict[str, Json] = field(default_factory=dict)
    meta: dict[str, Json] = field(default_factory=dict)
    folders: dict[str, Json] = field(default_factory=dict)
    sources: dict[str, Json] = field(default_factory=dict)
    writes: list[tuple[str, Json]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)  # statuses with which the next requests are answered
    lost: int = 0  # writes that are done and whose answer does not arrive
    adds: Json = field(default_factory=dict)  # what it stores beside what it is sent
    before_save: Any = None  # called once before a dashboard is saved

    def __post_init__(self) -> None:
        self.api = yaml.safe_load(self.description.read_text())
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer("get")

            def do_POST(self) -> None:
                self.answer("post")

            def do_PUT(self) -> None:
                self.answer("put")

            def answer(self, method: str) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = stub.handle(method, self.path, self.headers.get("Authorization"), text)
                content = json.dumps(body).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "https://elsewhere.example/login")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="grafana")
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def handle(self, method: str, path: str, token: str | None, text: bytes) -> Answer:
        """Grafana's answer to one request."""
        self.asked.append(f"{method} {path}")
        if self.failures:
            return self.failures.pop(0), {"message": "as the test has it"}
        if path == "/api/health":
            return 200, {"database": "ok", "version": self.version}
        return (
            self._operate(method, path, text) if token == f"Bearer {TOKEN}" else (401, {"message": "Invalid API key"})
        )

    def _operate(self, method: str, path: str, text: bytes) -> Answer:
        operation = self._operation(method, path)
        if operation is None:
            return 404, {"message": "Not found"}
        body = json.loads(text) if text else {}
        if method != "get" and (problem := self._problem(operation, body)):
            return 422, {"message": problem}
        if method != "get":
            self.writes.append((path, body))
        status, answer = self._dispatch(method, path, body)
        if method != "get" and status == 200 and self.lost:
            self.lost -= 1
            return 502, {"message": "the answer was lost"}
        return status, answer

    def _operation(self, method: str, path: str) -> Json | None:
        for pattern, operations in self.api["paths"].items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", pattern), path) and method in operations:
                found: Json = operations[method]
                return found
        return None

    def _problem(self, operation: Json, body: Json) -> str:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        validator = jsonschema.Draft202012Validator({**schema, "components": self.api["components"]})
        return "; ".join(f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(body))

    def _dispatch(self, method: str, path: str, body: Json) -> Answer:
        uid = path.rpartition("/")[2]
        match method, path.split("/")[2], uid:
            case "post", "dashboards", _:
                return self._save(body)
            case "get", "dashboards", _:
                held = self.dashboards.get(uid)
                return _found(held and {"dashboard": held, "meta": self.meta[uid]})
            case "post", "folders", _:
                return self._create_folder(body)
            case "get", "folders", _:
                return _found(self.folders.get(uid))
            case "get", "datasources", _:
                return _found(self.sources.get(uid))
        return self._store_source(method, body)

    def _save(self, body: Json) -> Answer:
        if self.before_save:
            change, self.before_save = self.before_save, None
            change()
        sent = body["dashboard"]
        uid, held = sent["uid"], self.dashboards.get(sent["uid"])
        if body["folderUid"] not in self.folders:
            return 404, {"message": "folder not found"}
        if held and held["version"] != sent["version"] and not body["overwrite"]:
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        version = held["version"] + 1 if held else 1
        self.dashboards[uid] = copy.deepcopy(sent) | self.adds | {"id": len(self.dashboards), "version": version}
        self.meta[uid] = {"folderUid": body["folderUid"]}
        return 200, {"id": 1, "uid": uid, "url": f"/d/{uid}", "status": "success", "version": version}

    def _create_folder(self, body: Json) -> Answer:
        if body["uid"] in self.folders:
            return 409, {"message": "a folder with the same uid already exists"}
        self.folders[body["uid"]] = body
        return 200, body

    def _store_source(self, method: str, body: Json) -> Answer:
        held = self.sources.get(body["uid"])
        if (method == "post") == (held is not None):
            return (409, {"message": "data source with the same name already exists"}) if held else _found(None)
        if held and held["version"] != body.get("version"):
            return 409, {"message": "Datasource has already been updated by someone else"}
        version = held["version"] + 1 if held else 1
        self.sources[body["uid"]] = {"isDefault": False, "basicAuth": False, **body, "version": version}
        saved = {"id": 1, "name": body["name"], "message": "Datasource added"}
        return 200, saved | {"datasource": self.sources[body["uid"]]}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _found(held: Json | None) -> Answer:
    return (200, held) if held else (404, {"message": "Not found"})
