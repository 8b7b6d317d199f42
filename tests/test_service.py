"""The exporter at work: a failure costs itself alone, a reload is all or nothing, time does its part."""

import logging
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from exporter import measures, names, service
from exporter.ingest import engine as engine_module
from exporter.ingest import lines as block_lines
from exporter.ingest.engine import Engine
from exporter.service import Exporter
from exporter.store import Store
from tests.exporters import Make, predictions, series, some, step, wait_until, write
from tests.world import CONFIG, START, counts, outcome, prediction, text

DAY = 86_400


def is_free(folder: Path) -> bool:
    """Whether a second process could use the state."""
    with duckdb.connect(str(folder / "state/state.duckdb")):
        return True


def test_it_reads_evaluates_and_stops_cleanly(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "POLL_SECONDS", 0.01)
    write(tmp_path, some(0, 10))
    exporter = make()
    assert (exporter.alive(), exporter.ready(), exporter.snapshot()) == (False, False, None)
    exporter.start()
    wait_until(exporter.ready)
    assert exporter.alive()
    write(tmp_path, some(10, 25))
    wait_until(lambda: predictions(exporter) == 25)
    seen = exporter.seen()
    assert seen is not None
    assert seen.number(names.LAST_RECORD_TIMESTAMP_SECONDS, "churn") == START + 24 * 30
    assert "model churn version v1" in exporter.debug("churn")
    exporter.stop()
    assert not exporter.alive()
    assert is_free(tmp_path)


