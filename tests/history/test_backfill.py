"""Backfill says of every past instant what evaluation at that instant says, and what serving exported then."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from exporter import measures, names
from exporter.collector import render
from exporter.config import load_config
from exporter.errors import ConfigError, DataError
from exporter.evaluate import evaluate
from exporter.history.backfill import backfill, snapshots
from exporter.history.openmetrics import Lines, block_length
from exporter.history.replay import Grid
from exporter.measures import Histogram, Sample
from exporter.monitor import Monitor
from exporter.service import Exporter
from exporter.snapshot import Snapshot
from tests.world import CONFIG, START, Record, counts, monitor, outcome, prediction, text, values, world

HOUR, DAY = 3_600.0, 86_400.0
LATEST = START + 30 * DAY
# What the process tells of itself; no part of the past.
OWN = {
    names.STATISTIC_DURATION_SECONDS, names.RECORDS_TOTAL, names.REJECTED_RECORDS_TOTAL, names.LOG_BYTES_TOTAL,
}  # fmt: skip
PERIODS = CONFIG.replace("drift: {min_rows: 5}", "drift: {min_rows: 5, window: 1d, periods: [previous]}")
MATURED = CONFIG.replace("drift: {min_rows: 5}", "drift: {min_rows: 5}, outcomes: {maturity: 3h}")
SETTINGS = [CONFIG, PERIODS, MATURED, CONFIG.replace("1h, 1d, 7d", "5m, 1d, 7d")]

LOG: list[Record] = [
    *(outcome(number) for number in range(3, 300, 14)),  # before their predictions in the file, after them in time
    *(prediction(number, version=f"v{number // 200}") for number in range(400)),
    *(prediction(number, id=None, ts=START + DAY * (number % 9)) for number in range(60)),
    *(prediction(number, model="price", prediction=40.0 + number, score=None) for number in range(80)),
    *(outcome(number, ts=START + 30.0 * number + 600.0 * number) for number in range(0, 300, 2)),
    *(outcome(number, ts=START - DAY) for number in range(1, 60, 14)),  # by clocks that differ
    *(outcome(number, model="price", label=42.0 + number) for number in range(50)),
    *(prediction(number, error=("Timeout", "Refused")[number % 2]) for number in range(400, 900, 50)),
    *(prediction(number, id=f"labelled-{number}", label=1) for number in range(900, 930)),
    *(prediction(number, id=f"late-{number}", ts=START + 8 * DAY - 60 * number) for number in range(40)),
    counts(100),
    counts(600, version="v1", latency_buckets={"0.005": 7, "+Inf": 10}),
    prediction(7),
    prediction(1, model="nobody"),
    *(outcome(number, label=0, ts=START + 630.0 * number + 5 * HOUR) for number in range(0, 300, 6)),  # corrected
]


@pytest.fixture
def log(tmp_path: Path) -> list[str]:
    lines = text(LOG).splitlines(keepends=True)
    (tmp_path / "logs").mkdir()
    for number in range(3):  # corrections apart: evaluation counts none where it reads both at once
        (tmp_path / f"logs/{number}.ndjson").write_bytes(b"".join(lines[number * 425 : (number + 1) * 425]))
    return [str(tmp_path / "logs/*.ndjson")]


def replayed(monitor: Monitor, log: list[str], start: float, end: float, step: float) -> list[Snapshot]:
    return list(snapshots(monitor, log, Grid.of(monitor, start, end, step), LATEST))


def past(samples: Iterable[Sample]) -> dict[tuple[str, ...], Any]:
    """What the samples say of the past, by series; sums are rounded, whose order may differ."""
    found: dict[tuple[str, ...], Any] = {}
    for sample in (sample for sample in samples if sample.family not in OWN):
        key = (sample.family.name, *sample.labels)
        if isinstance(sample.value, Histogram):
            found[*key, "sum"] = pytest.approx(sample.value.total, 1e-9)
            found[*key, "buckets"] = (sample.value.bounds, sample.value.cumulative)
        else:
            found[key] = pytest.approx(sample.value, 1e-9, 1e-12)
    return found


def plain(samples: Iterable[Sample]) -> dict[tuple[str, ...], Any]:
    """The same, as it is."""
    return {key: getattr(value, "expected", value) for key, value in past(samples).items()}


@pytest.mark.thorough
@pytest.mark.parametrize("settings", SETTINGS)
def test_every_instant_equals_evaluation_at_it(tmp_path: Path, log: list[str], settings: str) -> None:
    small = monitor(tmp_path, settings)
    instants = replayed(small, log, START + 100, START + 9 * DAY, 20.5 * HOUR)
    assert len(instants) == 11
    for snapshot in instants:
        expected = evaluate(small, log, snapshot.at, LATEST).snapshot()
        assert past(expected.samples) == plain(snapshot.samples), snapshot.at


def test_an_outcome_counts_from_the_instant_it_was_known(tmp_path: Path) -> None:
    small = monitor(tmp_path)
    known = START + 5 * HOUR
    (tmp_path / "a.ndjson").write_bytes(text([prediction(0), outcome(0, ts=known), prediction(800)]))
    found = replayed(small, [str(tmp_path / "a.ndjson")], START, START + 8 * HOUR, HOUR)
    labelled = [values(of.samples)[names.LABELLED_PREDICTIONS_TOTAL.name, "churn", "v1"] for of in found]
    assert labelled == [0, 0, 0, 0, 0, 1, 1, 1, 1]


def test_a_label_counts_until_it_was_corrected(tmp_path: Path) -> None:
    small = monitor(tmp_path)
    labels = [outcome(0, label=label, ts=START + hour * HOUR) for hour, label in ((4, 0), (2, 1))]
    (tmp_path / "a.ndjson").write_bytes(text([prediction(0, prediction=1), *labels, prediction(800)]))
    found = replayed(small, [str(tmp_path / "a.ndjson")], START + HOUR, START + 5 * HOUR, HOUR)
    right = [values(of.samples).get((names.MODEL_ACCURACY.name, "churn", "v1", "1d")) for of in found]
    assert right == [None, 1, 1, 0, 0]


def test_it_equals_what_serving_exported(tmp_path: Path) -> None:
    path = world(tmp_path)
    hours = [[prediction(number) for number in range(120 * hour, 120 * (hour + 1) + 1)] for hour in range(3)]
    exporter, exported = Exporter(path), []
    for number, records in enumerate(hours):
        (tmp_path / f"logs/{number}.ndjson").write_bytes(text([*records, *([outcome(3)] if number == 1 else [])]))
        exporter._read()
        exported.append([*exporter._monitor.info(), *exporter._take()[0].samples])
    exporter.stop()
    small = Monitor.load(load_config(path), str(path))
    found = replayed(small, [str(tmp_path / "logs")], START + HOUR, START + 3 * HOUR, HOUR)
    for then, snapshot in zip(exported, found, strict=True):
        now = plain(of for of in snapshot.samples if of.family.row is not names.Row.EXPORTER)
        assert past(of for of in then if of.family.row is not names.Row.EXPORTER) == now


def test_instants_before_the_first_record_say_nothing(tmp_path: Path, log: list[str]) -> None:
    small = monitor(tmp_path)
    assert [of.at for of in replayed(small, log, START - 3 * DAY, START, DAY)] == [START - DAY, START]


def test_a_statistic_that_raises_costs_itself_alone(
    tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: measures.Scope) -> Any:
        raise ZeroDivisionError

    monkeypatch.setitem(measures.MEASURES, "cost", fails)
    small = monitor(tmp_path)
    told: list[int] = []
    (tmp_path / "out").mkdir()
    grid = Grid.of(small, START, START + DAY, 6 * HOUR)
    failures = backfill(snapshots(small, log, grid, LATEST), Lines(tmp_path / "out", {}, 6 * HOUR), told.append)
    assert {(of.model, of.statistic) for of in failures} == {("churn", "cost"), ("price", "cost")}
    assert told == [1] * len(grid.instants)


@pytest.mark.parametrize(("start", "end", "step"), [(START, START - 1, HOUR), (0, START, 60)])
def test_too_few_or_too_many_instants_are_refused(tmp_path: Path, start: float, end: float, step: float) -> None:
    with pytest.raises(ConfigError, match="instants; give a stretch and a step"):
        Grid.of(monitor(tmp_path), start, end, step)


def test_a_log_without_a_record_is_told(tmp_path: Path) -> None:
    small = monitor(tmp_path)
    with pytest.raises(DataError, match="no file at"):
        replayed(small, [str(tmp_path / "nothing")], START, START, 1)
    (tmp_path / "a.ndjson").write_bytes(text([prediction(10)]))
    with pytest.raises(DataError, match=r"no usable record .* up to --end"):
        replayed(small, [str(tmp_path / "a.ndjson")], START, START, 1)


def test_series_have_the_names_and_labels_of_the_live_ones(tmp_path: Path, log: list[str]) -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

    def series(exposition: str) -> dict[Any, Any]:
        return {
            (sample.name, frozenset(sample.labels.items()), of.type): sample.value
            for of in parsed(exposition)  # type: ignore[no-untyped-call]  # the library leaves it untyped
            for sample in of.samples
        }

    small = monitor(tmp_path)
    [snapshot] = replayed(small, log, START + DAY, START + DAY, 1)
    (tmp_path / "out").mkdir()
    lines = Lines(tmp_path / "out", {}, HOUR)
    lines.write(snapshot.at, snapshot.samples)
    lines.flush()
    [file] = lines.files
    assert file.read_text().endswith("# EOF\n")
    live = series(render(snapshot.samples)[1].decode())
    assert series(file.read_text()) == live
    assert lines.samples == len(live)


def test_labels_are_escaped_and_files_span_one_block(tmp_path: Path) -> None:
    lines = Lines(tmp_path, {"job": 'a "b"\\c\nd'}, 60)
    for minute in range(0, 180, 60):
        lines.write(minute * 60.0, [Sample(names.SERIES, (), float(minute))])
    lines.write(180 * 60.0, [Sample(names.MODEL_OUTCOME_DELAY_SECONDS, ("m", "v"), Histogram((1.0,), (2.0, 3.0), 9.0))])
    lines.flush()
    first, second = (file.read_text().splitlines() for file in lines.files)
    assert first[2:4] == [
        rf'{names.SERIES.name}{{job="a \"b\"\\c\nd"}} {value} {at}'
        for value, at in (("0.0", "0.0"), ("60.0", "3600.0"))
    ]
    assert [line.rpartition("} ")[2] for line in second[2:6]] == [
        "2.0 10800.0", "3.0 10800.0", "3.0 10800.0", "9.0 10800.0"
    ]  # fmt: skip


@pytest.mark.parametrize(("step", "hours"), [(60, 2), (300, 6), (HOUR, 162), (DAY, 162)])
def test_blocks_last_two_hours_times_a_power_of_three(step: float, hours: int) -> None:
    assert block_length(step) == hours * HOUR
