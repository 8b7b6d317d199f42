import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from exporter.demo.flights import DAY, FEATURES, REFUSED, WEATHER, YEAR_START
from exporter.demo.model import DelayModel
from exporter.demo.traffic import Arrival, Departure, Replay, events, newest_time, open_log, replay, write_year

START = YEAR_START + 50 * DAY  # 20 February, when an airport's weather was not known for an hour
STOP = START + 2 * DAY


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*.ndjson")) for line in path.read_text().splitlines()]


def of_kind(kind: str, lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in lines if record["kind"] == kind]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, scored: pd.DataFrame) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("written")
    write_year(folder, scored, start=START, stop=STOP, files=3)
    assert len(list(folder.iterdir())) == 3
    return records(folder)


def test_a_stretch_is_written_in_the_order_of_time(written: list[dict[str, Any]]) -> None:
    times = [record["ts"] for record in written]
    assert times == sorted(times)
    assert START <= times[0] <= times[-1] < STOP


def test_every_flight_of_the_stretch_is_written_once(written: list[dict[str, Any]], scored: pd.DataFrame) -> None:
    departing = scored[(scored["ts"] >= START) & (scored["ts"] < STOP)]
    arriving = scored[(scored["outcome_ts"] >= START) & (scored["outcome_ts"] < STOP)]
    assert [record["id"] for record in of_kind("prediction", written)] == departing["id"].tolist()
    assert sorted(record["id"] for record in of_kind("outcome", written)) == sorted(arriving["id"])


def test_missing_weather_is_written_as_null(written: list[dict[str, Any]]) -> None:
    features = [record["features"] for record in of_kind("prediction", written)]
    assert all(set(row) == set(FEATURES) for row in features)
    assert any(row["pressure"] is None for row in features)
    assert all(isinstance(row["hour"], int) for row in features)


def test_a_flight_without_any_weather_is_refused_with_an_error(written: list[dict[str, Any]]) -> None:
    predictions = of_kind("prediction", written)
    refused = [record for record in predictions if all(record["features"][name] is None for name in WEATHER)]
    assert refused
    assert [record for record in predictions if "error" in record] == refused
    assert {record["error"] for record in refused} == {REFUSED}
    assert all(("score" in record) == ("prediction" in record) == ("error" not in record) for record in predictions)


def test_a_stretch_of_any_length_keeps_every_event(scored: pd.DataFrame) -> None:
    whole = list(events(scored, START, STOP))
    halves = [*events(scored, START, START + DAY), *events(scored, START + DAY, STOP)]
    assert whole == halves
    assert {type(event) for event in whole} == {Departure, Arrival}


def test_nothing_happens_in_an_empty_stretch(scored: pd.DataFrame) -> None:
    assert list(events(scored, START, START)) == []


def test_a_replay_logs_what_writing_at_once_does_and_adds_the_latency(
    tmp_path: Path, scored: pd.DataFrame, model: DelayModel, written: list[dict[str, Any]]
) -> None:
    run = replay(tmp_path, (scored, model), speed=1e9, start=START, stop=STOP)
    replayed = records(tmp_path)
    predictions = of_kind("prediction", replayed)
    latencies = [record.pop("latency_seconds") for record in predictions if "error" not in record]
    assert all(0 < latency < 10 for latency in latencies)
    assert {record.pop("weight") for record in predictions} == {1.0}
    by_id = {record["id"]: record for record in predictions}
    assert by_id == {record["id"]: record for record in of_kind("prediction", written)}
    assert of_kind("outcome", replayed) == of_kind("outcome", written)
    assert run.predictions == len(predictions)
    counts = of_kind("counts", replayed)
    assert sum(record["requests"] for record in counts) == len(predictions)
    assert sum(record["errors"].get(REFUSED, 0) for record in counts) == len(predictions) - len(latencies)


def test_a_replay_takes_no_less_than_its_speed_asks_for(
    tmp_path: Path, scored: pd.DataFrame, model: DelayModel
) -> None:
    began = time.monotonic()
    run = replay(tmp_path, (scored, model), speed=DAY, start=START, stop=START + DAY)
    first = next(iter(events(scored, START, STOP))).ts
    assert time.monotonic() - began >= (run.ts - first) / DAY - 0.02  # what is due within a tick is not waited for


def test_a_stopped_replay_returns_and_its_log_keeps_what_was_logged(
    tmp_path: Path, scored: pd.DataFrame, model: DelayModel
) -> None:
    with open_log(tmp_path) as log:
        run = Replay(log, model, speed=DAY)
        thread = threading.Thread(target=run.run, args=(events(scored, START, STOP),))
        thread.start()
        while not run.predictions:
            time.sleep(0.01)
        run.stop()
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert len(of_kind("prediction", records(tmp_path))) == run.predictions
    assert run.ts < STOP - DAY


def test_the_newest_time_is_that_of_the_last_whole_prediction_or_outcome(tmp_path: Path) -> None:
    assert newest_time(tmp_path) is None
    lines = ['{"kind":"outcome","ts":1.0}', '{"kind":"prediction","ts":7.5}', '{"kind":"counts","ts":99.0}']
    (tmp_path / "a.ndjson").write_text("\n".join(lines) + '\n{"kind":"prediction","ts":8')
    (tmp_path / "b.ndjson").write_text('{"kind":"prediction","ts":3.0}\n')
    (tmp_path / "c.ndjson").write_text("")
    assert newest_time(tmp_path) == 7.5
