"""Hypothesis without a deadline (a busy machine is no failure), and exporters that stop when their test ends."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.exporters import Make
    from tests.served import Served

settings.register_profile("untimed", deadline=None)
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
