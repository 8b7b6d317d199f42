"""Recorded objectives in promtool: counts become ratios and budgets, whatever restarts, falls idle or is new."""

from pathlib import Path
from typing import Any

from alerting import build
from alerting.objectives import objective_recordings
from exporter import names
from exporter.config import Config, parse_config

from .cases import FAILED, INVALID, MODEL, Rate, Series, gauge, part_of, slow, wrong
from .promtool import inputs, rules_of, run_promtool

LEFT, RATIO = names.OBJECTIVE_BUDGET_LEFT, names.OBJECTIVE_BAD_EVENT_RATIO
Test = dict[str, Any]
RULES = rules_of(*names.OBJECTIVE_RECORDED)


def budgets(**left: float) -> list[dict[str, object]]:
    """What promtool finds at minute 60: the budget left of each objective, rounded to a thousandth."""
    samples = [{"labels": f'{{objective="{objective}"}}', "value": value} for objective, value in left.items()]
    return [{"expr": f"round(max by (objective) ({LEFT}), 0.001)", "eval_time": "60m", "exp_samples": samples}]


def of(*series: Series, **left: float) -> Test:
    return {"input_series": inputs(series, 60), "promql_expr_test": budgets(**left)}


def test_the_budget_left_is_what_bad_events_took_of_it(tmp_path: Path) -> None:
    tests = [
        of(*wrong(0.03), accuracy=0.8),  # 3 % of 15 %
        of(*part_of(*FAILED, 0.004), availability=0.6),
        of(*part_of(*FAILED, 0.03), availability=-2),  # three budgets burnt
        of(*part_of(*FAILED, 0)[1:], availability=1),  # an error that never happened has no series
        of(*slow(0.05), latency=0),
        of(*part_of(*INVALID, 0), valid_inputs=1),
        of(*wrong(0.03)[1:]),  # a regression: outcomes, and none is simply right
        of(*part_of(*FAILED, 0.5)[:1]),
    ]
    run_promtool(tmp_path, RULES, tests)


def test_versions_share_one_budget_each_by_its_traffic(tmp_path: Path) -> None:
    labels = MODEL | {"model_version": "canary"}
    requests, errors = names.PREDICTION_REQUESTS_TOTAL, names.PREDICTION_ERRORS_TOTAL
    canary = (gauge(requests, labels, Rate(60)), gauge(errors, labels | {"error": "timeout"}, Rate(30)))
    stable = gauge(requests, MODEL, Rate(5940))
    run_promtool(tmp_path, RULES, [of(stable, *canary, availability=0.5)])


def test_without_traffic_there_is_no_ratio_and_the_budget_stays(tmp_path: Path) -> None:
    requests, errors = (
        {"series": gauge(family, MODEL | more, 0).key(), "values": f"0+{step}x20 {20 * step}x300"}
        for family, more, step in (
            (names.PREDICTION_REQUESTS_TOTAL, {}, 1000),
            (names.PREDICTION_ERRORS_TOTAL, {"error": "timeout"}, 5),
        )
    )
    ratio = f'{RATIO}{{objective="availability",burn_window="%s"}}'
    test = {
        "input_series": [requests, errors],
        "promql_expr_test": [
            {"expr": ratio % "5m", "eval_time": "200m", "exp_samples": []},
            {"expr": ratio % "1h", "eval_time": "200m", "exp_samples": []},
            {
                "expr": f"round(sum by (objective) ({LEFT}), 0.001)",
                "eval_time": "200m",
                "exp_samples": [{"labels": '{objective="availability"}', "value": 0.5}],
            },
        ],
    }
    run_promtool(tmp_path, RULES, [test])


def test_counters_that_start_again_take_nothing_of_the_budget(tmp_path: Path) -> None:
    series = [
        {"series": one.key(), "values": f"1000000+{step}x30 0+{step}x30"}
        for one, step in zip(part_of(*FAILED, 0.004), (24, 6000), strict=True)
    ]
    run_promtool(tmp_path, RULES, [{"input_series": series, "promql_expr_test": budgets(availability=0.6)}])


def mixed() -> Config:
    return parse_config("""
log: [{path: logs/}]
models:
  - {name: fast, task: binary, baseline: a.json, objectives: {latency: 0.9, latency_seconds: 0.1, accuracy: 0.8}}
  - {name: slow, task: binary, baseline: b.json, objectives: {latency: 0.9, latency_seconds: 1}}
  - {name: free, task: binary, baseline: c.json}
""")


def test_each_model_is_held_to_its_own_promise_and_one_without_to_none(tmp_path: Path) -> None:
    name = names.PREDICTION_LATENCY_SECONDS.name
    series = [
        gauge(f"{name}_{part}", {"model_name": model, "model_version": "1"} | more, Rate(rate))
        for model in ("fast", "slow", "free")
        for part, more, rate in (
            ("bucket", {"le": "0.1"}, 950),
            ("bucket", {"le": "1.0"}, 980),
            ("count", {}, 1000),
        )
    ]
    samples = [
        {"labels": f'{{model_name="{model}"}}', "value": value} for model, value in (("fast", 0.5), ("slow", 0.8))
    ]
    expected = {"expr": f"round(sum by (model_name) ({LEFT}), 0.001)", "eval_time": "60m", "exp_samples": samples}
    test = {"input_series": inputs(tuple(series), 60), "promql_expr_test": [expected]}
    run_promtool(tmp_path, rules_of(*names.OBJECTIVE_RECORDED, config=mixed()), [test])


def test_only_what_is_promised_is_recorded() -> None:
    recorded = {recording.labels.get("objective", "") for recording in objective_recordings(mixed())}
    assert recorded == {"", "latency", "accuracy"}
    config = parse_config("log: [{path: logs/}]\nmodels: [{name: a, task: binary, baseline: a.json}]")
    assert objective_recordings(config) == ()
    assert "objective" not in build.generated(config)["rules.yml"]
