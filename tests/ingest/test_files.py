"""Files as they are found: compressed, Parquet, remote, odd ones."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.errors import DataError
from exporter.ingest.files import LogFile, find_files
from tests.ingest.follower import PACKED, Follower, append, ids, some
from tests.world import START

every_packing = pytest.mark.parametrize("suffix", sorted(PACKED))


def table(first: int, last: int) -> pa.Table:
    numbers = range(first, last)
    return pa.table(
        {"id": [f"c-{n}" for n in numbers], "ts": [START + n for n in numbers], "score": [0.5] * len(numbers)}
    )


@every_packing
def test_a_compressed_file_is_not_read_twice(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "x.ndjson"
    follower = Follower(tmp_path / "x.ndjson*")
    path.write_bytes(some(0, 3))
    assert follower.poll() == ids(0, 3)
    append(path, some(3, 5))
    (tmp_path / f"x.ndjson{suffix}").write_bytes(PACKED[suffix](path.read_bytes()))
    assert follower.poll() == ids(3, 5), "both are there for a while"
    path.unlink()
    assert follower.poll() == []
    assert follower.restarted().poll() == []


@every_packing
def test_compression_between_two_polls_loses_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "x.ndjson"
    follower = Follower(tmp_path / "x.ndjson*")
    path.write_bytes(some(0, 3))
    assert follower.poll() == ids(0, 3)
    (tmp_path / f"x.ndjson{suffix}").write_bytes(PACKED[suffix](some(0, 5)))
    path.unlink()
    assert follower.poll() == ids(3, 5)


@every_packing
def test_a_torn_compressed_file_is_read_as_far_as_it_goes_and_then_whole(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = b"".join(PACKED[suffix](some(first, first + 10)) for first in range(0, 300, 10))  # many members
    path = tmp_path / f"x.ndjson{suffix}"
    follower, read = Follower(tmp_path), list[str]()
    for end in (3, len(data) // 3, len(data) // 2, len(data) * 3 // 4):
        path.write_bytes(data[:end])
        read += follower.poll()
        assert follower.poll() == []
        assert "before its end mark" in caplog.text
    assert 100 < len(read) < 300
    assert len(caplog.records) == 1, "said once"
    path.write_bytes(data)
    assert read + follower.poll() == ids(0, 300)
    assert follower.rejected == {}


@every_packing
def test_a_compressed_file_without_a_final_newline_is_read_whole(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"x.ndjson{suffix}").write_bytes(PACKED[suffix](some(0, 3).rstrip(b"\n")))
    assert Follower(tmp_path).poll() == ids(0, 3)


def test_gzip_padding_is_no_fault(tmp_path: Path) -> None:
    packed = PACKED[".gz"]
    (tmp_path / "x.ndjson.gz").write_bytes(packed(some(0, 2)) + packed(some(2, 3)) + bytes(100_000))
    follower = Follower(tmp_path)
    assert follower.poll() == ids(0, 3)
    assert follower.restarted().poll() == []


def test_what_is_compressed_but_not_renamed_yet_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "x.ndjson.gz.part").write_bytes(PACKED[".gz"](some(0, 2))[:-20])
    follower = Follower(tmp_path, tmp_path / "*.ndjson*")
    assert follower.poll() == []
    assert follower.reader._refused == {}


def test_empty_files_directories_and_names_of_nothing_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "empty.ndjson").touch()
    (tmp_path / "folder.ndjson").mkdir()
    (tmp_path / "loop.ndjson").symlink_to(tmp_path / "loop.ndjson")
    (tmp_path / "nowhere.ndjson").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.ndjson")
    (tmp_path / "x.ndjson").write_bytes(some(0, 1))
    (tmp_path / "notes.txt").write_text("none of ours")
    follower = Follower(tmp_path, tmp_path / "*.ndjson", tmp_path / "missing", tmp_path / "x.ndjson")
    assert follower.poll() == ids(0, 1)
    assert follower.rejected == {}


def test_a_name_with_glob_characters_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "x[1].ndjson").write_bytes(some(0, 1))
    assert [file.path for file in find_files([str(tmp_path / "x[1].ndjson")])] == [str(tmp_path / "x[1].ndjson")]


def test_urls_are_read_as_paths_are(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(some(0, 2))
    (tmp_path / "b.ndjson.gz").write_bytes(PACKED[".gz"](some(2, 4)))
    pq.write_table(table(4, 6), tmp_path / "c.parquet")
    for url in (tmp_path.as_uri(), f"{tmp_path.as_uri()}/*"):
        follower = Follower(url)
        assert sorted(follower.poll()) == ids(0, 6)
        assert follower.poll() == []
        assert follower.restarted().poll() == []


def test_a_place_that_cannot_be_listed_costs_itself_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "x.ndjson").write_bytes(some(0, 1))
    follower = Follower(f"{tmp_path.as_uri()}/missing/*.ndjson", tmp_path)
    assert follower.poll() == ids(0, 1)
    follower.poll()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "missing" in caplog.text


def test_a_file_that_the_disk_refuses_costs_itself_alone_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests may run as root, whom no permission stops.
    real, refused = LogFile.raw, tmp_path / "a.ndjson"

    def refuse(file: LogFile) -> Any:
        if file.path == str(refused):
            raise PermissionError(13, "Permission denied", file.path)
        return real(file)

    refused.write_bytes(some(0, 1))
    (tmp_path / "b.ndjson").write_bytes(some(1, 2))
    follower = Follower(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "raw", refuse)
        assert follower.poll() == ids(1, 2)
        assert follower.poll() == []
    assert caplog.text.count("Permission denied") == 1
    assert follower.poll() == ids(0, 1), "asked again without a change of the content"


def test_parquet_is_read_when_it_is_whole_and_only_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pq.write_table(table(0, 30), tmp_path / "whole", row_group_size=10)
    data, path = (tmp_path / "whole").read_bytes(), tmp_path / "x.parquet"
    follower = Follower(tmp_path)
    for end in (0, 3, len(data) // 2):
        path.write_bytes(data[:end])
        assert follower.poll() == []
    assert len(caplog.records) == 1
    path.write_bytes(data)
    assert follower.poll() == ids(0, 30)
    shutil.copy(path, tmp_path / "delivered-again.parquet")
    assert follower.poll() == []
    assert follower.restarted().poll() == []


def test_parquet_goes_on_at_the_row_group_that_was_not_committed(tmp_path: Path) -> None:
    pq.write_table(table(0, 30), tmp_path / "x.parquet", row_group_size=10)
    follower = Follower(tmp_path)
    first = next(follower.reader.poll())
    assert Follower(tmp_path, positions={first.identity: first.position}).poll() == ids(10, 30)


def test_parquet_files_of_equal_footers_are_two_files(tmp_path: Path) -> None:
    for first in (0, 10):
        pq.write_table(
            table(10 + first, 20 + first), tmp_path / f"{first}.parquet",
            write_statistics=False, use_dictionary=False, compression="none",
        )  # fmt: skip
    assert Follower(tmp_path).poll() == ids(10, 30)


def test_parquet_without_times_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(table(0, 3).drop_columns(["ts"]), tmp_path / "x.parquet")
    [file] = find_files([str(tmp_path)])
    with pytest.raises(DataError, match=r"x\.parquet: cannot be read \(no column `ts`"):
        list(Follower(tmp_path).reader.read(file))
