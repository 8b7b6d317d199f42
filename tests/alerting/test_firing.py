"""Every alert in promtool, held to each kind of case; and what only some of them can show."""

from pathlib import Path
from typing import Any

import pytest

from alerting import build
from exporter import names
from exporter.config import Config, load_config, parse_config

from .cases import CASES, FEATURE, MODEL, Case, Labels, Rate, Series, broken, gauge
from .kinds import KINDS, evaluation_step
from .promtool import ROOT, SHIPPED, firing, inputs, nobody, rules_of, run_promtool, shipped_rules

REPLAY = load_config(ROOT / "deploy/flights/prediction-exporter.yml")


def test_every_alert_has_its_case() -> None:
    assert {case.alert for case in CASES} | {"Watchdog"} == set(SHIPPED)


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES, ids=[case.alert for case in CASES])
def test_every_alert_is_held_to_each_kind_of_case(tmp_path: Path, case: Case) -> None:
    rules, seldom = rules_of(case.alert), evaluation_step(case)
    tests = [{"name": name, **test} for name, kind in KINDS.items() for test in kind(case)]
    if seldom > 1:
        run_promtool(tmp_path, rules, [test for test in tests if test["name"] == "stale"], evaluation=f"{seldom}m")
        tests = [test for test in tests if test["name"] != "stale"]
    run_promtool(tmp_path, rules, tests)


def test_every_kind_has_its_cases() -> None:
    assert all(any(list(kind(case)) for case in CASES) for kind in KINDS.values())


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
    test = {
        "input_series": inputs((score, verdict), 30),
        "alert_rule_test": [nobody("PredictionFeatureDriftMinor", 30)],
    }
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
        [{"input_series": inputs(tuple(series), 30), "alert_rule_test": [nobody("PredictionFeatureDriftMinor", 30)]}],
    )


def test_a_mostly_missing_feature_of_too_few_predictions_does_not_page(tmp_path: Path) -> None:
    test = {"input_series": inputs(broken(0, 199), 30), "alert_rule_test": [nobody("PredictionFeatureBroken", 30)]}
    run_promtool(tmp_path, shipped_rules(), [test])


@pytest.mark.parametrize(("labelled", "logged"), [(0, Rate(10)), (5, 1000)])
def test_no_outcomes_are_no_silence_where_there_never_were_any_or_nothing_is_predicted(
    tmp_path: Path, labelled: float, logged: float | Rate
) -> None:
    series = (
        gauge(names.LABELLED_PREDICTIONS_TOTAL, MODEL, labelled),
        gauge(names.PREDICTIONS_LOGGED_TOTAL, MODEL, logged),
    )
    alert = "PredictionOutcomesStale"
    test = {"input_series": inputs(series, 90), "alert_rule_test": [nobody(alert, 90)]}
    run_promtool(tmp_path, rules_of(alert), [test])


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
        return [firing('alertname="PredictionFeatureDriftSevere"', "10m", *({"model_name": model} for model in models))]

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
    severe = 'alertname="PredictionFeatureDriftSevere"'
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
