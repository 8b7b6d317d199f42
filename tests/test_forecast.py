"""The forecast bounds the series that a configuration really makes, and not by much."""

import json

import pyarrow as pa
import pytest

from exporter.baseline import Baseline
from exporter.collector import series_of
from exporter.config import Model, parse_config
from exporter.forecast import EXPORTER_SERIES, forecast_series
from exporter.measures import Past, Scope
from exporter.monitor import Monitor
from exporter.reference import ReferenceData, build_baseline
from exporter.snapshot import take_snapshot
from tests.strategies import Counting, Row, binary_rows, model_of

YAML = """
log: [{path: logs/*.ndjson}]
evaluation: {windows: [1h, 1d, 7d]}
models:
  - {name: m, task: TASK, baseline: m.json, drift: {methods: [METHODS], periods: [previous, last_week]}SEGMENTS}
"""


def rows_of(task: str, features: int) -> list[Row]:
    rows = binary_rows(1, 400)
    for row in rows:
        row["features"] = {f"{name}{k}": value for k in range(features) for name, value in row["features"].items()}
    if task == "binary":
        return rows
    return [{**row, "label": said, "prediction": said} for row in rows
            if (said := "abc"[row["label"]] if task == "multiclass" else row["score"] * 3)]  # fmt: skip


def real(model: Model, baseline: Baseline, rows: list[Row], monitor: Monitor) -> int:
    profile = Counting.of(model, baseline).of_rows(rows)
    windows = dict.fromkeys(monitor.windows, profile)
    pasts = {str(period): Past(profile, complete=True) for period in model.drift.periods}
    errors = {"timeout": 1.0, "oom": 1.0}
    scope = Scope(model, "v", monitor.config.costs, windows, profile, errors, windows, pasts, windows, windows)
    samples = [*take_snapshot([scope], 0.0, lambda: 0.0).samples, *monitor.info()]
    return sum(map(series_of, samples)) - 1  # which baseline is in force is among the exporter's own


METHODS = {
    "default": ["psi", "js", "ks", "chi2"],
    "every": ["psi", "js", "ks", "chi2", "hellinger", "tv", "wasserstein"],
    "one": ["psi"],
}


@pytest.mark.parametrize("features", [1, 10])
@pytest.mark.parametrize("methods", METHODS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_forecast_is_an_upper_bound_close_to_the_real_number(task: str, methods: str, features: int) -> None:
    model, rows = (
        model_of(task, drift={"methods": METHODS[methods], "periods": ["previous", "last_week"]}),
        rows_of(task, features),
    )
    data = ReferenceData(pa.Table.from_pylist([{**row, "ts": 3_600.0 * k} for k, row in enumerate(rows)]), "r", "d")
    baseline = build_baseline(model, data, 0.0, windows=[3_600, 86_400, 7 * 86_400])
    assert set(baseline.usual) == {3_600, 86_400, 7 * 86_400}
    config = parse_config(
        YAML.replace("TASK", task).replace("METHODS", ", ".join(METHODS[methods])).replace("SEGMENTS", "")
    )
    monitor = Monitor(config, {"m": baseline})
    exact, forecast = real(model, baseline, rows, monitor), forecast_series(monitor) - EXPORTER_SERIES
    assert exact <= forecast <= 1.25 * exact


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_forecast_counts_every_value_of_a_segment(task: str) -> None:
    segments = [{"name": "plan", "max_values": 2, "features": ["x0", "c0"]}]
    drift = {"methods": ["psi", "ks"], "min_rows": 20, "periods": ["previous", "last_week"]}
    model = model_of(task, segments=segments, drift=drift)
    rows = [{**row, "segments": {"plan": (None, "a", "b", "c")[k % 4]}} for k, row in enumerate(rows_of(task, 1))]
    baseline = build_baseline(model, ReferenceData(pa.Table.from_pylist(rows), "r", "d"), 0.0)
    yaml = (
        YAML.replace("TASK", task)
        .replace("METHODS", "psi, ks")
        .replace("SEGMENTS", f", segments: {json.dumps(segments)}")
    )
    monitor = Monitor(parse_config(yaml), {"m": baseline})
    exact, forecast = real(model, baseline, rows, monitor), forecast_series(monitor) - EXPORTER_SERIES
    counts = {part: numbers for part, numbers in baseline.counts.items() if not part.startswith("segment:")}
    plain = baseline.model_copy(update={"segments": (), "counts": counts})
    without = forecast_series(Monitor(monitor.config, {"m": plain}))
    assert exact <= forecast <= 1.25 * exact
    assert forecast + EXPORTER_SERIES - without >= 4 * 3 * (3 + 2 + 2)
