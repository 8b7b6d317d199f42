"""The rules as data: what every alert carries, which metrics expressions know, what thresholds and durations become."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from alerting import build
from alerting.durations import Pace, duration
from alerting.rules import alerts, rules
from alerting.runbook import html, markdown
from exporter import names
from exporter.config import Config, load_config, parse_config

from .promtool import COMMITTED, ROOT, checked

REPLAY = load_config(ROOT / "deploy/flights/prediction-exporter.yml")
ODD = parse_config("""
log: [{path: logs/}]
evaluation: {windows: [6h, 2d], clock: log}
models:
  - {name: 'a "b" {{c}}', task: regression, baseline: a.json, drift: {window: 2d}, objectives: {latency: 0.9}}
  - {name: d.e, task: multiclass, baseline: d.json, drift: {window: 6h, min_rows: 7}, thresholds: {auc: 0.7}}
costs: {notification_usd: 0, monthly_limits: {log_storage_usd: 0.00001}}
alerting: {speed: 100, runbook_url: "https://wiki.example/runbook", dashboard_url: "https://grafana.example",
           exporter_url: "https://exporter.example"}
""")
every_config = pytest.mark.parametrize("config", [COMMITTED, REPLAY, ODD], ids=["production", "replay", "odd"])


def walk(config: Config) -> list[dict[str, Any]]:
    data: Any = rules(config)
    return [rule for group in data["groups"] for rule in group["rules"]]


def walk_alerts(config: Config) -> list[dict[str, Any]]:
    return [rule for rule in walk(config) if "alert" in rule]


@every_config
def test_every_rule_file_passes_the_strictest_check(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(build.generated(config)["rules.yml"], encoding="utf-8")
    assert f"{len(walk(config))} rules found" in checked(
        "promtool", "check", "rules", "--lint=all", "--lint-fatal", path
    )


@every_config
def test_every_alert_is_held_graded_told_and_linked(config: Config) -> None:
    pages = (markdown(config), html(config))
    for rule in walk_alerts(config):
        name, notes = rule["alert"], rule["annotations"]
        assert rule["for"]
        assert ("keep_firing_for" in rule) == (name != "Watchdog")
        assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
        assert rule["labels"]["app"] == names.ALERT_APP
        assert "page" not in rule["labels"] or rule["labels"]["severity"] == "critical"
        assert notes["summary"]
        assert notes["description"] != notes["summary"]
        assert notes["runbook_url"] == f"{config.alerting.runbook_url}#{name}"
        page = "prediction-feature" if "labels.feature" in notes["dashboard_url"] else "prediction-model"
        assert notes["dashboard_url"].partition("?")[0] == f"{config.alerting.dashboard_url}/d/{page}"
        about = (
            "/alert?model={{ $labels.model_name | urlquery }}" if "var-model" in notes["dashboard_url"] else "/status"
        )
        assert notes["page_url"].startswith(config.alerting.exporter_url + about)
        assert ("&feature=" in notes["page_url"]) == ("var-feature" in notes["dashboard_url"])
        assert [
            page.count(heading) for page, heading in zip(pages, (f"### {name}\n", f'id="{name}"'), strict=True)
        ] == [1, 1]


NAME = re.compile(r"Prediction([A-Z][a-z]+)+(NaN)?|Watchdog")


def test_names_are_camel_case_with_a_common_first_word() -> None:
    found = [alert.name for alert in alerts(COMMITTED)]
    assert len(set(found)) == len(found)
    assert all(NAME.fullmatch(name) for name in found)


def test_an_alert_that_code_names_exists() -> None:
    """A misspelled name in a route, an inhibition or a response would never match, and never say so."""
    known = {alert.name for alert in alerts(COMMITTED)}
    nodes = [node for path in (ROOT / "alerting").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    pieces = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    typed = {node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in pieces}
    form = re.compile(r"(Prediction|FeatureDrift)([A-Z][a-z]+)+(NaN)?")
    named = {text for text in typed if isinstance(text, str) and form.fullmatch(text)}
    assert named
    assert named <= known


STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
SYNTAX = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\b(?:without|by|on|ignoring|group_left) \([^)]*\)|offset \w+")
FUNCTIONS = {"sum", "avg", "rate", "increase", "absent", "time", "vector", "histogram_quantile", "label_replace"}
FUNCTIONS |= {
    "present_over_time",
    "sum_over_time",
    "avg_over_time",
    "max_over_time",
    "clamp_min",
    "min",
    "and",
    "or",
    "unless",
}
OF_OTHERS = {names.UP, names.ALERTS, names.ALERTMANAGER_NOTIFICATIONS_TOTAL}


def known() -> set[str]:
    histograms = [family.name for family in names.FAMILIES if family.kind == "histogram"]
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    plain = {family.name for family in names.FAMILIES if family.kind != "histogram"}
    return plain | parts | set(names.RECORDED) | OF_OTHERS


@every_config
def test_every_metric_in_an_expression_is_in_the_vocabulary(config: Config) -> None:
    for rule in walk(config):
        words = set(re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*", SYNTAX.sub(" ", STRING.sub("", rule["expr"]))))
        assert words - FUNCTIONS <= known(), rule["expr"]


def test_every_recorded_name_has_its_rule_and_the_form_level_metric_operations() -> None:
    recorded = [rule["record"] for rule in walk(COMMITTED) if "record" in rule]
    assert list(dict.fromkeys(recorded)) == list(names.RECORDED)
    assert all(name.count(":") == 2 for name in recorded)


def test_thresholds_are_literals_and_alike_models_need_no_selector() -> None:
    expr = {rule["alert"]: rule["expr"] for rule in walk_alerts(COMMITTED)}
    assert expr["PredictionAccuracyLow"] == f'{names.MODEL_ACCURACY.name}{{window="1d"}} < 0.85'
    assert expr["PredictionErrorsHigh"] == f"{names.ERROR_RATIO} > 0.01"


def test_models_that_differ_are_selected_by_name_quoted_for_promql() -> None:
    expr = {rule["alert"]: rule["expr"] for rule in walk_alerts(ODD)}
    first, _, second = expr["PredictionAucLow"].partition("\nor\n")
    assert first == rf'{names.MODEL_AUC.name}{{model_name="a \"b\" {{{{c}}}}",window="2d"}} < 0.9'
    assert second == f'{names.MODEL_AUC.name}{{model_name="d.e",window="6h"}} < 0.7'


def test_a_model_name_in_a_description_is_no_template() -> None:
    described = {rule["alert"]: rule["annotations"]["description"] for rule in walk_alerts(ODD)}
    assert '0.9 (a "b" {{"{{"}}c}}), 0.7 (d.e)' in described["PredictionAucLow"]


def test_small_limits_stay_exact() -> None:
    expr = {rule["alert"]: rule["expr"] for rule in walk_alerts(ODD)}
    assert expr["PredictionLogStorageCostHigh"].endswith(" > 1e-05")


@pytest.mark.parametrize(
    ("speed", "wait", "span", "repeat"),
    [(1, "10m", "1h", "4h"), (100, "6s", "36s", "145s"), (43_200, "2s", "5s", "1m")],
)
def test_durations_shrink_with_the_speed_down_to_what_scraping_allows(
    speed: float, wait: str, span: str, repeat: str
) -> None:
    pace = Pace(speed)
    assert (pace.wait(600), pace.range(3600), pace.multiple(4 * 3600, of=300)) == (wait, span, repeat)


def test_no_wait_stays_none_at_any_speed() -> None:
    assert {Pace(speed).wait(0) for speed in (1, 50, 43_200)} == {"0s"}


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (61, "61s"), (120, "2m"), (90_000, "25h"), (604_800, "7d")])
def test_a_duration_takes_the_largest_unit_that_divides_it(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_the_page_refers_to_nothing_outside_itself() -> None:
    page = html(COMMITTED)
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "&gt;=" in page
    assert "`" not in page
