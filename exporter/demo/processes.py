"""Servers as child processes on this machine: started, waited for by HTTP, logged to files, and always stopped.

A command and a URL enter; a running server leaves. Whatever ends the `with` block (its end, an exception, Ctrl-C),
every child is sent SIGTERM, and SIGKILL when it does not heed that in time; each by its own process id.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import requests

from exporter.errors import PredictionExporterError

LOOPBACK = "127.0.0.1"
READY_SECONDS = 30.0
STOP_SECONDS = 10.0
"""Prometheus closes its database within a second or two; ten leaves room on a busy machine."""

_POLL_SECONDS = 0.1
_TAIL_LINES = 15
_OK = 200


class ProcessError(PredictionExporterError):
    """A child that ended, or did not answer in time; the message shows the end of its log."""


@dataclass(frozen=True)
class Server:
    """A child process that answers at `url`."""

    name: str
    url: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        """host:port."""
        return urlsplit(self.url).netloc

    def check(self) -> None:
        """ProcessError when the child has ended."""
        status = self.process.poll()
        if status is not None:
            raise ProcessError(f"{self.name} ended with status {status}; the end of {self.log}:\n{tail(self.log)}")

    def wait_ready(self, path: str, seconds: float = READY_SECONDS) -> None:
        """Return when `path` answers 200; ProcessError when the child ends first or `seconds` pass."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            if _answers(self.url + path):
                return
            time.sleep(_POLL_SECONDS)
        raise ProcessError(
            f"{self.name} did not answer at {self.url}{path} within {seconds:g} s; "
            f"the end of {self.log}:\n{tail(self.log)}"
        )


@dataclass
class Servers:
    """The children of one `with` block, stopped in the reverse order of their start; their logs go to `folder`."""

    folder: Path
    _started: list[Server] = field(default_factory=list)

    def start(
        self, name: str, command: Sequence[str | Path], url: str, *, ready: str, cwd: Path | None = None
    ) -> Server:
        """Start `command`, which will serve `url`, and return when its path `ready` answers 200."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal reaches us alone, and we stop them in order
            )
            server = Server(name, url, log, process)
            self._started.append(server)
        server.wait_ready(ready)
        return server

    def check(self) -> None:
        """ProcessError when any child has ended."""
        for server in self._started:
            server.check()

    def stop(self) -> None:
        """Stop every child that still runs; a second Ctrl-C meanwhile kills what is left."""
        running = [server.process for server in reversed(self._started) if server.process.poll() is None]
        try:
            for process in running:
                process.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for process in running:
                process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        finally:
            for process in running:
                process.kill()  # no signal is sent to one that has ended
                process.wait()
        self._started.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def find_program(*names: str) -> str | None:
    """The path of the first of `names` that stands on PATH; Debian, for one, calls Alertmanager by a longer name."""
    return next(filter(None, map(shutil.which, names)), None)


def free_port(preferred: int = 0) -> int:
    """`preferred` if that loopback port is free, else (or without one) any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ProcessError(f"no free port on {LOOPBACK}: close what holds them")


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last `lines` lines of a log file."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == _OK
    except requests.RequestException:
        return False