def test_a_restart_goes_on_where_it_was(tmp_path: Path, make: Make) -> None:
    write(tmp_path, some(0, 10))
    first = make()
    step(first)
    before = series(first)
    first.stop()
    second = make()
    step(second)
    after = series(second)
    assert after[names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v1"] == 10
    shared = {
        key for key in before if not key[0].startswith("prediction_exporter_") and key[0] != "monitoring_cost_usd"
    }
    assert {key: after[key] for key in shared} == {key: before[key] for key in shared}


def test_a_reading_that_fails_is_rolled_back_told_once_and_tried_again(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exporter, take, calls = make(), Engine.take, 0

    def fails(self: Engine, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        found = take(self, *arguments)
        if calls > 1:
            raise RuntimeError("in the middle")
        return found

    for name in ("a.ndjson", "b.ndjson"):  # two pieces of one transaction
        write(tmp_path, some(0, 10) if name < "b" else some(10, 20), name)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "take", fails)
        step(exporter)
        assert series(exporter)[names.INGESTION_SUCCESS.name,] == 0
        assert predictions(exporter) == 0
        step(exporter)
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "reading the log failed; it is tried again every second"
    ]
    step(exporter)
    assert predictions(exporter) == 20
    assert series(exporter)[names.INGESTION_SUCCESS.name,] == 1
    assert "duplicate_id" not in {reason for reason, count in exporter._store.totals.rejected.items() if count}


def test_while_the_disk_is_full_metrics_go_on_and_rotated_files_are_not_lost(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = make()
    path = write(tmp_path, some(0, 10))
    step(exporter)

    def full(*_: object) -> None:
        raise duckdb.FatalException("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_write_small", full)
        write(tmp_path, some(10, 20))
        step(exporter)
        assert predictions(exporter) == 10
        patch.setattr(service, "Store", full)
        path.rename(tmp_path / "rotated-away")
        write(tmp_path, some(20, 30))
        step(exporter)
        assert series(exporter)[names.INGESTION_SUCCESS.name,] == 0
        assert series(exporter)[names.PREDICTIONS_IN_WINDOW.name, "churn", "v1", "1d"] == 10
    step(exporter)
    assert predictions(exporter) == 30


def test_a_flood_of_error_names_stays_one_after_a_restart(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_MAX_ERRORS", 1)
    write(tmp_path, text([prediction(0, error="Timeout")]))
    first = make()
    step(first)
    first.stop()
    write(tmp_path, text([prediction(1, error="after 7 s"), prediction(2, error="Timeout")]))
    second = make()
    step(second)
    found = series(second)
    assert found[names.PREDICTION_ERRORS_TOTAL.name, "Timeout", "churn", "v1"] == 2
    assert found[names.PREDICTION_ERRORS_TOTAL.name, "other", "churn", "v1"] == 1


def test_a_measure_that_raises_is_told_once_and_hides_no_other(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("no luck")

    monkeypatch.setitem(measures.MEASURES, "output_drift", broken)
    write(tmp_path, text(prediction(number, version=f"v{number % 2}") for number in range(10)))
    exporter = make()
    step(exporter)
    step(exporter)
    assert [record.message for record in caplog.records] == ["churn: output_drift failed"]
    assert series(exporter)[names.STATISTIC_SUCCESS.name, "churn", "output_drift"] == 0
    assert series(exporter)[names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v1"] == 5
    assert "churn output_drift: ZeroDivisionError('no luck')" in exporter.debug("churn")
    monkeypatch.undo()
    step(exporter)
    assert series(exporter)[names.STATISTIC_SUCCESS.name, "churn", "output_drift"] == 1


def test_an_evaluation_that_fails_leaves_the_last_snapshot(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, some(0, 10))
    exporter = make()
    step(exporter)
    before = exporter.snapshot()
    monkeypatch.setattr(service, "take_snapshot", lambda *_: 1 / 0)
    step(exporter)
    assert exporter.snapshot() is before
    assert "the evaluation failed" in caplog.text


def test_a_backlog_is_evaluated_in_between(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_lines, "BLOCK", 4_000)
    monkeypatch.setattr(service, "_COMMIT_BYTES", 8_000)
    write(tmp_path, some(0, 200))
    exporter, seen = make(), list[float]()

    def evaluate() -> None:
        Exporter._evaluate(exporter)
        seen.append(predictions(exporter))
        exporter._due = 0.0  # as if the interval were over

    monkeypatch.setattr(exporter, "_evaluate", evaluate)
    exporter._read()
    assert len(seen) >= 3
    assert seen == sorted(set(seen))
    assert seen[-1] < 200 == exporter._store.totals.accepted["prediction"]


def test_a_scrape_does_not_wait_for_the_reading(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = make()
    step(exporter)
    reading, go_on, take = threading.Event(), threading.Event(), Engine.take

    def slow(self: Engine, *arguments: Any) -> Any:
        reading.set()
        assert go_on.wait(30)
        return take(self, *arguments)

    monkeypatch.setattr(Engine, "take", slow)
    write(tmp_path, some(0, 10))
    exporter.start()
    assert reading.wait(30)
    assert predictions(exporter) == 0
    assert exporter.alive()
    go_on.set()
    wait_until(lambda: predictions(exporter) == 10)


def test_records_far_ahead_of_the_clock_are_refused_however_the_windows_end(tmp_path: Path, make: Make) -> None:
    now = time.time()
    write(tmp_path, text([prediction(0, ts=now), prediction(1, ts=now + 200), prediction(2, ts=now + 400)]))
    exporter = make()
    step(exporter)
    assert predictions(exporter) == 2
    assert series(exporter)[names.REJECTED_RECORDS_TOTAL.name, "future_timestamp"] == 1


def test_windows_end_now_by_the_wall_clock(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    write(tmp_path, text([prediction(0, ts=now - 30), prediction(1, ts=now - 7_200), prediction(2, ts=now - 3 * DAY)]))
    exporter = make(CONFIG.replace("clock: log", "clock: wall"))

    def in_window() -> list[float | None]:
        found = series(exporter)
        return [found.get((names.PREDICTIONS_IN_WINDOW.name, "churn", "v1", window)) for window in ("1h", "1d", "7d")]

    step(exporter)
    assert in_window() == [1, 2, 3]
    monkeypatch.setattr(time, "time", lambda: now + DAY / 2)
    step(exporter)
    assert in_window() == [0, 2, 3]


def test_what_is_too_old_is_forgotten_once_an_hour_of_the_log(tmp_path: Path, make: Make) -> None:
    lives = "outcomes: {horizon: 2d}\n"
    exporter = make(CONFIG.replace("{versions: 3}", "{versions: 2, retention: 10d}") + lives)
    write(tmp_path, text([prediction(0), outcome(9), prediction(1, version="v2", ts=START + DAY)]))
    step(exporter)
    write(tmp_path, text([counts(0, ts=START + 5 * DAY, version="v2")]))
    step(exporter)  # the clock moves while this is read
    step(exporter)
    assert series(exporter)[names.REJECTED_RECORDS_TOTAL.name, "orphan_outcome"] == 1
    write(tmp_path, text([outcome(0, ts=START + 5 * DAY), prediction(5, version="v3", ts=START + 5 * DAY)]))
    step(exporter)
    found = series(exporter)
    assert found[names.LABELLED_PREDICTIONS_TOTAL.name, "churn", "v1"] == 0, "its prediction waits no more"
    assert found[names.REJECTED_RECORDS_TOTAL.name, "too_many_versions"] == 1
    write(tmp_path, text([counts(0, ts=START + 10.5 * DAY, version="v2")]))
    step(exporter)
    step(exporter)
    assert (names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v1") not in series(exporter)
    write(tmp_path, text([prediction(6, version="v3", ts=START + 10.5 * DAY)]))
    step(exporter)
    assert series(exporter)[names.PREDICTIONS_LOGGED_TOTAL.name, "churn", "v3"] == 1, "a version gone makes room"
    totals = exporter._store.totals
    exporter.stop()
    again = make(exporter._path.read_text())
    assert again._store.totals == totals


def test_its_own_state_and_lag_are_told(tmp_path: Path, make: Make) -> None:
    write(tmp_path, some(0, 10) + b'{"kind": "pre')
    exporter = make()
    step(exporter)
    found = series(exporter)
    assert found[names.STATE_BYTES.name,] == sum(file.stat().st_size for file in (tmp_path / "state").iterdir()) > 0
    assert found[names.LAG_BYTES.name,] == 13
    assert found[names.LOG_BYTES_TOTAL.name,] == len(some(0, 10))


def test_two_exporters_do_not_share_a_state(tmp_path: Path, make: Make) -> None:
    # The lock holds between processes; within one, DuckDB shares the database.
    make()
    code = "from pathlib import Path; from exporter.service import Exporter; Exporter(Path('prediction-exporter.yml'))"
    import subprocess
    import sys

    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "ConfigError" in ended.stderr
    assert "no other exporter uses" in ended.stderr


def test_windows_and_periods_that_the_history_does_not_cover_are_told(tmp_path: Path, make: Make) -> None:
    exporter = make(CONFIG.replace("min_rows: 5", "min_rows: 5, periods: [previous, last_week]"))
    write(tmp_path, text(prediction(number, id=None, ts=START + 12 * 3_600 * number) for number in range(6)))
    step(exporter)
    lines = exporter.debug("churn").splitlines()
    assert lines[1:3] == [
        "  period previous of 1d: records 2",
        "  period last_week of 1d: records 0; no records before it, so nothing is held against it",
    ]
    assert [line for line in lines if line.startswith("  window")] == [
        "  window 1h: records 1, weight 1, squared weight 1",
        "  window 1d: records 2, weight 2, squared weight 2",
        "  window 7d: records 6, weight 6, squared weight 6; history begins within it",
    ]
    found = series(exporter)
    assert found[names.PERIOD_COMPLETE.name, "churn", "v1", "last_week", "1d"] == 0
    assert found[names.WINDOW_COMPLETE.name, "churn", "v1", "7d"] == 0
    assert found[names.WINDOW_COMPLETE.name, "churn", "v1", "1d"] == 1


def test_performance_waits_for_its_labels_to_mature(tmp_path: Path, make: Make) -> None:
    exporter = make(CONFIG.replace("baseline: churn.json", "baseline: churn.json, outcomes: {maturity: 1h}"))
    write(tmp_path, text([prediction(number, score=0.9, prediction=1) for number in range(600)]))  # five hours
    write(tmp_path, text([outcome(number, label=int(number < 360)) for number in range(600)]))
    step(exporter)
    found = series(exporter)
    # The newest outcome comes just before the sixth hour ends: the fourth is the last whole one that is an hour old.
    assert found[names.MODEL_ACCURACY.name, "churn", "v1", "1d"] == 360 / 480
    assert found[names.MODEL_ACCURACY.name, "churn", "v1", "1h"] == 0
    assert found[names.MODEL_OUTCOME_COVERAGE_BY_AGE_RATIO.name, "1h", "churn", "v1"] == 1
    assert 0 < found[names.MODEL_OUTCOME_MATURITY_RATIO.name, "churn", "v1", "1h"] <= 1


def test_corrections_move_windows_and_no_counter_back(tmp_path: Path, make: Make) -> None:
    exporter = make()
    write(tmp_path, text([prediction(number, score=0.9) for number in range(10)]))
    write(tmp_path, text([outcome(number, label=1) for number in range(10)]))
    step(exporter)
    before = series(exporter)
    write(tmp_path, text([outcome(number, label=0, ts=START + 7_200) for number in range(4)]))
    step(exporter)
    after = series(exporter)
    key = ("churn", "v1")
    assert (before[names.MODEL_ACCURACY.name, *key, "1d"], after[names.MODEL_ACCURACY.name, *key, "1d"]) == (1, 0.6)
    for family, value in ((names.LABELLED_PREDICTIONS_TOTAL, 10), (names.CORRECT_PREDICTIONS_TOTAL, 10)):
        assert before[family.name, *key] == after[family.name, *key] == value
    assert after[names.CORRECTED_OUTCOMES_TOTAL.name, *key] == 4


def test_the_log_says_how_complete_it_is_how_late_and_who_writes_it(tmp_path: Path, make: Make) -> None:
    exporter = make()
    write(tmp_path, text([*(prediction(number) for number in range(8)), counts(8, requests=12, skipped=2)]))
    write(tmp_path, text([prediction(100)]), "y.ndjson")
    step(exporter)
    found = series(exporter)
    assert found[names.PREDICTION_LOG_COMPLETENESS_RATIO.name, "churn", "v1", "1d"] == 9 / 10
    assert found[names.LAG_SECONDS.name, "churn"] == pytest.approx(time.time() - START - 3_000, abs=60)
    assert (found[names.WRITERS.name, "active"], found[names.WRITERS.name, "silent"]) == (1, 1)
    assert found[names.OLDEST_WRITER_TIMESTAMP_SECONDS.name,] == START + 7 * 30


STRANGE = ['"', "a\nb", "\\n", "{a}", "a,b", "\x00\x1f\x7f", "a\u2028 \u00e9 \U0001f600", "x" * 128, "# EOF", "'"]


def test_names_with_quotes_newlines_and_control_characters_are_scraped_as_they_are(tmp_path: Path, make: Make) -> None:
    exporter = make(CONFIG.replace("versions: 3", "versions: 50"))
    write(tmp_path, text(prediction(place, version=name, error=name) for place, name in enumerate(STRANGE)))
    write(tmp_path, text([prediction(50, features={'a"b\n': 1, "age": 30.0})]))
    step(exporter)
    snapshot = exporter.snapshot()
    assert snapshot is not None
    for parse, body in ((text_string_to_metric_families, snapshot.text), (openmetrics_families, snapshot.openmetrics)):
        samples = [sample for family in parse(body.decode()) for sample in family.samples]
        versions = {sample.labels["model_version"] for sample in samples if "model_version" in sample.labels}
        errors = {sample.labels["error"] for sample in samples if "error" in sample.labels}
        assert versions == {*STRANGE, "v1"}
        assert errors == set(STRANGE)
