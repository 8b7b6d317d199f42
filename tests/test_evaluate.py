"""One-shot evaluation: the same numbers as serving, at any instant, from any mixture of files."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import measures, names
from exporter.collector import render
from exporter.errors import DataError
from exporter.evaluate import Evaluation, evaluate
from exporter.ingest import blocks
from exporter.monitor import Monitor
from exporter.names import Family
from exporter.service import Exporter
from tests.world import CONFIG, START, Record, counts, monitor, outcome, prediction, text, values, world

LATEST = START + 30 * 86_400
# About the process and the moment, not about the log.
OWN = (names.STATISTIC_DURATION_SECONDS.name,)
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]

LOG: list[Record] = [
    *(prediction(number, version=f"v{number // 200}") for number in range(400)),
    *(prediction(number, id=None, ts=START + 86_400 * (number % 9)) for number in range(60)),
    *(prediction(number, model="price", prediction=40.0 + number, score=None) for number in range(80)),
    *(outcome(number) for number in range(0, 300, 2)),
    *(outcome(number, model="price", label=42.0 + number) for number in range(50)),
    *(prediction(number, error="Timeout") for number in range(400, 410)),
    *(prediction(number, id=f"late-{number}", ts=START + 8 * 86_400 - 60 * number) for number in range(40)),
    counts(100),
    counts(300, version="v1"),
    prediction(7),
    outcome(4),
    prediction(1, model="nobody"),
    prediction(1, ts=LATEST + 1, id="ahead"),
]


@pytest.fixture
def small(tmp_path: Path) -> Monitor:
    return monitor(tmp_path)


def series(exposition: bytes) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        if family.name not in OWN
        for sample in family.samples
    }


def evaluated(evaluation: Evaluation) -> Series:
    snapshot = evaluation.snapshot()
    assert snapshot.failures == ()
    return series(render(snapshot.samples)[0])


def served(folder: Path) -> Series:
    exporter = Exporter(folder / "prediction-exporter.yml")
    exporter._read()
    exporter._evaluate()
    exporter.stop()
    snapshot = exporter.snapshot()
    assert snapshot is not None
    return series(snapshot.text)


def assert_alike(one: Series, other: Series) -> None:
    shared = one.keys() & other.keys()
    assert len(shared) > 100
    assert {key: one[key] for key in shared} == pytest.approx({key: other[key] for key in shared}, rel=1e-9, abs=1e-9)


def write(folder: Path, records: Sequence[Record]) -> None:
    """The records over three files, one of them packed."""
    third = len(records) // 3
    (folder / "logs/b.ndjson").write_bytes(text(records[:third]))
    (folder / "logs/c.ndjson.gz").write_bytes(gzip.compress(text(records[third : 2 * third])))
    (folder / "logs/a.ndjson").write_bytes(text(records[2 * third :]) + b"broken\n")


@pytest.mark.parametrize("way", ["lines", "bulk"])
def test_serving_and_evaluating_give_the_same_numbers(
    tmp_path: Path, small: Monitor, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "bulk":
        monkeypatch.setattr(blocks, "BULK_FROM", 1)
        monkeypatch.setattr("exporter.evaluate.BULK_FROM", 1)
    monkeypatch.setattr("time.time", lambda: LATEST - 300)  # limits.future is five minutes
    write(tmp_path, LOG)
    ours, theirs = served(tmp_path), evaluated(evaluate(small, [str(tmp_path / "logs")], None, LATEST))
    own = {names.BUILD_INFO.name, names.SERIES.name, names.LAG_BYTES.name, names.STATE_BYTES.name}
    beyond = {name for name, _ in ours.keys() - theirs.keys()}
    assert own <= beyond
    money = {names.MONITORING_COST_USD.name, names.SAMPLING_SAVINGS_USD.name, names.SAMPLING_SAVINGS_BYTES.name}
    assert {name for name in beyond if not name.startswith("prediction_exporter_")} == money
    assert theirs.keys() <= ours.keys()
    assert_alike(ours, theirs)
    accepted = theirs[names.RECORDS_TOTAL.name, (("kind", "prediction"),)]
    assert accepted == 400 + 60 + 80 + 10 + 40
    rejected = {dict(labels)["reason"]: value for (name, labels), value in theirs.items()
                if name == names.REJECTED_RECORDS_TOTAL.name and value}  # fmt: skip
    assert rejected == {
        "malformed": 1, "duplicate_id": 1, "duplicate_outcome": 1, "unknown_model": 1, "future_timestamp": 1
    }  # fmt: skip


PERIODS = CONFIG.replace("min_rows: 5", "min_rows: 5, periods: [previous, last_week]")


@pytest.mark.parametrize("older", [5, 0])
def test_periods_are_alike_too_and_say_when_the_history_does_not_cover_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: int
) -> None:
    monkeypatch.setattr("time.time", lambda: LATEST - 300)
    before = [prediction(number, id=None, ts=START - 60, version="v9") for number in range(older)]
    write(tmp_path := world(tmp_path, PERIODS).parent, [*LOG, *before])
    found = evaluate(monitor(tmp_path, PERIODS), [str(tmp_path / "logs")], None, LATEST)
    assert found.at == START + 8 * 86_400
    ours, theirs = served(tmp_path), evaluated(found)
    kinds = (names.PERIOD_ROWS, names.PERIOD_COMPLETE, names.WINDOW_COMPLETE, names.PREDICTION_RECENT_DRIFT_SCORE,
             names.FEATURE_RECENT_DRIFT_SCORE)  # fmt: skip
    one, other = ({key: value for key, value in side.items() if key[0] in {kind.name for kind in kinds}}
                  for side in (ours, theirs))  # fmt: skip
    assert one == pytest.approx(other, rel=1e-12)

    def of(family: Family, period: str) -> float | None:
        labels = {"model_name": "churn", "model_version": "v0", "window": "1d", "period": period}
        return theirs.get((family.name, tuple(sorted(labels.items()))))

    last_week = [record["ts"] for record in LOG if record["kind"] == "prediction" and record["model"] == "churn"
                 and START <= record["ts"] < START + 86_400]  # fmt: skip
    assert of(names.PERIOD_ROWS, "last_week") == len(last_week) - 1  # one stands in the log twice
    assert of(names.PERIOD_COMPLETE, "last_week") == float(older > 0)
    assert of(names.PERIOD_COMPLETE, "previous") == 1.0
    scores = {dict(key[1])["period"] for key in theirs if key[0] == names.FEATURE_RECENT_DRIFT_SCORE.name}
    assert scores == ({"previous", "last_week"} if older else {"previous"})


def test_the_window_ends_at_the_newest_record(tmp_path: Path, small: Monitor) -> None:
    write(tmp_path, LOG)
    assert evaluate(small, [str(tmp_path / "logs")], None, LATEST).at == START + 8 * 86_400


@pytest.mark.parametrize("day", [0.01, 0.5, 1, 4.37])
def test_records_after_the_instant_are_as_if_they_were_not_there(tmp_path: Path, small: Monitor, day: float) -> None:
    at = START + day * 86_400
    write(tmp_path, LOG)
    whole = evaluated(evaluate(small, [str(tmp_path / "logs")], at, LATEST))
    write(tmp_path, [record for record in LOG if record["ts"] <= at or record["ts"] > LATEST])
    part = evaluated(evaluate(small, [str(tmp_path / "logs")], at, LATEST))
    size = (names.LOG_BYTES_TOTAL.name, ())
    assert whole.pop(size) > part.pop(size)
    assert whole == pytest.approx(part, rel=1e-9, abs=1e-9)


def test_content_that_is_there_twice_counts_once(
    tmp_path: Path, small: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = text(prediction(number, id=None) for number in range(100))
    for bulk_from in (1, 10**9):
        monkeypatch.setattr("exporter.evaluate.BULK_FROM", bulk_from)
        for name in ("a.ndjson", "b.ndjson", "c.ndjson.gz"):
            (tmp_path / "logs" / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        assert evaluate(small, [str(tmp_path / "logs")], None, LATEST).delta.accepted["prediction"] == 100


@pytest.mark.parametrize("last", [prediction(0, id="old"), {"kind": "prediction"}, prediction(1, ts=LATEST + 1)])
def test_a_last_line_that_is_not_the_newest_changes_no_number(tmp_path: Path, small: Monitor, last: Record) -> None:
    log = tmp_path / "one.ndjson"
    log.write_bytes(text([last, *LOG, prediction(0, id="newest", ts=START + 9 * 86_400)]))
    in_order = evaluate(small, [str(log)], None, LATEST)
    log.write_bytes(text([prediction(0, id="newest", ts=START + 9 * 86_400), *LOG, last]))
    misled = evaluate(small, [str(log)], None, LATEST)
    assert misled.at == in_order.at == START + 9 * 86_400
    assert evaluated(misled) == pytest.approx(evaluated(in_order), rel=1e-12)


def table(records: Sequence[Record], **columns: Any) -> pa.Table:
    made = {
        "kind": [record["kind"] for record in records],
        "ts": [record["ts"] for record in records],
        "model": [record["model"] for record in records],
        "version": [record["version"] for record in records],
        "id": [record["id"] for record in records],
        "score": [record.get("score") for record in records],
        "latency_seconds": [record.get("latency_seconds") for record in records],
        "label": [str(record["label"]) if "label" in record else None for record in records],
        "features.age": [record.get("features", {}).get("age") for record in records],
        "features.colour": [record.get("features", {}).get("colour") for record in records],
    }
    return pa.table(made | columns)


def test_parquet_and_ndjson_give_the_same_numbers(tmp_path: Path, small: Monitor) -> None:
    records = [*(prediction(number) for number in range(300)), *(outcome(number) for number in range(100))]
    (tmp_path / "log.ndjson").write_bytes(text(records))
    pq.write_table(table(records), tmp_path / "log.parquet", row_group_size=70)
    one, other = (evaluated(evaluate(small, [str(tmp_path / f"log.{kind}")], None, LATEST))
                  for kind in ("ndjson", "parquet"))  # fmt: skip
    for found in (one, other):
        del found[names.LOG_BYTES_TOTAL.name, ()]
    assert one.keys() == other.keys()
    assert_alike(one, other)


@pytest.mark.parametrize("odd", [{"ts": LATEST + 1}, {"ts": LATEST - 5, "model": "nobody"}, {"ts": float("nan")}])
def test_a_refused_row_of_parquet_does_not_set_the_clock(tmp_path: Path, small: Monitor, odd: Record) -> None:
    records = [prediction(number) for number in range(100)]
    pq.write_table(table(records), tmp_path / "good.parquet")
    pq.write_table(table([*records, prediction(100, **odd)]), tmp_path / "odd.parquet")
    good, strange = (evaluate(small, [str(tmp_path / f"{name}.parquet")], None, LATEST) for name in ("good", "odd"))
    assert strange.at == good.at == START + 99 * 30
    differing = (names.REJECTED_RECORDS_TOTAL.name, names.LOG_BYTES_TOTAL.name)
    expected, found = evaluated(good), evaluated(strange)
    assert expected.keys() == found.keys()
    assert_alike(expected, {key: value for key, value in found.items() if key[0] not in differing})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.ndjson", b"", "no usable record in .*x.ndjson$"),
        ("x.ndjson", text([prediction(1, model="nobody")]) + b"broken\n", "refused: 1 malformed, 1 unknown_model"),
        ("x.ndjson.gz", gzip.compress(text([prediction(1)]))[:-9], "x.ndjson.gz: cannot be read .*mend or remove it"),
        ("x.ndjson.zst", b"nothing of the kind", "x.ndjson.zst: cannot be read"),
        ("x.parquet", b"PAR1 half", "x.parquet: cannot be read"),
    ],
)
def test_what_cannot_be_read_whole_is_an_error_that_names_it(
    tmp_path: Path, small: Monitor, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        evaluate(small, [str(tmp_path / name)], None, LATEST)


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path, small: Monitor) -> None:
    with pytest.raises(DataError, match=r"no file at .*nothing\*; give files"):
        evaluate(small, [str(tmp_path / "nothing*")], None, LATEST)


def test_an_instant_before_all_records_is_an_error(tmp_path: Path, small: Monitor) -> None:
    write(tmp_path, LOG)
    with pytest.raises(DataError, match="up to that instant"):
        evaluate(small, [str(tmp_path / "logs")], START - 1, LATEST)


def test_the_configured_state_is_not_touched(tmp_path: Path, small: Monitor) -> None:
    write(tmp_path, LOG)
    evaluate(small, [str(tmp_path / "logs")], None, LATEST)
    assert not (tmp_path / "state").exists()


def test_one_statistic_that_raises_costs_itself_alone(
    tmp_path: Path, small: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(measures.MEASURES, "output_drift", broken)
    write(tmp_path, LOG)
    snapshot = evaluate(small, [str(tmp_path / "logs")], None, LATEST).snapshot()
    assert {(failure.model, failure.statistic) for failure in snapshot.failures} == {
        ("churn", "output_drift"),
        ("price", "output_drift"),
    }
    found = values(snapshot.samples)
    assert found[names.STATISTIC_SUCCESS.name, "churn", "output_drift"] == 0
    assert found[names.STATISTIC_SUCCESS.name, "churn", "operations"] == 1
