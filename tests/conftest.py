"""Hypothesis without a deadline (a busy machine is no failure), and exporters that stop when their test ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.exporters import Make
from tests.world import CONFIG, world

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Exporters of the world in `tmp_path`, whose worker the test is, unless it starts them."""
    from exporter.service import Exporter

    made: list[Exporter] = []

    def exporter(config: str = CONFIG) -> Exporter:
        made.append(Exporter(world(tmp_path, config)))
        return made[-1]

    yield exporter
    for one in made:
        one.stop()
