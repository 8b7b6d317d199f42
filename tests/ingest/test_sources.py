"""The followed log: every record once, whatever happens to its files."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.ingest import lines as block_lines
from exporter.ingest import sources
from exporter.ingest.blocks import BULK_FROM
from exporter.ingest.files import find_files
from exporter.ingest.sources import LogReader, ahead
from predlog import PredictionLog
from tests.ingest.follower import PACKED, SCHEMA, Follower, append, ids, some
from tests.world import prediction, text


def test_a_new_file_and_what_grows_in_it_are_read_once(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "*.ndjson")
    assert follower.poll() == []
    (tmp_path / "x.ndjson").write_bytes(some(0, 3))
    assert follower.poll() == ids(0, 3)
    append(tmp_path / "x.ndjson", some(3, 5))
    assert follower.poll() == ids(3, 5)
    assert follower.poll() == []


def test_a_torn_last_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    data, path = some(0, 2), tmp_path / "x.ndjson"
    follower = Follower(path)
    path.write_bytes(data[:40])
    assert follower.poll() == []
    append(path, data[40:-40])
    assert follower.poll() == ids(0, 1)
    assert follower.reader.lag() == len(data) - 40 - len(some(0, 1))
    append(path, data[-40:])
    assert follower.poll() == ids(1, 2)
    assert follower.reader.lag() == 0
    assert follower.rejected == {}


def test_a_whole_last_line_needs_no_newline_and_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(some(0, 2).rstrip(b"\n"))
    follower = Follower(path)
    assert follower.poll() == ids(0, 2)
    append(path, b"\n" + some(2, 3))
    assert follower.poll() == ids(2, 3)
    assert follower.restarted().poll() == []
    assert follower.rejected == {}


def test_a_renamed_file_is_not_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    follower = Follower(tmp_path / "x.ndjson*")
    path.write_bytes(some(0, 3))
    assert follower.poll() == ids(0, 3)
    append(path, some(3, 4))
    path.rename(tmp_path / "x.ndjson.1")
    path.write_bytes(some(4, 6))
    assert sorted(follower.poll()) == ids(3, 6)
    assert follower.poll() == []
    assert follower.restarted().poll() == []


def test_a_file_that_leaves_the_glob_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    follower = Follower(tmp_path / "*.ndjson")
    path.write_bytes(some(0, 3))
    assert follower.poll() == ids(0, 3)
    with path.open("ab") as writer:
        path.rename(tmp_path / "x.ndjson.1")
        path.write_bytes(some(5, 6))
        writer.write(some(3, 4))
        writer.flush()
        assert sorted(follower.poll()) == ["c-3", "c-5"]
        writer.write(some(4, 5))  # it has not heard of the rename yet
    assert follower.poll() == ids(4, 5)


def test_a_deleted_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    follower = Follower(path)
    path.write_bytes(some(0, 1))
    assert follower.poll() == ids(0, 1)
    append(path, some(1, 3))
    path.unlink()
    assert follower.poll() == ids(1, 3)


def test_handles_of_files_at_rest_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(some(0, 2))
    follower = Follower(tmp_path / "*.ndjson")
    follower.poll()
    assert len(follower.reader.handles) == 1
    append(path, some(2, 3)[:-1].replace(b"}", b""))  # a torn line, never to be completed
    path.rename(tmp_path / "gone")
    monkeypatch.setattr(sources, "QUIET_SECONDS", -1.0)
    assert follower.poll() == []
    assert follower.rejected == {"malformed": 1}
    assert follower.reader.handles == {}


def test_files_that_begin_with_the_same_line_are_told_apart_by_the_second(tmp_path: Path) -> None:
    same = text([prediction(0, id=None)])
    a, b, c = (tmp_path / f"{name}.ndjson" for name in "abc")
    a.write_bytes(same + some(1, 9))
    b.write_bytes(same + some(11, 13))
    follower = Follower(tmp_path)
    assert follower.poll() == ["None", *ids(1, 9), "None", *ids(11, 13)]
    append(b, some(13, 15))
    append(a, some(9, 10))
    c.write_bytes(same)
    assert follower.poll() == ["c-9", *ids(13, 15), "None"]
    append(c, some(21, 22)[:50])
    assert follower.poll() == []
    append(c, some(21, 22)[50:])
    follower = follower.restarted()
    assert follower.poll() == ids(21, 22)
    (tmp_path / "d.ndjson.gz").write_bytes(PACKED[".gz"](c.read_bytes() + some(22, 23)))
    assert follower.poll() == ids(22, 23)


def test_the_lag_is_what_stands_unread_in_all_files(tmp_path: Path) -> None:
    first, second, packed = some(0, 3), some(3, 9), PACKED[".gz"](some(9, 12))
    path = tmp_path / "a.ndjson"
    path.write_bytes(first)
    follower = Follower(tmp_path)
    follower.poll()
    append(path, second)
    (tmp_path / "b.ndjson.gz").write_bytes(packed)
    (tmp_path / "c.ndjson").write_bytes(some(12, 13))
    poll = follower.reader.poll()
    next(poll)
    assert follower.reader.lag() == len(packed) + len(some(12, 13))
    next(poll)
    list(poll)
    assert follower.reader.lag() == 0
    append(path, b"torn")
    follower.poll()
    assert follower.reader.lag() == 4


def test_open_handles_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_OPEN", 4)
    for number in range(20):
        (tmp_path / f"{number:02}.ndjson").write_bytes(some(number, number + 1))
    follower = Follower(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert follower.poll() == ids(0, 20)
    assert len(follower.reader.handles) == 4
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 4
    append(tmp_path / "00.ndjson", some(20, 21))
    assert follower.poll() == ids(20, 21)


def test_copytruncate_is_noticed_even_when_the_new_content_is_longer(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    follower = Follower(tmp_path / "x.ndjson*")
    path.write_bytes(some(0, 3))
    assert follower.poll() == ids(0, 3)
    append(path, some(3, 4))
    shutil.copy(path, tmp_path / "x.ndjson.1")
    os.truncate(path, 0)
    append(path, some(10, 20))
    assert sorted(follower.poll()) == sorted(["c-3", *ids(10, 20)])
    os.truncate(path, 0)
    assert follower.poll() == []
    append(path, some(30, 31))
    assert follower.poll() == ids(30, 31)


def test_a_file_replaced_in_place_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(some(0, 3))
    follower = Follower(path)
    assert follower.poll() == ids(0, 3)
    path.write_bytes(some(7, 9))
    assert follower.poll() == ids(7, 9)
    (tmp_path / "new").write_bytes(some(20, 30))
    (tmp_path / "new").replace(path)
    assert follower.poll() == ids(20, 30)


def test_a_copy_is_not_read_again_and_a_longer_one_only_behind(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(some(0, 5))
    follower = Follower(tmp_path)
    assert follower.poll() == ids(0, 5)
    (tmp_path / "0.ndjson").write_bytes(some(0, 3))  # a copy under way
    (tmp_path / "b.ndjson").write_bytes(some(0, 5))
    (tmp_path / "c.ndjson").write_bytes(some(0, 7))
    assert follower.poll() == ids(5, 7)
    assert follower.restarted().poll() == []


def test_a_file_that_vanishes_between_listing_and_reading_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.ndjson").write_bytes(some(number, number + 1))
    poll = Follower(tmp_path).reader.poll()
    next(poll)
    (tmp_path / "1.ndjson").unlink()
    assert len(list(poll)) == 1
    assert caplog.text == ""


def test_binary_garbage_is_refused_line_by_line(tmp_path: Path) -> None:
    garbage = bytes(range(256)).replace(b"\n", b"") * 3
    (tmp_path / "x.ndjson").write_bytes(some(0, 1) + garbage + b"\n\n\x00\n" + some(1, 2))
    (tmp_path / "y.ndjson.gz").write_bytes(garbage)
    follower = Follower(tmp_path)
    assert follower.poll() == ids(0, 2)
    assert follower.rejected == {"malformed": 2}
    assert list(follower.reader._refused) == [str(tmp_path / "y.ndjson.gz")]


@pytest.mark.parametrize("block", [1_000, 100_000])
@pytest.mark.parametrize("rest", [b"", b'{"kind": "pre'])
def test_a_line_above_the_limit_is_refused_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, rest: bytes
) -> None:
    monkeypatch.setattr(block_lines, "BLOCK", block)
    monkeypatch.setattr(sources, "MAX_LINE", 10_000)
    path = tmp_path / "x.ndjson"
    path.write_bytes(some(0, 2) + b"x" * 1_100_000)
    follower = Follower(path)
    assert follower.poll() == ids(0, 2)
    assert follower.rejected == {"oversized": 1}
    follower = Follower(path, positions=follower.restarted().reader.positions)
    append(path, b"y" * 50_000 + b"\n" + some(2, 4) + rest)
    assert follower.poll() == ids(2, 4)
    assert follower.rejected == {}


def test_a_line_of_more_than_a_mebibyte_inside_a_block_is_refused(tmp_path: Path) -> None:
    long = json.dumps({"kind": "prediction", "metadata": "x" * 1_100_000}).encode()
    (tmp_path / "x.ndjson").write_bytes(some(0, 2) + long + b"\n" + some(2, 4))
    follower = Follower(tmp_path)
    assert follower.poll() == ids(0, 4)
    assert follower.rejected == {"oversized": 1}


def test_going_back_reads_again_what_was_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(some(0, 3))
    follower = Follower(path)
    assert follower.poll() == ids(0, 3)
    append(path, some(3, 5))
    list(follower.reader.poll())  # read, but its commit fails
    path.unlink()
    follower.reader.forget()
    assert follower.poll() == ids(3, 5)


def test_a_reader_in_the_place_of_another_goes_on_with_its_files(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(some(0, 3))
    follower = Follower(path)
    follower.poll()
    append(path, some(3, 5))
    path.unlink()
    successor = Follower(path, positions=follower.reader.positions)
    successor.reader.handles = follower.reader.handles
    assert successor.poll() == ids(3, 5)


def test_one_shot_reading_takes_a_torn_line_for_a_line(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(some(0, 2) + b'{"kind": "pre')
    reader = LogReader((), SCHEMA, None, follow=False)
    [piece] = reader.read(find_files([str(path)])[0])
    reader.close()
    assert piece.rejected == {"malformed": 1}
    assert piece.position == piece.size == path.stat().st_size


def test_large_and_small_blocks_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(some(0, 8_000))
    assert path.stat().st_size > BULK_FROM
    assert Counter(Follower(path).poll()) == Counter(ids(0, 8_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_lines, "BLOCK", 64 * 1024)
        assert Follower(path).poll() == ids(0, 8_000)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    block=st.integers(1, 700),
    cuts=st.lists(st.integers(0, 6_000), max_size=6),
    lives=st.sampled_from([1, 9]),
    packed=st.sampled_from(["", *PACKED]),
)
def test_every_record_is_read_exactly_once_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, block: int, cuts: list[int], lives: int, packed: str
) -> None:
    data = some(0, 25) + b"not json\n\n" + some(25, 28).rstrip(b"\n")
    path = tmp_path_factory.mktemp("cut") / f"x.ndjson{packed}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_lines, "BLOCK", block)
        follower, read, rejected = Follower(path), list[str](), Counter[str]()
        for end in sorted({min(cut, len(data)) for cut in cuts} | {len(data)}):
            content = data[:end] if end == len(data) or not packed else data[: data.rfind(b"\n", 0, end) + 1]
            path.write_bytes(PACKED[packed](content) if packed else content)
            read += follower.poll()
            if lives > 1:
                rejected += follower.rejected
                follower = follower.restarted()
        follower.reader.close()
    assert read == ids(0, 28)
    assert follower.rejected + rejected == {"malformed": 1}


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_what_predlog_writes_is_read_while_it_is_written(tmp_path: Path, compression: Any) -> None:
    follower, read = Follower(tmp_path), list[str]()
    log = PredictionLog("churn", "v1", tmp_path, rotate_bytes=20_000, compression=compression, flush_seconds=0.01)
    for number in range(2_000):
        log.log({"age": 30.0}, score=0.5, id=f"c-{number}")
        if number % 100 == 0:
            log.flush()
            read += follower.poll()
    log.close()
    read += follower.poll()
    predictions = Counter(value for value in read if value != "None")  # counts records have no id
    assert predictions == Counter(ids(0, 2_000))
    assert follower.rejected == {}


def test_working_ahead_keeps_order_and_hands_on_errors() -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)
        raise ValueError("three is too many")

    seen: list[int] = []
    with pytest.raises(ValueError, match="three"):
        seen.extend(ahead(numbers()))
    assert list(ahead(iter(range(5)))) == [0, 1, 2, 3, 4]
