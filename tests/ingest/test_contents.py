"""Files are known by their content: logs that begin alike are told apart, copies are not read again."""

import gzip
import io
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.ingest.contents import SPAN, Trail
from exporter.ingest.files import find_files
from tests.ingest.follower import Follower, append, ids, some

START = some(0, 2)


@pytest.mark.parametrize(
    "rests", [((2, 20), (50, 60)), ((2, 20), (50, 90)), ((2, 20), (50, 68)), ((2, 1000), (5000, 6000))]
)
@pytest.mark.parametrize("packed", [False, True])
def test_two_logs_with_equal_first_lines_are_both_read(
    tmp_path: Path, rests: tuple[tuple[int, int], tuple[int, int]], *, packed: bool
) -> None:
    mine, other = (START + some(*rest) for rest in rests)
    (tmp_path / "a.ndjson").write_bytes(mine)
    follower = Follower(tmp_path)
    assert follower.poll() == ids(0, 2) + ids(*rests[0])
    (tmp_path / ("b.ndjson.gz" if packed else "b.ndjson")).write_bytes(gzip.compress(other) if packed else other)
    assert follower.poll() == ids(0, 2) + ids(*rests[1])
    again = follower.restarted()
    assert again.poll() == []
    append(tmp_path / "a.ndjson", some(100, 103))
    assert again.poll() == ids(100, 103)
    if not packed:
        append(tmp_path / "b.ndjson", some(200, 203))
        assert again.poll() == ids(200, 203)


def test_logs_that_begin_alike_and_grow_in_turn_are_read_once_each(tmp_path: Path) -> None:
    one, two = tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    one.write_bytes(START + some(2, 5))
    two.write_bytes(START + some(50, 51))
    follower = Follower(tmp_path)
    found = follower.poll()
    for number in range(100, 160, 2):
        append(one, some(number, number + 1))
        found += follower.poll()
        append(two, some(number + 1, number + 2))
        follower = follower.restarted()
        found += follower.poll()
    assert sorted(found) == sorted(2 * ids(0, 2) + ids(2, 5) + ids(50, 51) + ids(100, 160))


@pytest.mark.parametrize("size", [10, 1000])
def test_a_copy_is_known_while_it_is_made_and_when_it_is_whole(tmp_path: Path, size: int) -> None:
    data = some(0, size)
    (tmp_path / "a.ndjson").write_bytes(data)
    follower = Follower(tmp_path)
    assert follower.poll() == ids(0, size)
    for share in range(3, 11):
        (tmp_path / "b.ndjson").write_bytes(data[: len(data) * share // 10])
        assert follower.poll() == []
    (tmp_path / "c.ndjson.gz").write_bytes(gzip.compress(data))
    assert follower.restarted().poll() == []


def test_rotation_by_a_new_name_and_a_new_file_that_begins_alike(tmp_path: Path) -> None:
    log = tmp_path / "a.ndjson"
    log.write_bytes(START + some(2, 9))
    follower = Follower(tmp_path)
    assert follower.poll() == ids(0, 9)
    log.rename(tmp_path / "a-1.ndjson")
    log.write_bytes(START + some(20, 23))
    assert follower.poll() == ids(0, 2) + ids(20, 23)
    assert follower.restarted().poll() == []


def test_rotation_by_copy_and_truncation_and_a_new_beginning_that_is_alike(tmp_path: Path) -> None:
    log = tmp_path / "a.ndjson"
    log.write_bytes(START + some(2, 9))
    follower = Follower(tmp_path)
    assert follower.poll() == ids(0, 9)
    shutil.copyfile(log, tmp_path / "a-1.ndjson")
    os.truncate(log, 0)
    assert follower.poll() == []
    append(log, START + some(20, 40))
    assert follower.poll() == ids(0, 2) + ids(20, 40)
    assert follower.restarted().poll() == []


def test_one_shot_reading_knows_a_copy_from_a_log_that_begins_alike(tmp_path: Path) -> None:
    for name, data in (("a", START + some(2, 9)), ("b", START + some(2, 9)), ("c", START + some(20, 40))):
        (tmp_path / f"{name}.ndjson").write_bytes(data)
    reader = Follower().reader
    reader.follow = False
    known = []
    for file in find_files([str(tmp_path)]):
        known.append(reader.knows(file))
        for make in reader.stream(file):
            make()
    assert known == [False, True, False]


@given(st.lists(st.binary(max_size=40), max_size=12), st.data())
def test_a_trail_is_the_same_however_it_came_about(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts) * data.draw(st.sampled_from([1, 400]))
    trail, at = Trail(), 0
    while at < len(whole):
        step = data.draw(st.integers(1, len(whole)))
        trail.add(whole[at : at + step])
        at += step
    read, ended = Trail.of(io.BytesIO(whole), len(whole))
    assert (read.trace, ended) == (trail.trace, False)
    assert Trail.of(io.BytesIO(whole), len(whole) + 1)[1]
    assert len(read.head) <= SPAN >= len(read.tail)
