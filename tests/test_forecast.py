"""The forecast bounds the series that a configuration really makes, and not by much."""

import pyarrow as pa
import pytest

from exporter.baseline import Baseline
from exporter.collector import series_of
from exporter.config import Model, parse_config
from exporter.forecast import EXPORTER_SERIES, forecast_series
from exporter.measures import Scope
from exporter.monitor import Monitor
from exporter.reference import ReferenceData, build_baseline
from exporter.snapshot import take_snapshot
from tests.strategies import Counting, Row, binary_rows, model_of

YAML = """
log: [{path: logs/*.ndjson}]
evaluation: {windows: [1h, 1d, 7d]}
models: [{name: m, task: TASK, baseline: m.json, drift: {methods: [METHODS]}}]
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
    scope = Scope(model, "v", monitor.config.costs, windows, profile, {"timeout": 1.0, "oom": 1.0}, windows, windows)
    return sum(map(series_of, take_snapshot([scope], 0.0, lambda: 0.0).samples))


METHODS = {
    "default": ["psi", "js", "ks", "chi2"],
    "every": ["psi", "js", "ks", "chi2", "hellinger", "tv", "wasserstein"],
    "one": ["psi"],
}


@pytest.mark.parametrize("features", [1, 10])
@pytest.mark.parametrize("methods", METHODS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_forecast_is_an_upper_bound_close_to_the_real_number(task: str, methods: str, features: int) -> None:
    model, rows = model_of(task, drift={"methods": METHODS[methods]}), rows_of(task, features)
    data = ReferenceData(pa.Table.from_pylist([{**row, "ts": 3_600.0 * k} for k, row in enumerate(rows)]), "r", "d")
    baseline = build_baseline(model, data, 0.0, windows=[3_600, 86_400, 7 * 86_400])
    assert set(baseline.usual) == {3_600, 86_400, 7 * 86_400}
    config = parse_config(YAML.replace("TASK", task).replace("METHODS", ", ".join(METHODS[methods])))
    monitor = Monitor(config, {"m": baseline})
    exact, forecast = real(model, baseline, rows, monitor), forecast_series(monitor) - EXPORTER_SERIES
    assert exact <= forecast <= 1.25 * exact
