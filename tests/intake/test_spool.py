"""The spool: durable, taken over after a crash, given back once counted."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.ingest.blocks import BULK_FROM
from exporter.ingest.bulk import BulkReader
from exporter.intake import spool as spool_module
from exporter.intake.spool import Spool
from tests.ingest.follower import SCHEMA, Follower, ids, some

Make = Callable[[], Spool]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Spools of one folder, one process after the other."""
    made: list[Spool] = []

    def spool() -> Spool:
        while made:
            made.pop().close()
        made.append(Spool(tmp_path / "intake"))
        return made[-1]

    yield spool
    spool().close()
    for follower in Follower.made:
        follower.reader.close()


def files(spool: Spool) -> list[Path]:
    return sorted(spool.folder.iterdir())


def clear(spool: Spool, follower: Follower) -> int:
    """Delete what the follower has read; how many segments that were."""
    gone = spool.discard(follower.reader.positions)
    for segment in gone:
        follower.reader.release(str(segment.path), segment.identities)
    return len(gone)


def test_lines_are_on_disk_when_they_are_acknowledged(make: Make) -> None:
    spool = make()
    spool.append(some(0, 3)).result(10)
    [path] = files(spool)
    header, _, lines = path.read_bytes().partition(b"\n")
    assert (header.strip(), lines) == (b"", some(0, 3))
    assert spool.size == path.stat().st_size


def test_many_waiting_share_one_segment_in_their_order(make: Make) -> None:
    spool = make()
    for written in [spool.append(some(number, number + 1)) for number in range(100)]:
        written.result(10)
    [path] = files(spool)
    assert path.read_bytes().partition(b"\n")[2] == some(0, 100)


def test_a_segment_is_deleted_when_it_is_full_and_counted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT", len(some(100, 200)))
    spool = make()
    follower = Follower(spool.folder)
    spool.append(some(100, 200)).result(10)
    assert follower.poll() == ids(100, 200)
    assert clear(spool, follower) == 0, "more may still be written to it"
    spool.append(some(0, 10)).result(10)
    assert clear(spool, follower) == 1
    assert len(files(spool)) == 1
    assert spool.size == files(spool)[0].stat().st_size
    assert follower.poll() == ids(0, 10)
    assert [handle.path for handle in follower.reader.handles.values()] == [str(files(spool)[0])]
    assert follower.rejected.total() == 0


def test_the_bulk_reader_passes_over_a_segments_header(make: Make) -> None:
    spool = make()
    lines = 2 * BULK_FROM // len(some(0, 1))
    spool.append(some(0, lines)).result(30)
    [path] = files(spool)
    assert BulkReader(SCHEMA).read(iter([path.read_bytes()])).rows == lines
    follower = Follower(spool.folder)
    assert sorted(follower.poll()) == sorted(ids(0, lines))
    assert follower.rejected.total() == 0


def test_segments_at_rest_are_given_back_too(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "REST_SECONDS", 0.0)
    spool = make()
    follower = Follower(spool.folder)
    spool.append(some(0, 10)).result(10)
    assert clear(spool, follower) == 0, "it is not counted yet"
    follower.poll()
    assert (clear(spool, follower), clear(spool, follower)) == (0, 1)
    assert (files(spool), spool.size) == ([], 0)
    spool.append(some(10, 12)).result(10)
    assert follower.poll() == ids(10, 12)


def test_a_new_process_goes_on_with_what_is_left(make: Make) -> None:
    spool = make()
    spool.append(some(0, 5)).result(10)
    follower = Follower(spool.folder)
    follower.poll()
    again = make()
    assert again.size == spool.size > 0
    again.append(some(5, 9)).result(10)
    assert follower.poll() == ids(5, 9)
    assert clear(again, follower) == 1, "the earlier process's segment is counted, and nobody writes to it"


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_what_a_killed_process_left_half_written_is_cut_off(make: Make, cut: int) -> None:
    spool = make()
    spool.append(some(0, 3)).result(10)
    spool.close()
    [path] = files(spool)
    with path.open("ab") as file:
        file.write(some(3, 4)[:cut])
    follower = Follower(spool.folder)
    again = make()
    again.append(some(4, 6)).result(10)
    assert follower.poll() == [*ids(0, 3), *(ids(3, 4) if cut > len(some(3, 4)) - 1 else []), *ids(4, 6)]
    assert follower.rejected.total() == 0


@pytest.mark.parametrize("left", [b"", b" \t\t", b" \t \n", b' \t \n{"kind"'])
def test_a_segment_that_was_only_begun_is_no_segment(make: Make, tmp_path: Path, left: bytes) -> None:
    folder = tmp_path / "intake"
    folder.mkdir()
    (folder / "000000000007.ndjson").write_bytes(left)
    spool = make()
    assert (files(spool), spool.size) == ([], 0)


def test_a_disk_that_fails_is_told_and_nothing_is_written_behind_what_it_lost(make: Make) -> None:
    spool = make()
    spool.append(some(0, 3)).result(10)
    follower = Follower(spool.folder)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (spool.size + 150, unlimited[1]))  # the next write ends within a line
    try:
        failed = spool.append(some(3, 5)).exception(10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert isinstance(failed, OSError)
    assert failed.errno == errno.EFBIG
    spool.append(some(5, 8)).result(10)
    assert len(files(spool)) == 2
    assert spool.size == sum(path.stat().st_size for path in files(spool))
    assert follower.poll() == [*ids(0, 3), *ids(5, 8)]


def test_lines_that_were_read_before_their_sync_failed_hide_nothing_that_comes_after(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = make()
    spool.append(some(0, 3)).result(10)
    follower = Follower(spool.folder)
    seen: list[str] = []

    def fail(_: int) -> None:
        seen.extend(follower.poll())
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(spool_module, "_sync", fail)
        assert isinstance(spool.append(some(3, 5)).exception(10), OSError)
    spool.append(some(5, 8)).result(10)
    assert seen + follower.poll() == ids(0, 8)
    assert clear(spool, follower) == 1


def test_a_closed_spool_takes_nothing(make: Make) -> None:
    spool = make()
    spool.close()
    assert isinstance(spool.append(some(0, 1)).exception(10), OSError)
