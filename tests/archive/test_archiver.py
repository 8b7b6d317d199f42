"""The archive at work: what is read and at rest moves, once, whatever is interrupted when; all else stays."""

import gzip
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from prometheus_client.parser import text_string_to_metric_families

from exporter import names
from exporter.archive import archiver, batch
from exporter.archive.archiver import Archiver
from exporter.archive.book import Book
from exporter.errors import ConfigError
from exporter.service import Exporter
from tests.commands import Run
from tests.exporters import Make, predictions, series, some, step, write
from tests.world import CONFIG, START, counts, outcome, prediction, text

ARCHIVED = CONFIG.replace('"logs/*.ndjson*"}', '"logs/*.ndjson*", archive: true}') + "archive: {after: 1h}\n"
HOUR = 3_600


def rest(*paths: Path, hours: float = 2) -> None:
    """Make the files as old as if nobody had written them for so long."""
    then = time.time() - hours * HOUR
    for path in paths:
        os.utime(path, (then, then))


def sweep(exporter: Exporter) -> None:
    """One round of archiving, to its end."""
    archive = exporter._archiver
    archive._due = 0.0
    archive.work()
    while archive._round is not None:
        archive.work()


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "state/archive").rglob("*") if path.is_file())


def logs(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "logs").iterdir())


def counted(exporter: Exporter) -> dict[tuple[str, ...], float]:
    """Everything about the models that an exporter tells, but for money and time."""
    found = series(exporter)
    return {key: value for key, value in found.items() if not key[0].startswith(("prediction_exporter", "monitoring"))}


def mixed(first: int, last: int) -> bytes:
    """Predictions of two models, with and without ids, outcomes, counts, and lines that no column can hold."""
    rows = [prediction(number, id=f"c-{number}" if number % 2 else None) for number in range(first, last)]
    rows += [outcome(number) for number in range(first, last, 3)]
    rows += [prediction(number, model="price", score=None, prediction=number / 7, id=None)
             for number in range(first, last, 4)]  # fmt: skip
    rows += [counts(first), prediction(first, model="unknown"), prediction(first, id=None, features={"age": [1]})]
    return text(rows) + b"not json\n"


@pytest.fixture
def archiving(tmp_path: Path, make: Make) -> Exporter:
    """An exporter that has read a log at rest, and archived nothing yet."""
    rest(write(tmp_path, mixed(0, 60)))
    exporter = make(ARCHIVED)
    step(exporter)
    return exporter


def test_a_log_at_rest_moves_and_is_not_counted_again(archiving: Exporter, tmp_path: Path) -> None:
    before = counted(archiving)
    sweep(archiving)
    assert logs(tmp_path) == []
    places = [path.relative_to(tmp_path / "state/archive").parent.as_posix() for path in files(tmp_path)]
    assert places == ["lines", "model=churn/day=2023-11-15", "model=price/day=2023-11-15"]
    step(archiving)
    assert counted(archiving) == before


def test_one_shot_evaluation_reads_the_archive_as_it_read_the_log(archiving: Exporter, run: Run) -> None:
    arguments = ["evaluate", "--config", "prediction-exporter.yml", "--log"]
    before = run(*arguments, "logs/x.ndjson")
    sweep(archiving)
    archiving.stop()
    after = run(*arguments, "state/archive/**/*")
    assert before.status == after.status == 0

    def told(page: str) -> dict[tuple[str, ...], float]:
        unlike = (names.LOG_BYTES_TOTAL.name, names.STATISTIC_DURATION_SECONDS.name)
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if not sample.name.startswith(unlike)
        }

    assert told(after.out) == pytest.approx(told(before.out), rel=1e-12, nan_ok=True)  # sums depend on their order
    assert names.REJECTED_RECORDS_TOTAL.name + '{reason="malformed"} 1.0' in after.out


