"""A state that is full or cannot be written: ingestion pauses and says so, nothing is lost, it goes on by itself."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from exporter import names
from tests.exporters import some, write
from tests.served import Served
from tests.world import outcome, text

pytestmark = pytest.mark.e2e
Spoil = Callable[[Path], AbstractContextManager[None]]


def ran(*command: str | Path) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def full(state: Path) -> Iterator[None]:
    """Not a byte is left."""
    filler = state / "filler"
    assert not ran("dd", "if=/dev/zero", f"of={filler}", "bs=4096"), "it ends when the disk is full"
    yield
    filler.unlink()


@contextmanager
def immutable(state: Path) -> Iterator[None]:
    """Nobody may write, whoever asks, and through open files neither."""
    assert ran("chattr", "-R", "+i", state)
    yield
    assert ran("chattr", "-R", "-i", state)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes for the state."""
    state = tmp_path / "state"
    state.mkdir()
    if not ran("mount", "-t", "tmpfs", "-o", "size=8m", "none", state):
        pytest.skip("mounting is not allowed here")
    yield state
    assert ran("umount", "-l", state)


@pytest.fixture
def own_disk(tmp_path: Path) -> Iterator[Path]:
    """A state folder whose files can be made immutable."""
    state = tmp_path / "state"
    state.mkdir()
    if not ran("chattr", "+i", state):
        pytest.skip("the file system or the user cannot make files immutable")
    assert ran("chattr", "-i", state)
    yield state
    ran("chattr", "-R", "-i", state)


@pytest.mark.parametrize(("disk", "spoil"), [("small_disk", full), ("own_disk", immutable)], ids=["full", "read-only"])
def test_what_cannot_be_kept_now_is_counted_later_and_once(
    disk: str, spoil: Spoil, request: pytest.FixtureRequest, tmp_path: Path, serve: Callable[[], Served]
) -> None:
    state: Path = request.getfixturevalue(disk)
    write(tmp_path, some(0, 10))
    one = serve()
    one.wait_for(names.RECORDS_TOTAL.name, "prediction", value=10)
    with spoil(state):
        log = write(tmp_path, some(10, 3_000))
        one.wait_for(names.INGESTION_SUCCESS.name, value=0)
        log.rename(tmp_path / "rotated-away")
        write(tmp_path, text(outcome(number) for number in range(1_000)))
        time.sleep(2)  # it tries again every second, and may not get anywhere
        found = one.scrape()
        assert found[names.INGESTION_SUCCESS.name,] == 0
        assert found[names.PREDICTIONS_IN_WINDOW.name, "churn", "v1", "7d"] == 10
    one.wait_for(names.INGESTION_SUCCESS.name, value=1)
    one.wait_for(names.RECORDS_TOTAL.name, "prediction", value=3_000)
    one.wait_for(names.RECORDS_TOTAL.name, "outcome", value=1_000)
    assert one.stop() == 0
    again = serve()
    again.wait_for(names.PREDICTIONS_IN_WINDOW.name, "churn", "v1", "7d", value=3_000)
    found = again.scrape()
    assert found[names.LABELLED_PREDICTIONS_TOTAL.name, "churn", "v1"] == 1_000
    assert found[names.REJECTED_RECORDS_TOTAL.name, "duplicate_id"] == 0
    assert again.stop() == 0


def test_a_state_that_is_full_at_the_start_is_refused_with_the_remedy(
    small_disk: Path, tmp_path: Path, serve: Callable[[], Served]
) -> None:
    with full(small_disk):
        assert serve().process.wait(60) == 2
    assert "give `state` a folder" in (tmp_path / "errors.txt").read_text()
