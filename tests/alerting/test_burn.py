"""How fast budgets burn: two windows must agree, few events tell nobody, and late outcomes wake nobody."""

from pathlib import Path
from typing import Any

import pytest

from alerting.burn import burn_alerts
from exporter import names
from exporter.config import Config, parse_config

from .cases import MODEL, gauge, wrong_soon
from .promtool import COMMITTED, inputs, rules_of, run_promtool

Test = dict[str, Any]


def burning(alert: str, minute: int, *windows: str) -> Test:
    """promtool's assertion of the windows over which `alert` fires at a minute."""
    return {
        "expr": f'max by (burn_window) (ALERTS{{alertname="{alert}",alertstate="firing"}})',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": f'{{burn_window="{window}"}}', "value": 1} for window in windows],
    }


def promising(objectives: str) -> Config:
    return parse_config(
        f"log: [{{path: logs/}}]\nmodels: [{{name: a, task: binary, baseline: a.json, objectives: {{{objectives}}}}}]"
    )


def test_an_outage_pages_by_the_hour_soon_and_ends_soon_after_it(tmp_path: Path) -> None:
    """All requests fail from minute 120 to 140: 14.4 % of an hour is 9 minutes, and 2 are waited for."""
    page = "PredictionAvailabilityBurnFast"
    series = [
        {"series": gauge(names.PREDICTION_REQUESTS_TOTAL, MODEL, 0).key(), "values": "0+100x240"},
        {
            "series": gauge(names.PREDICTION_ERRORS_TOTAL, MODEL | {"error": "down"}, 0).key(),
            "values": "0x120 100+100x19 2000x100",
        },
    ]
    moments = [burning(page, 120), burning(page, 128), burning(page, 135, "1h", "6h"), burning(page, 140, "1h", "6h")]
    run_promtool(
        tmp_path, rules_of(page), [{"input_series": series, "promql_expr_test": [*moments, burning(page, 220)]}]
    )


def test_a_long_window_alone_does_not_page(tmp_path: Path) -> None:
    """Ten minutes after all is well again, the hour is still bad and the five minutes are not."""
    errors = gauge(names.PREDICTION_ERRORS_TOTAL, MODEL | {"error": "down"}, 0).key()
    series = [
        {"series": gauge(names.PREDICTION_REQUESTS_TOTAL, MODEL, 0).key(), "values": "0+100x60"},
        {"series": errors, "values": "0+100x20 2000x40"},
    ]
    page = "PredictionAvailabilityBurnFast"
    ratio = f'{names.OBJECTIVE_BAD_EVENT_RATIO}{{objective="availability",burn_window="1h"}} > bool 0.144'
    labels = '{burn_window="1h",job="prediction",model_name="churn & co",objective="availability"}'
    held = {"expr": ratio, "eval_time": "50m", "exp_samples": [{"labels": labels, "value": 1}]}
    alert = f'ALERTS{{alertname="{page}",burn_window="1h"}}'
    quiet = {"expr": alert, "eval_time": "50m", "exp_samples": []}
    run_promtool(tmp_path, rules_of(page), [{"input_series": series, "promql_expr_test": [held, quiet]}])


@pytest.mark.parametrize(("least", "windows"), [(10, ()), (5, ("1h",))])
def test_a_handful_of_bad_events_pages_nobody(tmp_path: Path, least: int, windows: tuple[str, ...]) -> None:
    """A request a minute, of which nine fail: 15 % of the hour, where 7.2 % page."""
    labels = MODEL | {"model_name": "a"}
    series = [
        {"series": gauge(names.PREDICTION_REQUESTS_TOTAL, labels, 0).key(), "values": "0+1x400"},
        {
            "series": gauge(names.PREDICTION_ERRORS_TOTAL, labels | {"error": "x"}, 0).key(),
            "values": "0x350 0+1x9 9x40",
        },
    ]
    page, config = "PredictionAvailabilityBurnFast", promising(f"availability: 0.995, min_bad_events: {least}")
    test = {"input_series": series, "promql_expr_test": [burning(page, 362, *windows)]}
    run_promtool(tmp_path, rules_of(page, config=config), [test])


def test_late_outcomes_open_a_ticket_and_page_nobody(tmp_path: Path) -> None:
    page, ticket = "PredictionAccuracyBurnFast", "PredictionAccuracyBurnSlow"
    alerts = [burning(page, 90), burning(ticket, 90, "1d", "3d")]
    test = {"input_series": inputs(wrong_soon(0.95, soon=0.49), 100), "promql_expr_test": alerts}
    run_promtool(tmp_path, rules_of(page, ticket), [test])


def test_between_two_batches_of_outcomes_a_burn_goes_on_until_a_better_batch(tmp_path: Path) -> None:
    """A batch of 1000 outcomes every 12 hours: half of them wrong twice, then four batches that are right.

    Evaluated every ten minutes. The third day's window holds 1000 wrong of up to 6000: more than 15 % until the end,
    but the last six hours with outcomes have none.
    """
    right, labelled = (
        gauge(family, MODEL, 0).key() for family in (names.CORRECT_PREDICTIONS_TOTAL, names.LABELLED_PREDICTIONS_TOTAL)
    )
    series = [
        {"series": labelled, "values": "0x719 1000x719 2000x719 3000x719"},
        {"series": right, "values": "0x719 500x719 1000x719 2000x719"},
    ]
    ticket = "PredictionAccuracyBurnSlow"
    moments = [
        burning(ticket, 700),
        burning(ticket, 840, "1d", "3d"),  # two hours after the first batch
        burning(ticket, 1400, "1d", "3d"),  # eleven hours after it, with nothing new
        burning(ticket, 2150, "1d", "3d"),
        burning(ticket, 2350),  # the third is right, and three hours have passed
    ]
    test = {"input_series": series, "promql_expr_test": moments}
    run_promtool(tmp_path, rules_of(ticket), [test], evaluation="10m")


@pytest.mark.parametrize(
    ("objectives", "names_"),
    [
        ("", []),
        ("accuracy: 0.6", ["PredictionAccuracyBurnSlow"]),  # all wrong for six hours burns 2.5 times too fast
        ("accuracy: 0.85", ["PredictionAccuracyBurnFast", "PredictionAccuracyBurnSlow"]),
        ("latency: 0.95", ["PredictionLatencyBurnFast", "PredictionLatencyBurnSlow"]),
    ],
)
def test_a_burn_that_no_failure_could_reach_has_no_alert(objectives: str, names_: list[str]) -> None:
    found = [alert.name for alert in burn_alerts(promising(objectives))]
    assert [name for name in found if "Burn" in name] == names_


@pytest.mark.parametrize(
    ("target", "limits"),
    [("0.99", ["0.144", "0.06", "0.03", "0.01"]), ("0.999", ["0.0144", "0.006", "0.003", "0.001"])],
)
def test_limits_are_the_budget_times_the_four_burn_rates(target: str, limits: list[str]) -> None:
    exprs = "\n".join(alert.expr for alert in burn_alerts(promising(f"availability: {target}")))
    firsts = [line.rpartition(" > ")[2] for line in exprs.splitlines() if line.startswith("model:")]
    assert firsts == limits


def test_the_objective_is_told_with_its_models() -> None:
    told = {alert.name: alert.description for alert in burn_alerts(COMMITTED)}
    assert "the objective over 30d is 99 % answered" in told["PredictionAvailabilityBurnFast"]
