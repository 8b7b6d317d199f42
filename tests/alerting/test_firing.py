"""Every alert in promtool: silent one step before, firing at the step; silent at the boundary, on NaN, on nothing."""

from pathlib import Path
from typing import Any

import pytest

from alerting import build
from exporter import names
from exporter.config import Config, load_config, parse_config

from .cases import CASES, FEATURE, MODEL, Labels, Rate, Series, broken, gauge
from .promtool import ROOT, SHIPPED, behaviour, firing, inputs, nobody, recovers, recovery, run_promtool, shipped_rules

REPLAY = load_config(ROOT / "deploy/flights/prediction-exporter.yml")


def test_every_alert_has_its_case() -> None:
    assert {case.alert for case in CASES} | {"Watchdog"} == set(SHIPPED)


def test_every_alert_is_silent_one_step_before_its_time_and_fires_at_it(tmp_path: Path) -> None:
    run_promtool(tmp_path, shipped_rules(), [test for case in CASES for test in behaviour(case)])


def test_an_alert_keeps_firing_for_a_while_after_recovery_and_then_ends(tmp_path: Path) -> None:
    cases = [case for case in CASES if recovers(case)]
    assert cases
    run_promtool(tmp_path, shipped_rules(), [recovery(case) for case in cases])


def test_without_any_data_only_absence_and_the_watchdog_fire(tmp_path: Path) -> None:
    silent = [nobody(case.alert, 90) for case in CASES if case.alert != "PredictionExporterAbsent"]
    firing = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": "90m",
            "exp_samples": [
                {"labels": '{alertname="PredictionExporterAbsent"}', "value": 1},
                {"labels": '{alertname="Watchdog"}', "value": 1},
            ],
        }
    ]
    run_promtool(tmp_path, shipped_rules(), [{"alert_rule_test": silent, "promql_expr_test": firing}])


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"window": "7d"}, "another window"),
        ({"method": "js"}, "another method"),
    ],
)
def test_drift_elsewhere_does_not_fire(tmp_path: Path, labels: Labels, why: str) -> None:
    score = gauge(names.FEATURE_DRIFT_SCORE, FEATURE | {"method": "psi"} | labels, 0.9)
    verdict = gauge(names.FEATURE_DRIFTED, FEATURE | ({"window": "7d"} if "window" in labels else {}), 1)
    test = {"input_series": inputs((score, verdict), 30), "alert_rule_test": [nobody("FeatureDriftMinor", 30)]}
    assert why
    run_promtool(tmp_path, shipped_rules(), [test])


@pytest.mark.parametrize("verdict", [0, float("nan"), None])
def test_drift_without_a_verdict_of_enough_and_significant_rows_does_not_fire(
    tmp_path: Path, verdict: float | None
) -> None:
    series = [gauge(names.FEATURE_DRIFT_SCORE, FEATURE | {"method": "psi"}, 0.9)]
    if verdict is not None:
        series.append(gauge(names.FEATURE_DRIFTED, FEATURE, verdict))
    run_promtool(
        tmp_path,
        shipped_rules(),
        [{"input_series": inputs(tuple(series), 30), "alert_rule_test": [nobody("FeatureDriftMinor", 30)]}],
    )


def test_a_mostly_missing_feature_of_too_few_predictions_does_not_page(tmp_path: Path) -> None:
    test = {"input_series": inputs(broken(0, 199), 30), "alert_rule_test": [nobody("PredictionFeatureBroken", 30)]}
    run_promtool(tmp_path, shipped_rules(), [test])


def two_models() -> Config:
    return parse_config("""
log: [{path: logs/}]
models:
  - {name: churn, task: binary, baseline: churn.json}
  - {name: "price.eu|x", task: binary, baseline: price.json, drift: {window: 7d, min_rows: 50},
     thresholds: {feature_drift: {severe: 0.5}, error_ratio: 0.1, accuracy: 0.6}}
  - {name: fraud, task: binary, baseline: fraud.json}
""")


def test_models_with_thresholds_of_their_own_are_held_against_those(tmp_path: Path) -> None:
    def drift(model: str, window: str, psi: float) -> tuple[Series, ...]:
        labels = {"model_name": model, "model_version": "1", "window": window, "feature": "age"}
        return (
            gauge(names.FEATURE_DRIFT_SCORE, labels | {"method": "psi"}, psi),
            gauge(names.FEATURE_DRIFTED, labels, 1),
        )

    def severe(*models: str) -> list[dict[str, Any]]:
        return [firing('alertname="FeatureDriftSevere"', "10m", *({"model_name": model} for model in models))]

    calm = drift("churn", "1d", 0.29) + drift("price.eu|x", "7d", 0.49) + drift("price.eu|x", "1d", 0.9)
    loud = drift("churn", "1d", 0.3) + drift("price.eu|x", "7d", 0.5) + drift("fraud", "1d", 0.31)
    tests = [
        {"input_series": inputs(calm, 20), "promql_expr_test": severe()},
        {"input_series": inputs(loud, 20), "promql_expr_test": severe("churn", "fraud", "price.eu|x")},
    ]
    run_promtool(tmp_path, build.generated(two_models())["rules.yml"], tests)


def test_a_replay_fires_after_two_seconds(tmp_path: Path) -> None:
    labels = FEATURE | {"window": "28d"}
    series = (
        gauge(names.FEATURE_DRIFT_SCORE, labels | {"method": "psi"}, 0.3),
        gauge(names.FEATURE_DRIFTED, labels, 1),
    )
    severe = 'alertname="FeatureDriftSevere"'
    test = {
        "input_series": inputs(series, 10),
        "promql_expr_test": [firing(severe, "1s"), firing(severe, "2s", {"feature": "temp"})],
    }
    run_promtool(tmp_path, build.generated(REPLAY)["rules.yml"], [test], step="1s")


def test_a_replayed_log_that_stands_still_is_stale_and_one_that_moves_is_not(tmp_path: Path) -> None:
    series = (
        gauge(names.LAST_RECORD_TIMESTAMP_SECONDS, {"model_name": "still"}, 1_357_000_000),
        gauge(names.LAST_RECORD_TIMESTAMP_SECONDS, {"model_name": "moving"}, Rate(43_200)),
    )
    stale = 'alertname="PredictionRecordsStale"'
    test = {
        "input_series": inputs(series, 30),
        "promql_expr_test": [firing(stale, "6s"), firing(stale, "7s", {"model_name": "still"})],
    }
    run_promtool(tmp_path, build.generated(REPLAY)["rules.yml"], [test], step="1s")


def test_a_counter_that_starts_again_is_no_burst_of_errors(tmp_path: Path) -> None:
    requests = gauge(names.PREDICTION_REQUESTS_TOTAL, MODEL, Rate(1000))
    errors = gauge(names.PREDICTION_ERRORS_TOTAL, MODEL | {"error": "timeout"}, Rate(5))
    restarted = [
        {"series": requests.key(), "values": "1000000+1000x20 0+1000x20"},
        {"series": errors.key(), "values": "5000+5x20 0+5x20"},
    ]
    test = {"input_series": restarted, "alert_rule_test": [nobody("PredictionErrorsHigh", m) for m in (20, 26, 35)]}
    run_promtool(tmp_path, shipped_rules(), [test])
