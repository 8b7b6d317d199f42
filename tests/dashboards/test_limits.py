"""Limits: drawn as constants where models agree, asked for where they differ, and never another model's."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from dashboards.colors import BAD, GOOD, NOTE, WARN
from dashboards.limits import fixed, limit, steps
from exporter.config import parse_config

from .configs import HEAD, Json, built, configs, titled

ONE = "  - {name: a, task: binary, baseline: b.json, thresholds: {accuracy: 0.8}}\n"
OTHER = "  - {name: 'b.\"x', task: binary, baseline: b.json, thresholds: {accuracy: 0.6}}\n"


def drawn_steps(panel: Json) -> list[tuple[str, float | None]]:
    return [(step["color"], step["value"]) for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]


def test_feature_drift_has_the_three_configured_lines() -> None:
    panel = titled(built("production"), "Drift by feature (PSI)", "timeseries")
    assert drawn_steps(panel) == [("transparent", None), (NOTE, 0.1), (WARN, 0.2), (BAD, 0.3)]
    assert panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] == "dashed+area"


@pytest.mark.parametrize(
    ("title", "kind", "expected"),
    [
        ("Accuracy", "timeseries", [(BAD, None), ("transparent", 0.85)]),
        ("AUC", "stat", [(BAD, None), (GOOD, 0.9)]),
        ("Latency p95", "stat", [(GOOD, None), (BAD, 0.1)]),
        ("Prediction drift (PSI)", "timeseries", [("transparent", None), (WARN, 0.15), (BAD, 0.3)]),
        ("Drifted", "stat", [(GOOD, None), (BAD, 3)]),
        ("Freshness", "stat", [(GOOD, None), (BAD, 86_400)]),
    ],
)
def test_limits_come_from_the_configuration(title: str, kind: str, expected: list[tuple[str, float | None]]) -> None:
    assert drawn_steps(titled(built("production"), title, kind)) == expected


def test_another_threshold_moves_the_line() -> None:
    lines = limit(parse_config(HEAD + ONE).models, ("accuracy", BAD, lambda of: of.accuracy), below=True)
    assert list(steps(lines, ok=GOOD)) == [(BAD, None), (GOOD, 0.8)]
    assert list(lines.queries()) == []


def test_models_that_differ_get_lines_of_their_own() -> None:
    lines = limit(parse_config(HEAD + ONE + OTHER).models, ("accuracy", BAD, lambda of: of.accuracy), below=True)
    assert not lines.common
    assert [expr.split(" ")[0] for expr, _, _ in lines.queries()] == ["0.6", "0.8"]


def test_numbers_stay_uncoloured_where_models_differ() -> None:
    stat = titled(built("mixed"), "AUC or R²", "stat")
    assert drawn_steps(stat) == [("text", None)]
    assert stat["options"]["colorMode"] == "value"


def test_a_regression_s_thresholds_do_not_move_the_lines_of_classifiers() -> None:
    assert drawn_steps(titled(built("mixed"), "Accuracy", "timeseries")) == [(BAD, None), ("transparent", 0.85)]
    differing = titled(built("mixed"), "Drift by feature (PSI)", "timeseries")
    assert sum(target["legendFormat"] == "severe" for target in differing["targets"]) == 2


def test_a_line_appears_only_for_the_model_it_belongs_to(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; scripts/install-prometheus installs it")
    lines = limit(parse_config(HEAD + ONE + OTHER).models, ("accuracy", BAD, lambda of: of.accuracy), below=True)
    low, high = (expr for expr, _, _ in lines.queries())
    info = 'prediction_exporter_model_info{model_name="%s",task="binary",baseline="x"}'
    cases = [
        {"expr": low.replace("$model", r"b.\"x"), "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 0.6}]},
        {"expr": high.replace("$model", r"b.\"x"), "eval_time": "1m", "exp_samples": []},
        {"expr": high.replace("$model", "a"), "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 0.8}]},
    ]
    series = [{"series": info % model, "values": "1 1 1"} for model in ("a", r"b.\"x")]
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump({"tests": [{"input_series": series, "promql_expr_test": cases}]}))
    tested = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_the_axis_keeps_the_line_in_sight() -> None:
    above, below = fixed("x", 0.3), fixed("x", 0.9, below=True)
    assert above.soft_top is not None
    assert above.soft_top > 0.3
    assert above.soft_floor is None
    assert below.soft_floor is not None
    assert below.soft_floor < 0.9
    assert below.soft_top is None


def test_monitoring_bars_are_full_at_their_limit() -> None:
    panel = titled(built("production"), "Monitoring cost a month", "bargauge")
    tops = [
        prop["value"] for one in panel["fieldConfig"]["overrides"] for prop in one["properties"] if prop["id"] == "max"
    ]
    limits = configs()["production"].costs.monthly_limits
    assert tops == [limits.log_storage_usd, limits.compute_usd, limits.notifications_usd]


def test_a_base_step_is_minus_infinity_and_not_a_word() -> None:
    assert '"null"' not in json.dumps(built("mixed"))