def test_the_archive_in_a_followed_path_is_known_by_its_content(tmp_path: Path, make: Make) -> None:
    config = ARCHIVED.replace("archive: true}", 'archive: true}, {path: "state/archive/**/*"}, {path: "copies"}')
    rest(write(tmp_path, mixed(0, 60)))
    exporter = make(config)
    step(exporter)
    before = counted(exporter), predictions(exporter)
    sweep(exporter)
    copies = tmp_path / "copies"
    copies.mkdir()
    for path in files(tmp_path):
        (copies / path.name).write_bytes(path.read_bytes())
    step(exporter)
    assert (counted(exporter), predictions(exporter)) == before
    exporter.stop()
    again = make(config)
    step(again)
    assert (counted(again), predictions(again)) == before


@pytest.mark.parametrize(("name", "pack"), [("x.ndjson.gz", gzip.compress), ("x.ndjson.zst", zstandard.compress)])
def test_packed_segments_move_too(tmp_path: Path, make: Make, name: str, pack: Callable[[bytes], bytes]) -> None:
    rest(write(tmp_path, pack(some(0, 20)), name))
    exporter = make(ARCHIVED)
    step(exporter)
    sweep(exporter)
    assert logs(tmp_path) == []
    assert len(files(tmp_path)) == 1


def test_a_segment_that_stands_plain_and_packed_is_archived_once(tmp_path: Path, make: Make, run: Run) -> None:
    rows = text(prediction(number, id=None) for number in range(20))
    rest(write(tmp_path, rows), write(tmp_path, gzip.compress(rows), "x.ndjson.gz"))
    exporter = make(ARCHIVED)
    step(exporter)
    sweep(exporter)
    assert logs(tmp_path) == []
    exporter.stop()
    page = run("evaluate", "--config", "prediction-exporter.yml", "--log", "state/archive/**/*").out
    assert names.RECORDS_TOTAL.name + '{kind="prediction"} 20.0' in page


def test_a_log_that_is_delivered_again_goes_and_nothing_is_archived_twice(archiving: Exporter, tmp_path: Path) -> None:
    sweep(archiving)
    before = files(tmp_path)
    rest(write(tmp_path, mixed(0, 60), "again.ndjson"))
    step(archiving)
    sweep(archiving)
    assert (logs(tmp_path), files(tmp_path)) == ([], before)


def test_a_longer_copy_of_an_archived_log_adds_only_what_is_new(tmp_path: Path, make: Make, run: Run) -> None:
    rest(write(tmp_path, text(prediction(number, id=None) for number in range(1))))
    exporter = make(ARCHIVED)
    step(exporter)
    sweep(exporter)
    rest(write(tmp_path, text(prediction(number, id=None) for number in range(30)), "longer.ndjson"))
    step(exporter)
    sweep(exporter)
    assert (logs(tmp_path), predictions(exporter)) == ([], 30)
    exporter.stop()
    page = run("evaluate", "--config", "prediction-exporter.yml", "--log", "state/archive/**/*").out
    assert names.RECORDS_TOTAL.name + '{kind="prediction"} 30.0' in page


def test_what_is_not_asked_for_is_not_touched(tmp_path: Path, make: Make) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("a.ndjson", "b.txt"):
        (other / name).write_bytes(some(0, 5))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/link.ndjson").symlink_to(other / "a.ndjson")
    foreign = tmp_path / "state/archive/model=churn/day=2020-01-01/mine.parquet.part"
    foreign.parent.mkdir(parents=True)
    foreign.touch()
    config = ARCHIVED.replace("archive: true}", "archive: true}, {path: other}")
    rest(*other.iterdir(), write(tmp_path, some(5, 9)))
    exporter = make(config)
    step(exporter)
    sweep(exporter)
    assert logs(tmp_path) == ["link.ndjson"]
    assert len(list(other.iterdir())) == 2
    assert foreign.exists()


