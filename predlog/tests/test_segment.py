import gzip
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from predlog import PredictionLog, segment
from predlog.segment import Compression

Read = Callable[..., list[dict[str, Any]]]


def test_a_segment_is_named_for_model_process_start_and_sequence(folder: Path) -> None:
    with PredictionLog("fraud/../model one", "v", folder) as log:
        log.log({})
    (path,) = folder.iterdir()
    assert re.fullmatch(rf"fraud_\.\._model_one-{os.getpid()}-[0-9a-f]+-000000\.ndjson", path.name)


def test_segments_end_at_their_size_and_lose_nothing(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder, rotate_bytes=2000) as log:
        for index in range(40):
            log.log({"index": index, "text": "x" * 100})
            if index % 5 == 4:
                log.flush()
    sizes = [path.stat().st_size for path in sorted(folder.iterdir())]
    assert len(sizes) == 8 // 2 + (8 % 2)
    assert all(size >= 2000 for size in sizes[:-1])
    assert [record["features"]["index"] for record in read("prediction")] == list(range(40))


def test_segments_end_at_their_age(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder, rotate_seconds=1e-9) as log:
        for _ in range(3):
            log.log({})
            log.flush()
    assert len(list(folder.iterdir())) == 3
    assert len(read("prediction")) == 3


PACKED: list[tuple[Compression, str, Callable[[bytes], bytes]]] = [
    ("gzip", ".ndjson.gz", gzip.decompress),
    ("zstd", ".ndjson.zst", zstandard.decompress),
]


@pytest.mark.parametrize(("compression", "suffix", "unpack"), PACKED)
def test_when_compressed_finished_segments_are_replaced_and_nothing_else_stays(
    folder: Path, read: Read, compression: Compression, suffix: str, unpack: Callable[[bytes], bytes]
) -> None:
    with PredictionLog("m", "v", folder, rotate_bytes=1, compression=compression) as log:
        for index in range(4):
            log.log({"index": index})
            log.flush()
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 4
    assert all(name.endswith(suffix) for name in names)
    assert b'"index":0' in unpack((folder / names[0]).read_bytes())
    assert [record["features"]["index"] for record in read("prediction")] == [0, 1, 2, 3]


def test_zstd_without_its_package_is_refused_at_once_with_the_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=re.escape("install predlog[zstd]")):
        PredictionLog("m", "v", folder, compression="zstd")


def test_a_segment_that_cannot_be_packed_stays_plain_and_no_part_is_left(
    folder: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, __: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(segment._PACK, "zstd", full)
    with PredictionLog("m", "v", folder, rotate_bytes=1, compression="zstd") as log:
        log.log({})
        assert log.flush() == 0
    assert [path.suffix for path in folder.iterdir()] == [".ndjson"]
    assert len(read("prediction")) == 1


def test_where_no_thread_can_start_a_finished_segment_is_put_away_all_the_same(
    folder: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "predlog-retire":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with PredictionLog("m", "v", folder, rotate_bytes=1, compression="gzip") as log:
        log.log({})
        assert log.flush() == 0
        assert [path.name.endswith(".ndjson.gz") for path in folder.iterdir()] == [True]
    assert len(read("prediction")) == 1


def test_two_logs_in_one_process_write_files_of_their_own(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v1", folder) as first, PredictionLog("m", "v2", folder) as second:
        first.log({})
        second.log({})
    assert len(list(folder.iterdir())) == 2
    assert {record["version"] for record in read("prediction")} == {"v1", "v2"}


def test_a_segment_that_somebody_deleted_is_replaced_by_a_new_one(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder) as log:
        log.log({"lost": True})
        log.flush()
        next(folder.iterdir()).unlink()
        folder.rmdir()
        log.flush()
        log.log({"kept": True})
    assert [record["features"] for record in read("prediction")] == [{"kept": True}]


def test_a_relative_path_stays_where_it_was_when_the_server_changes_its_directory(
    tmp_path: Path, folder: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with PredictionLog("m", "v", "logs") as log:
        monkeypatch.chdir("/")
        log.log({})
    assert len(read("prediction")) == 1
    assert folder.is_dir()


def test_a_disk_that_refuses_to_sync_makes_flush_raise_and_nothing_else(
    folder: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    with PredictionLog("m", "v", folder) as log:
        log.log({})
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(OSError, match="refused to sync"):
                log.flush()
        log.log({})
        assert log.flush() == 0
    assert len(read("prediction")) == 2


def test_a_file_that_fails_for_good_is_left_for_a_new_one(
    folder: Path, read: Read, total: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int, __: bytes) -> int:
        raise OSError(116, "Stale file handle")

    with PredictionLog("m", "v", folder) as log:
        log.log({"index": 0})
        log.flush()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", fail)
            log.log({"index": 1})
            assert log.flush() == 1
        log.log({"index": 2})
        assert log.flush() == 1
    assert [record["features"]["index"] for record in read("prediction")] == [0, 2]
    assert (total("requests"), total("dropped")) == (3, 1)
