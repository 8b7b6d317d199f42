"""An exporter whose intake is on."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.exporters import Make
    from tests.intake.sender import Sender


@pytest.fixture
def intake(make: "Make", tmp_path: Path) -> Callable[..., "Sender"]:
    """Makes senders to an exporter of the world with an intake."""
    # As in the conftest above: DuckDB's bindings complain at exit when one that lives to the end has imported them.
    from tests.intake.sender import TOKEN, WITH_INTAKE, Sender

    (tmp_path / "tokens").write_text(f"{TOKEN}\nother\n")
    return lambda config=WITH_INTAKE: Sender(make(config))
