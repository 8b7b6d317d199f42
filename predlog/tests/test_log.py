import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from predlog import PredictionLog, Sampling

Read = Callable[..., list[dict[str, Any]]]


@contextmanager
def stalled(log: PredictionLog) -> Iterator[None]:
    """The background thread held inside a sampling condition that `stall` gave it, as a slow disk would hold it."""
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        leave.wait(30)

    log.log({"stall": hold})
    assert entered.wait(30)
    yield
    leave.set()


def stall(record: dict[str, Any]) -> bool:
    wait = record["features"].pop("stall", None)
    if wait is not None:
        wait()
    return False


STALLING = Sampling(rate=0.999999, always=[stall])


def test_threads_lose_nothing_and_no_line_is_mixed(folder: Path, read: Read, total: Callable[[str], int]) -> None:
    def work(name: int) -> None:
        for index in range(500):
            log.log({"thread": name, "index": index}, id=f"{name}-{index}")

    with PredictionLog("m", "v", folder) as log:
        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.flush() == 0
    assert {record["id"] for record in read("prediction")} == {f"{t}-{i}" for t in range(8) for i in range(500)}
    assert total("requests") == 4000


def test_flush_returns_when_everything_logged_before_stands_in_the_file(folder: Path, read: Read) -> None:
    log = PredictionLog("m", "v", folder, flush_seconds=3600)
    for index in range(1000):
        log.log({"index": index})
    assert log.flush() == 0
    assert [record["features"]["index"] for record in read("prediction")] == list(range(1000))
    log.close()


def test_a_full_queue_drops_counts_and_keeps_the_counts_of_what_it_dropped(
    folder: Path, read: Read, total: Callable[[str], int]
) -> None:
    log = PredictionLog("m", "v", folder, capacity=10, sampling=STALLING)
    with stalled(log):
        for _ in range(25):
            log.log({}, error="Timeout", latency_seconds=0.02)
        log.outcome("1", label=1)
        log.log_batch({"a": [1, 2, 3]})
    assert log.flush() == 15 + 1 + 3
    log.close()
    assert len(read("prediction")) + total("skipped") == 1 + 10
    assert (total("requests"), total("dropped"), total("outcomes_dropped")) == (1 + 25 + 3, 15 + 3, 1)
    assert sum(counts["errors"].get("Timeout", 0) for counts in read("counts")) == 25
    assert sum(counts["latency_buckets"]["+Inf"] for counts in read("counts")) == 25


def test_a_batch_larger_than_the_queue_is_taken_when_the_queue_is_empty(folder: Path, read: Read) -> None:
    with PredictionLog("m", "v", folder, capacity=10) as log:
        log.log_batch({"a": list(range(1000))})
        assert log.flush() == 0
    assert len(read("prediction")) == 1000


def test_flush_gives_up_after_its_timeout(folder: Path) -> None:
    log = PredictionLog("m", "v", folder, sampling=STALLING)
    with stalled(log), pytest.raises(TimeoutError, match="was not written within"):
        log.flush(timeout=0.05)
    log.close()


def test_a_folder_that_cannot_be_made_costs_records_not_requests_and_is_tried_again(
    folder: Path, read: Read, total: Callable[[str], int], caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file stands where the folder should be")
    log = PredictionLog("m", "v", folder)
    with caplog.at_level(logging.WARNING, "predlog"):
        log.log({})
        log.outcome("1", label=1)
        assert log.flush() == 2
        log.log({})
        assert log.flush() == 3
    assert len([one for one in caplog.records if "cannot open a segment" in one.message]) == 1
    folder.unlink()
    log.log({"kept": True})
    assert log.flush() == 3
    log.close()
    assert [record["features"] for record in read("prediction")] == [{"kept": True}]
    assert (total("requests"), total("dropped"), total("outcomes_dropped")) == (3, 2, 1)


def test_after_close_calls_are_dropped_and_closing_twice_is_fine(folder: Path, read: Read) -> None:
    log = PredictionLog("m", "v", folder)
    log.log({})
    log.close()
    log.log({})
    log.log_batch({"a": [1]})
    log.outcome("1", label=1)
    log.close()
    assert log.flush() == 3
    assert len(read("prediction")) == 1


def test_a_log_that_was_never_used_leaves_no_trace(folder: Path) -> None:
    with PredictionLog("m", "v", folder) as log:
        assert log.flush() == 0
    assert not folder.exists()


def test_no_argument_makes_a_call_raise(folder: Path, total: Callable[[str], int]) -> None:
    class Hostile:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError("no")

    hostile = Hostile()
    with PredictionLog("m", "v", folder) as log:
        log.log(hostile)
        log.log({}, latency_seconds=hostile)  # type: ignore[arg-type]  # the point
        log.log({}, id=hostile, error=hostile, ts=hostile)
        log.log_batch(7)
        log.log_batch({"a": [1, 2], "b": [1]})
        log.log_batch(hostile)
        log.outcome(hostile, hostile, ts=hostile)
        assert log.flush() > 0
        log.log({"fine": 1})
    assert total("requests") >= 7


def test_features_may_be_changed_after_the_call_when_they_are_copied(folder: Path, read: Read) -> None:
    log = PredictionLog("m", "v", folder, copy_features=True, sampling=STALLING)
    with stalled(log):
        features = {"a": 1}
        log.log(features)
        features["a"] = 2
    log.close()
    assert {"a": 1} in [record["features"] for record in read("prediction")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": ""}, "model must be text, not ''"),
        ({"path": ""}, "path must be text"),
        ({"capacity": 0}, "capacity must be above 0, not 0"),
        ({"flush_seconds": -1}, "flush_seconds must be above 0"),
        ({"fsync": "always"}, "fsync must be one of 'flush', 'interval', 'never', not 'always'"),
        ({"compression": "lz4"}, "compression must be one of None, 'gzip', 'zstd', not 'lz4'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PredictionLog(**{"model": "m", "version": "v", "path": "logs", **arguments})