def test_what_is_young_open_or_unread_stays(tmp_path: Path, make: Make) -> None:
    young, held = write(tmp_path, some(0, 5), "young.ndjson"), write(tmp_path, some(5, 9), "held.ndjson")
    exporter = make(ARCHIVED)
    step(exporter)
    rest(held, write(tmp_path, some(10, 15), "unread.ndjson"))
    with held.open("ab"):
        sweep(exporter)
        assert logs(tmp_path) == ["held.ndjson", "unread.ndjson", "young.ndjson"]
    sweep(exporter)
    assert logs(tmp_path) == ["unread.ndjson", "young.ndjson"]
    rest(young)
    step(exporter)
    sweep(exporter)
    assert logs(tmp_path) == []


def test_a_torn_last_line_is_archived_with_the_rest(tmp_path: Path, make: Make) -> None:
    rest(write(tmp_path, some(0, 5) + b'{"kind": "predi'))
    exporter = make(ARCHIVED)
    step(exporter)
    sweep(exporter)
    lines, table = files(tmp_path)
    assert zstandard.decompress(lines.read_bytes()) == b'{"kind": "predi\n'
    assert table.suffix == ".parquet"
    assert logs(tmp_path) == []


def test_large_logs_move_batch_by_batch_between_readings(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(archiver, "BATCH_BYTES", 20_000)
    monkeypatch.setattr(archiver, "_SLICE", 5_000)
    monkeypatch.setattr(archiver, "_WORK_SECONDS", 0.0)
    rest(write(tmp_path, text(prediction(number, id=None) for number in range(500))))
    exporter = make(ARCHIVED)
    step(exporter)
    exporter._archiver._due = 0.0
    exporter._archiver.work()
    steps = 1
    while exporter._archiver._round is not None:
        write(tmp_path, some(1_000 + steps, 1_001 + steps), "live.ndjson")
        step(exporter)
        exporter._archiver.work()
        steps += 1
    assert steps > 10
    assert len(files(tmp_path)) > 3
    assert (logs(tmp_path), predictions(exporter)) == (["live.ndjson"], 500 + steps - 1)
    exporter.stop()
    page = run("evaluate", "--config", "prediction-exporter.yml", "--log", "state/archive/**/*").out
    assert names.RECORDS_TOTAL.name + '{kind="prediction"} 500.0' in page


class CrashError(Exception):
    """Stands for a process that ended here; tests with real kills are beside."""


STAGES: list[tuple[Any, str]] = [
    (batch, "write_parquet"),
    (batch, "sync"),
    (Book, "enter"),
    (Book, "remember"),
    (archiver, "place"),
    (archiver, "_delete"),
]


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize(("owner", "stage"), STAGES)
def test_whatever_ends_it_where_nothing_is_lost_and_nothing_doubled(
    archiving: Exporter, tmp_path: Path, make: Make, run: Run, monkeypatch: pytest.MonkeyPatch, owner: Any,
    stage: str, late: int,
) -> None:  # fmt: skip
    arguments = ["evaluate", "--config", "prediction-exporter.yml", "--log"]
    records = names.RECORDS_TOTAL.name
    whole = sorted(line for line in run(*arguments, "logs/*").out.splitlines() if line.startswith(records))
    before = counted(archiving)
    calls: Iterator[int] = iter(range(100))
    right = getattr(owner, stage)

    def crash(*inputs: Any, **options: Any) -> Any:
        if next(calls) >= late:
            raise CrashError
        return right(*inputs, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, stage, crash)
        sweep(archiving)
    archiving._stop.set()  # it stays dead: another process goes on with what is on disk
    archiving._close()
    again = make(ARCHIVED)
    step(again)
    sweep(again)
    step(again)
    assert counted(again) == before
    assert logs(tmp_path) == []
    assert not list((tmp_path / "state/archive").rglob("*.part"))
    again.stop()
    found = sorted(line for line in run(*arguments, "state/archive/**/*").out.splitlines() if line.startswith(records))
    assert found == whole


def test_a_failure_is_counted_told_once_and_tried_again(
    archiving: Exporter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state/archive").write_text("a file stands where the folder should be")
    sweep(archiving)
    sweep(archiving)
    step(archiving)
    found = series(archiving)
    assert (found[names.ARCHIVE_SUCCESS.name,], found[names.ARCHIVE_FAILURES_TOTAL.name,]) == (0, 2)
    assert (names.ARCHIVE_LAST_SUCCESS_TIMESTAMP_SECONDS.name,) not in found
    assert [record.message for record in caplog.records if "archiving failed" in record.message] == [
        "archiving failed; the log stays as it is, and it is tried again"
    ]
    assert logs(tmp_path) == ["x.ndjson"]
    (tmp_path / "state/archive").unlink()
    sweep(archiving)
    step(archiving)
    found = series(archiving)
    assert found[names.ARCHIVE_SUCCESS.name,] == 1
    assert found[names.ARCHIVE_LAST_SUCCESS_TIMESTAMP_SECONDS.name,] > 0
    assert found[names.ARCHIVE_FILES.name,] == len(files(tmp_path)) == 3
    assert found[names.ARCHIVE_BYTES.name,] == sum(path.stat().st_size for path in files(tmp_path))
    assert found[names.ARCHIVED_LOG_BYTES_TOTAL.name,] == len(mixed(0, 60))


def test_a_file_that_cannot_be_read_does_not_hold_up_the_others(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest(write(tmp_path, some(0, 5), "a.ndjson"), write(tmp_path, some(5, 9), "b.ndjson"))
    exporter = make(ARCHIVED)
    step(exporter)
    may_go = Archiver._is_read

    def is_read(self: Archiver, file: Any) -> bool:
        if file.path.endswith("a.ndjson"):
            raise OSError(5, "Input/output error")
        return may_go(self, file)

    monkeypatch.setattr(Archiver, "_is_read", is_read)
    sweep(exporter)
    assert logs(tmp_path) == ["a.ndjson"]


def test_archived_files_expire_and_their_empty_folders_with_them(
    archiving: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(archiving)
    assert len(files(tmp_path)) == 3
    later = time.time() + 90 * 86_400 - 60
    monkeypatch.setattr("exporter.archive.archiver.time.time", lambda: later)
    sweep(archiving)
    assert len(files(tmp_path)) == 3
    monkeypatch.setattr("exporter.archive.archiver.time.time", lambda: later + 120)
    sweep(archiving)
    assert list((tmp_path / "state/archive").iterdir()) == []
    assert archiving._archiver._book.entries == {}


def test_two_exporters_may_share_a_folder(tmp_path: Path, make: Make) -> None:
    shared = ARCHIVED.replace("{after: 1h}", "{after: 1h, path: shared}")
    rest(write(tmp_path, some(0, 5)))
    exporter = make(shared)
    step(exporter)
    part = tmp_path / "shared/model=churn/day=2023-11-15/0123456789ab-1.parquet.part"
    part.parent.mkdir(parents=True)
    part.touch()
    sweep(exporter)
    assert part.exists()
    assert [path.suffix for path in part.parent.iterdir() if path != part] == [".parquet"]


def test_nothing_is_told_where_nothing_is_archived(tmp_path: Path, make: Make) -> None:
    write(tmp_path, some(0, 5))
    exporter = make()
    step(exporter)
    sweep(exporter)
    step(exporter)
    assert (names.ARCHIVE_SUCCESS.name,) not in series(exporter)
    assert not (tmp_path / "state/archive").exists()


def test_an_object_store_is_not_archived(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"log\[0\]: archive: only local files are archived"):
        make(CONFIG.replace('"logs/*.ndjson*"}', '"s3://bucket/logs/", archive: true}'))


def test_the_day_is_the_records_own(archiving: Exporter, tmp_path: Path) -> None:
    assert time.gmtime(START)[:3] == (2023, 11, 15)
    rest(write(tmp_path, text([prediction(500, ts=START + 86_400)]), "next.ndjson"))
    step(archiving)
    sweep(archiving)
    assert (tmp_path / "state/archive/model=churn/day=2023-11-16").is_dir()
