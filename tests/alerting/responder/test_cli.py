"""The command: what it checks, how it ends, and that the shipped configuration is one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alerting.cli import main
from alerting.responder.settings import RESPONSES, load_settings
from exporter.demo.processes import Servers, free_port

from .world import settings_file

ROOT = Path(__file__).parents[3]
RESPOND = [sys.executable, "-c", "from alerting.cli import main; main()", "respond", "--config"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["prediction-alerting", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


def test_the_shipped_configuration_is_fine_and_dry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("WEBHOOK", "PAGE", "GITHUB"):
        monkeypatch.setenv(f"RESPONDER_{name}_TOKEN", name * 8)
    path = ROOT / "deploy/responder.yml"
    assert run(monkeypatch, "respond", "--config", path, "--check") == 0
    assert capsys.readouterr().out == f"{path}: fine; dry run\n"
    told = load_settings(path).responses
    differing = {name for name, responses in told.items() if responses != RESPONSES[name]}
    assert differing == {"PredictionPerformanceBelowBaseline"}


def test_a_wrong_configuration_is_refused_with_its_problems(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = settings_file(tmp_path, dryrun=False, timeout="soon")
    assert run(monkeypatch, "respond", "--config", path) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.e2e
def test_it_ends_with_0_when_told_to_and_with_1_where_it_cannot_listen(tmp_path: Path) -> None:
    port = free_port()
    with Servers(tmp_path / "servers") as servers:
        first = settings_file(tmp_path, listen=f"127.0.0.1:{port}")
        command: list[str | Path] = [*RESPOND, first]
        server = servers.start("responder", command, f"http://127.0.0.1:{port}", ready="/-/ready")
        second = tmp_path / "second"
        second.mkdir()
        other = settings_file(second, listen=f"127.0.0.1:{port}")
        done = subprocess.run([*RESPOND, other], capture_output=True, text=True, check=False, env=os.environ)
        assert (done.returncode, "choose another address" in done.stderr) == (1, True), done.stderr
        settings_file(tmp_path, listen=f"127.0.0.1:{free_port()}")
        alone = subprocess.run([*RESPOND, first], capture_output=True, text=True, check=False, env=os.environ)
        assert (alone.returncode, "another responder uses it" in alone.stderr) == (1, True), alone.stderr
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
