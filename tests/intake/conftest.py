"""An exporter whose intake is on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.exporters import Make
from tests.intake.sender import TOKEN, WITH_INTAKE, Sender


@pytest.fixture
def intake(make: Make, tmp_path: Path) -> Callable[..., Sender]:
    """Makes senders to an exporter of the world with an intake."""
    (tmp_path / "tokens").write_text(f"{TOKEN}\nother\n")
    return lambda config=WITH_INTAKE: Sender(make(config))
