"""Segments through the flow: the same numbers however the log is read, outcomes with their prediction, exactly once."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter import names
from exporter.baseline import Baseline
from exporter.config import load_config
from exporter.errors import ConfigError, DataError
from exporter.evaluate import evaluate
from exporter.monitor import Monitor
from exporter.reference import ReferenceData, build_baseline
from exporter.service import Exporter
from exporter.store import Store
from tests.exporters import series, step, write
from tests.test_evaluate import LATEST, assert_alike, evaluated, served, table
from tests.world import START, Record, outcome, prediction, text, world

SEGMENTS = "segments: [{name: plan, values: [free, pro]}, colour], "
CONFIG = """
state: state
log: [{path: "logs/*"}]
evaluation: {interval: 1s, windows: [1h, 1d, 7d], clock: log}
models:
  - {name: churn, task: binary, baseline: churn.json, SEGMENTSdrift: {min_rows: 5}}
limits: {versions: 3, retention: 20d}
"""
HOSTILE = 'a "new"\\\nplan' + "x" * 1_000


def reference(rows: int = 300, **columns: Any) -> ReferenceData:
    made = {
        "ts": [START - 60.0 * row for row in range(rows)],
        "score": [(row * 37 % 97 + 1) / 100 for row in range(rows)],
        "label": [int(row % 3 == 0) for row in range(rows)],
        "features.age": [20.0 + row % 50 for row in range(rows)],
        "features.colour": [("red", "green", "blue")[row % 3] for row in range(rows)],
    }
    return ReferenceData(pa.table(made | columns), "r.parquet", "0")


def monitored(folder: Path, segments: str = SEGMENTS, built_with: str = SEGMENTS, **columns: Any) -> Monitor:
    """The world of `folder` with a baseline of its own, built with the segments `built_with`."""
    path = world(folder, CONFIG.replace("SEGMENTS", built_with))
    baseline = build_baseline(load_config(path).models[0], reference(**columns), 0.0)
    path.write_text(CONFIG.replace("SEGMENTS", segments))
    (folder / "churn.json").write_text(baseline.to_json())
    return Monitor.load(load_config(path), str(path))


def of_plan(number: int, **fields: Any) -> Record:
    plan = ({"plan": "free"}, {"plan": "pro", "colour": "blue"}, {"plan": HOSTILE}, {})[number % 4]
    return prediction(number, segments=plan, **fields)


LOG: list[Record] = [
    *(of_plan(number, version=f"v{number // 200}") for number in range(400)),
    *(of_plan(number, id=f"late-{number}", ts=START + 8 * 86_400 - 60 * number) for number in range(60)),
    *(outcome(number) for number in range(0, 300, 2)),
    *(outcome(number, id=f"late-{number}", ts=START + 8 * 86_400) for number in range(0, 60, 3)),
    of_plan(7), outcome(4), of_plan(401, error="Timeout"),
]  # fmt: skip


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    monitored(tmp_path)
    one = Exporter(tmp_path / "prediction-exporter.yml")
    yield one
    one.stop()


def of_plans(found: dict[tuple[str, ...], float], family: str, window: str = "7d") -> dict[str, float]:
    """Values of a family by plan, over all versions."""
    held: dict[str, float] = {}
    for (name, *labels), value in found.items():
        if name == family and labels[2:4] == ["plan", labels[3]] and labels[-1] == window:
            held[labels[3]] = held.get(labels[3], 0.0) + value
    return held


@pytest.mark.parametrize("way", ["lines", "bulk"])
def test_serving_and_evaluating_give_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "bulk":
        monkeypatch.setattr("exporter.ingest.blocks.BULK_FROM", 1)
        monkeypatch.setattr("exporter.evaluate.BULK_FROM", 1)
    monkeypatch.setattr("time.time", lambda: LATEST - 300)  # limits.future is five minutes
    monitor = monitored(tmp_path)
    write(tmp_path, text(LOG[:300]), "a.ndjson")
    write(tmp_path, text(LOG[300:]), "b.ndjson")
    ours, theirs = served(tmp_path), evaluated(evaluate(monitor, [str(tmp_path / "logs")], None, LATEST))
    assert {key for key in theirs if key[0].startswith("segment")} <= ours.keys()
    assert_alike(ours, theirs)


def test_parquet_and_ndjson_give_the_same_numbers(tmp_path: Path) -> None:
    monitor = monitored(tmp_path)
    records = [*(of_plan(number) for number in range(300)), *(outcome(number) for number in range(100))]
    plans = [record.get("segments", {}) for record in records]
    (tmp_path / "log.ndjson").write_bytes(text(records))
    for kind, columns in {
        "flat": {f"segments.{name}": [plan.get(name) for plan in plans] for name in ("plan", "colour")},
        "struct": {"segments": plans},
    }.items():
        pq.write_table(table(records, **columns), tmp_path / f"{kind}.parquet", row_group_size=70)
    one, *others = (evaluated(evaluate(monitor, [str(tmp_path / name)], None, LATEST))
                    for name in ("log.ndjson", "flat.parquet", "struct.parquet"))  # fmt: skip
    for other in others:
        assert one.keys() == other.keys()
        del other[names.LOG_BYTES_TOTAL.name, ()]
        assert_alike(one, other)


def test_values_come_out_bounded_and_escaped(tmp_path: Path, exporter: Exporter) -> None:
    write(tmp_path, text(LOG))
    step(exporter)
    plans = of_plans(series(exporter), names.SEGMENT_PREDICTIONS_IN_WINDOW.name)
    assert plans.keys() == {"free", "pro", "other", "missing"}
    assert HOSTILE.encode()[:20] not in (exporter.snapshot() or pytest.fail("no snapshot")).text


def test_a_listed_value_of_any_text_is_a_label(tmp_path: Path) -> None:
    hostile = 'a \\"new\\"\\\\\\n{plan}'
    monitor = monitored(tmp_path, *[f'segments: [{{name: plan, values: ["{hostile}"]}}], '] * 2)
    write(tmp_path, text(prediction(n, segments={"plan": 'a "new"\\\n{plan}'}) for n in range(20)))
    found = evaluated(evaluate(monitor, [str(tmp_path / "logs")], None, LATEST))
    told = {dict(key[1])["value"] for key in found if key[0] == names.SEGMENT_PREDICTIONS_IN_WINDOW.name}
    assert told == {'a "new"\\\n{plan}'}


def test_late_outcomes_reach_the_segment_of_their_prediction_after_a_restart(tmp_path: Path) -> None:
    monitored(tmp_path)
    write(tmp_path, text(of_plan(number) for number in range(40)))
    first = Exporter(tmp_path / "prediction-exporter.yml")
    step(first)
    assert set(of_plans(series(first), names.SEGMENT_OUTCOME_COVERAGE_RATIO.name).values()) == {0.0}
    first.stop()
    write(tmp_path, text(outcome(number) for number in range(1, 40, 8)))  # of number 1, 9, 17, ...: all on the pro plan
    second = Exporter(tmp_path / "prediction-exporter.yml")
    step(second)
    found = series(second)
    second.stop()
    assert of_plans(found, names.SEGMENT_OUTCOME_COVERAGE_RATIO.name) == {
        "free": 0, "pro": 0.5, "other": 0, "missing": 0,
    }  # fmt: skip
    assert of_plans(found, names.SEGMENT_PREDICTIONS_IN_WINDOW.name) == dict.fromkeys(
        ("free", "pro", "other", "missing"), 10
    )


def test_a_commit_that_fails_counts_no_outcome_and_its_repetition_counts_it_once(
    tmp_path: Path, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, text(of_plan(number) for number in range(40)))
    step(exporter)
    write(tmp_path, text([*(outcome(number) for number in range(2, 40, 4)), of_plan(42), outcome(42)]))
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_write_small", lambda *_: 1 / 0)
        step(exporter)
    step(exporter)
    found = series(exporter)
    assert of_plans(found, names.SEGMENT_PREDICTIONS_IN_WINDOW.name)["other"] == 11
    assert of_plans(found, names.SEGMENT_OUTCOME_COVERAGE_RATIO.name)["other"] == 1


def test_hours_hold_what_their_buckets_held(tmp_path: Path, exporter: Exporter) -> None:
    records = [of_plan(number, ts=START + 600.0 * number, id=f"i-{number}") for number in range(200)]
    write(tmp_path, text(records[:100]))
    step(exporter)
    write(tmp_path, text([*records[100:], *(outcome(number, id=f"i-{number}", ts=START + 3e5) for number in range(80)),
                          of_plan(0, id="new", ts=START + 4 * 86_400)]))  # fmt: skip
    step(exporter)
    assert exporter._store.fine > START
    found = of_plans(series(exporter), names.SEGMENT_PREDICTIONS_IN_WINDOW.name)
    assert found == {"free": 51, "pro": 50, "other": 50, "missing": 50}
    write(tmp_path, text([of_plan(1, id="newest", ts=START + 30 * 86_400)]))
    step(exporter)
    exporter._cleaned = 0.0
    step(exporter)
    assert of_plans(series(exporter), names.SEGMENT_PREDICTIONS_IN_WINDOW.name) == {"pro": 1}


def test_segments_that_the_baseline_lacks_are_told_with_the_remedy(tmp_path: Path) -> None:
    for others in ("", "segments: [colour], ", "segments: [{name: plan, values: [free]}, colour], "):
        with pytest.raises(ConfigError, match="built with other segments than the configuration has; build it again"):
            monitored(tmp_path, segments=others)
    with pytest.raises(ConfigError, match="other segments"):
        monitored(tmp_path, "segments: [{name: colour, max_values: 2}], ", "segments: [colour], ")


def test_features_that_the_baseline_does_not_tell_by_segment_are_told_with_the_remedy(tmp_path: Path) -> None:
    aged = "segments: [{name: colour, features: [age]}], "
    with pytest.raises(ConfigError, match="built with other segments than the configuration has; build it again"):
        monitored(tmp_path, aged, "segments: [colour], ")
    unknown = aged.replace("age]", "age, siez]")
    with pytest.raises(DataError, match="no feature 'siez' to tell by segment 'colour'; it has age, colour"):
        monitored(tmp_path, unknown, unknown)
    baseline = json.loads(monitored(tmp_path, aged, aged).baselines["churn"].to_json())
    baseline["segments"][0]["features"] = ["siez"]
    with pytest.raises(ConfigError, match="not a usable baseline"):
        Baseline.from_json(json.dumps(baseline), "edited")


def test_features_by_segment_change_the_fingerprint_and_their_absence_does_not(tmp_path: Path) -> None:
    colour = "segments: [colour], "
    baseline = monitored(tmp_path, colour, colour).baselines["churn"]
    before = baseline.model_dump(mode="json")
    assert before["segments"][0].pop("features") == []
    content = {name: value for name, value in before.items() if name not in ("provenance", "usual", "spreads")}
    assert baseline.fingerprint == hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    assert Baseline.from_json(json.dumps(before), "old").fingerprint == baseline.fingerprint
    aged = "segments: [{name: colour, features: [age]}], "
    assert monitored(tmp_path, aged, aged).baselines["churn"].fingerprint != baseline.fingerprint


def test_a_reference_without_the_values_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"add a column segments.plan or a categorical feature .* or list its values"):
        monitored(tmp_path, "segments: [plan], ", "segments: [plan], ")
    with pytest.raises(DataError, match="nothing to take segment 'age' from"):  # a number
        monitored(tmp_path, "segments: [age], ", "segments: [age], ")


def test_the_most_frequent_values_of_the_reference_are_told_apart(tmp_path: Path) -> None:
    plans = ["other", "", "y" * 200, *["a"] * 150, *["b"] * 100, *["c"] * 47]
    two = "segments: [{name: plan, max_values: 2}], "
    monitor = monitored(tmp_path, two, two, **{"segments.plan": plans})
    [segment] = monitor.baselines["churn"].segments
    assert segment.values == ("a", "b")
    assert monitor.baselines["churn"].counts["segment:rows:plan"][::2] == (150, 100, 50, 0)


def test_a_baseline_without_segments_has_the_fingerprint_that_it_had_before_there_were_any(tmp_path: Path) -> None:
    baseline = monitored(tmp_path, "", "").baselines["churn"]
    before = {name: value for name, value in baseline.model_dump(mode="json").items() if name != "segments"}
    content = {name: value for name, value in before.items() if name not in ("provenance", "usual", "spreads")}
    assert baseline.fingerprint == hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    assert Baseline.from_json(json.dumps(before), "old").fingerprint == baseline.fingerprint
    assert monitored(tmp_path).baselines["churn"].fingerprint != baseline.fingerprint
