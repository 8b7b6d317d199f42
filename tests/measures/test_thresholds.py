"""Calibrated thresholds as exported: on a stream that stays as it was, on one that shifts, and where there are none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from exporter import names
from exporter.config import load_config
from exporter.evaluate import evaluate
from exporter.measures import Sample, Scope
from exporter.measures.thresholds import budget, limit, measure_drift_thresholds, on_grid
from exporter.monitor import Monitor
from exporter.profile.layout import Profile
from exporter.reference import build_baseline, read_reference
from exporter.stats.tolerance import threshold
from tests.strategies import model_of

MIDNIGHT = 1_700_006_400.0
DAY, HOURLY, REFERENCE, DAYS, FEATURES = 86_400, 40, 28, 40, 6
CONFIG = """
log: [{{path: log.parquet}}]
evaluation: {{windows: [1d], clock: log}}
models: [{{name: m, task: binary, baseline: m.json, drift: {{window: 1d, methods: [psi], {0}}}}}]
"""


def levels(rng: np.random.Generator, hours: int) -> NDArray[np.float64]:
    """A tenth of the variance is an hour's own, and moves with its neighbours', as weather does."""
    steps = rng.normal(size=hours + 50)
    return np.convolve(steps, 0.7 ** np.arange(20))[50 : 50 + hours] * 0.2


def stream(seed: int) -> dict[str, Any]:
    rng, hours = np.random.default_rng(seed), (REFERENCE + DAYS) * 24
    rows = hours * HOURLY
    columns: dict[str, Any] = {"ts": MIDNIGHT + np.arange(rows) * 3_600 / HOURLY, "score": rng.random(rows)}
    for number in range(FEATURES):
        columns[f"features.x{number}"] = np.repeat(levels(rng, hours), HOURLY) + rng.normal(size=rows)
    return columns


@pytest.fixture(scope="module")
def columns() -> dict[str, Any]:
    return stream(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any]) -> Path:
    """A baseline of the first days and a configuration beside it."""
    path = tmp_path_factory.mktemp("thresholds")
    part = slice(REFERENCE * 24 * HOURLY)
    pq.write_table(pa.table({name: values[part] for name, values in columns.items()}), path / "reference.parquet")
    config = written(path)
    built = build_baseline(config.models[0], read_reference(path / "reference.parquet"), 0.0)
    (path / "m.json").write_text(built.to_json())
    return path


def written(path: Path, drift: str = "false_alarms_per_month: 5") -> Any:
    (path / "c.yml").write_text(CONFIG.format(drift))
    return load_config(path / "c.yml")


def log(folder: Path, columns: dict[str, Any], first: int, days: int, shift: float = 0.0) -> str:
    part = slice(first * 24 * HOURLY, (first + days) * 24 * HOURLY)
    taken = {name: values[part] for name, values in columns.items()}
    taken["features.x0"] = taken["features.x0"] + shift
    pq.write_table(pa.table(taken), folder / "log.parquet")
    return str(folder / "log.parquet")


def scope(folder: Path, columns: dict[str, Any], day: int, shift: float = 0.0) -> Scope:
    """One day of the stream, read and counted as every log is."""
    monitor = Monitor.load(load_config(folder / "c.yml"), "c.yml")
    [found] = evaluate(monitor, [log(folder, columns, day, 1, shift)], None, 2e9).scopes()
    return found


def by_feature(samples: Iterator[Sample] | tuple[Sample, ...], family: names.Family) -> dict[str, float]:
    return {
        sample.labels[3]: sample.value
        for sample in samples
        if sample.family is family and isinstance(sample.value, float)
    }


def unusual(folder: Path, columns: dict[str, Any], day: int, shift: float = 0.0) -> set[str]:
    """The features whose score is above their threshold, both as exported."""
    monitor = Monitor.load(written(folder), "c.yml")
    found = evaluate(monitor, [log(folder, columns, day, 1, shift)], None, 2e9).snapshot()
    assert found.failures == ()
    scores = by_feature(found.samples, names.FEATURE_DRIFT_SCORE)
    limits = by_feature(found.samples, names.FEATURE_DRIFT_THRESHOLD)
    assert scores.keys() == limits.keys() == {f"x{number}" for number in range(FEATURES)}
    return {name for name, score in scores.items() if score > limits[name]}


@pytest.mark.thorough
def test_a_stream_that_stays_as_it_was_keeps_the_budget(folder: Path, columns: dict[str, Any]) -> None:
    alarms = sum(len(unusual(folder, columns, day)) for day in range(REFERENCE, REFERENCE + DAYS))
    expected = 5 * DAYS / 30
    assert 0.2 * expected <= alarms <= 2 * expected


def test_a_shifted_feature_is_above_its_threshold_at_once(folder: Path, columns: dict[str, Any]) -> None:
    assert all("x0" in unusual(folder, columns, day, shift=0.6) for day in range(REFERENCE, REFERENCE + 5))


def test_a_threshold_bears_the_labels_of_the_score_it_is_for(folder: Path, columns: dict[str, Any]) -> None:
    written(folder)
    found = list(measure_drift_thresholds(scope(folder, columns, REFERENCE)))
    assert {sample.family for sample in found} == {names.FEATURE_DRIFT_THRESHOLD}
    assert found[0].labels == ("m", "unversioned", "1d", "x0", "psi")
    assert len(found) == FEATURES


def test_a_smaller_budget_and_fewer_rows_ask_for_a_higher_score(folder: Path, columns: dict[str, Any]) -> None:
    written(folder)
    often = by_feature(measure_drift_thresholds(scope(folder, columns, REFERENCE)), names.FEATURE_DRIFT_THRESHOLD)
    written(folder, "false_alarms_per_month: 0.1")
    day = scope(folder, columns, REFERENCE)
    rarely = by_feature(measure_drift_thresholds(day), names.FEATURE_DRIFT_THRESHOLD)
    few = {"1d": Profile(day.totals.layout, day.totals.vector / 3)}
    fewer = by_feature(
        measure_drift_thresholds(Scope(day.model, "v", day.costs, few, day.totals, {})), names.FEATURE_DRIFT_THRESHOLD
    )
    assert all(often[name] < rarely[name] < fewer[name] for name in often)


@pytest.mark.parametrize("drift", ["min_rows: 961", "false_alarms_per_month: 180"], ids=["few rows", "all may alarm"])
def test_without_rows_or_a_budget_below_every_verdict_there_is_none(
    folder: Path, columns: dict[str, Any], drift: str
) -> None:
    written(folder, drift)
    assert list(measure_drift_thresholds(scope(folder, columns, REFERENCE))) == []


def test_a_baseline_learned_for_another_window_gives_none(folder: Path, columns: dict[str, Any]) -> None:
    written(folder)
    day = scope(folder, columns, REFERENCE)
    other = day.model.model_copy(update={"drift": day.model.drift.model_copy(update={"window": "7d"})})
    seven = Scope(other, "v", day.costs, {"7d": day.totals, "1d": day.totals}, day.totals, {})
    assert list(measure_drift_thresholds(seven)) == []


def test_a_refresh_after_a_few_more_rows_computes_no_threshold_anew(folder: Path, columns: dict[str, Any]) -> None:
    written(folder)
    day = scope(folder, columns, REFERENCE)
    list(measure_drift_thresholds(day))
    before = on_grid.cache_info()
    list(measure_drift_thresholds(day))
    more = {"1d": Profile(day.totals.layout, day.totals.vector * 1.03)}
    list(measure_drift_thresholds(Scope(day.model, "v", day.costs, more, day.totals, {})))
    after = on_grid.cache_info()
    assert (after.misses, after.hits - before.hits) == (before.misses, 4 * FEATURES)


@pytest.mark.parametrize("rows", [200.0, 431.5, 959.0, 961.0, 5_000.0, 1e6])
def test_between_the_points_of_the_grid_a_threshold_is_within_a_hundredth(folder: Path, rows: float) -> None:
    baseline = Monitor.load(written(folder), "c.yml").baselines["m"]
    assert baseline.spreads is not None
    for feature in baseline.spreads.features.values():
        assert limit(feature.known, 1e-3, rows) == pytest.approx(threshold(feature.known, 1e-3, rows), rel=0.01)


def test_the_budget_is_shared_by_features_and_by_the_windows_of_a_month() -> None:
    assert budget(model_of(drift={"window": "1d"}), 50) == pytest.approx(1 / 1_500)
    assert budget(model_of(drift={"window": "1h", "false_alarms_per_month": 3}), 10) == pytest.approx(3 / 7_200)
    assert budget(model_of(drift={"window": "7d", "false_alarms_per_month": 5}), 1) is None
