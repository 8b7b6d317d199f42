import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from exporter.demo.processes import LOOPBACK, ProcessError, Server, Servers, find_program, free_port

STUBBORN = """
import signal, sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
signal.signal(signal.SIGTERM, signal.SIG_IGN)
HTTPServer(("127.0.0.1", int(sys.argv[1])), SimpleHTTPRequestHandler).serve_forever()
"""


def start(servers: Servers, tmp_path: Path, name: str = "web") -> Server:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", LOOPBACK, "--directory", str(tmp_path)]
    return servers.start(name, command, f"http://{LOOPBACK}:{port}", ready="/")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_server_answers_when_start_returns_and_has_ended_after_the_block(tmp_path: Path) -> None:
    with Servers(tmp_path / "logs") as servers:
        server = start(servers, tmp_path)
        with socket.create_connection((LOOPBACK, int(server.address.rpartition(":")[2])), timeout=5):
            servers.check()
    assert not is_running(server.process.pid)
    assert "GET / " in server.log.read_text()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_servers_end_whatever_ends_the_block(tmp_path: Path, error: type[BaseException]) -> None:
    started: list[Server] = []

    def start_two_and_fail() -> None:
        with Servers(tmp_path / "logs") as servers:
            started.extend(start(servers, tmp_path, name) for name in ("one", "two"))
            raise error

    with pytest.raises(error):
        start_two_and_fail()
    assert len(started) == 2
    assert not any(is_running(server.process.pid) for server in started)


def test_a_server_that_ignores_the_request_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.demo.processes.STOP_SECONDS", 0.2)
    port = free_port()
    with Servers(tmp_path) as servers:
        server = servers.start(
            "stubborn", [sys.executable, "-c", STUBBORN, str(port)], f"http://{LOOPBACK}:{port}", ready="/"
        )
    assert server.process.returncode == -signal.SIGKILL


def test_a_server_that_ends_at_once_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such configuration')"]
    with (
        Servers(tmp_path) as servers,
        pytest.raises(ProcessError, match=r"broken ended with status 1.*\n.*no such conf"),
    ):
        servers.start("broken", command, f"http://{LOOPBACK}:{free_port()}", ready="/")


def test_a_server_that_dies_later_is_noticed(tmp_path: Path) -> None:
    with Servers(tmp_path / "logs") as servers:
        server = start(servers, tmp_path)
        server.process.kill()
        server.process.wait()
        with pytest.raises(ProcessError, match="web ended with status -9"):
            servers.check()


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (tmp_path / "log").touch()
    try:
        server = Server("silent", f"http://{LOOPBACK}:{free_port()}", tmp_path / "log", process)
        with pytest.raises(ProcessError, match="silent did not answer"):
            server.wait_ready("/", seconds=0.3)
    finally:
        process.kill()
        process.wait()


def test_a_parent_that_is_asked_to_end_takes_its_children_along(tmp_path: Path) -> None:
    program = f"""
        import sys, time
        from pathlib import Path
        from exporter.demo.processes import Servers, free_port
        from exporter.demo.story import _interrupted_by_signals
        port = free_port()
        with _interrupted_by_signals(), Servers(Path({str(tmp_path)!r})) as servers:
            command = [sys.executable, "-m", "http.server", str(port), "--bind", "{LOOPBACK}"]
            server = servers.start("web", command, f"http://{LOOPBACK}:{{port}}", ready="/")
            print(server.process.pid, flush=True)
            time.sleep(60)
        """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.terminate()
        parent.wait(timeout=30)
    deadline = time.monotonic() + 10
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        assert free_port(taken) not in {0, taken}


def test_the_first_program_found_is_given_and_none_when_there_is_none() -> None:
    assert find_program("no-such-program", "sh") == find_program("sh")
    assert find_program("no-such-program") is None
