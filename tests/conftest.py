"""Hypothesis without a deadline (a busy machine is no failure), exporters that stop with their test, commands."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.commands import Ended, Run
    from tests.exporters import Make
    from tests.served import Served

settings.register_profile("untimed", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=25)  # of `make check`; `make test` tries 100
settings.load_profile("untimed")


@pytest.fixture
def make(tmp_path: Path) -> Iterator["Make"]:
    """Exporters of the world in `tmp_path`, whose worker the test is, unless it starts them."""
    # DuckDB's bindings complain at exit when a conftest, which lives to the end, has imported them.
    from exporter.service import Exporter
    from tests.world import CONFIG, world

    made: list[Exporter] = []

    def exporter(config: str = CONFIG) -> Exporter:
        made.append(Exporter(world(tmp_path, config)))
        return made[-1]

    yield exporter
    for one in made:
        one.stop()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> "Run":
    """Runs a command in the world's folder."""
    from exporter import cli
    from tests.commands import Ended
    from tests.world import world

    world(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERMINAL_WIDTH", "200")  # or messages in boxes are broken into lines

    def command(*arguments: str) -> "Ended":
        monkeypatch.setattr(sys, "argv", ["prediction-exporter", *arguments])
        status = 0
        try:
            cli.main()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Ended(status, printed.out, printed.err)

    return command


@pytest.fixture
def serve(tmp_path: Path) -> Iterator["Callable[[], Served]"]:
    """Exporter processes of the world in `tmp_path`; those that still run are killed in the end."""
    from tests.served import Served
    from tests.world import world

    world(tmp_path)
    started: list[Served] = []

    def start() -> Served:
        started.append(Served(tmp_path))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()
