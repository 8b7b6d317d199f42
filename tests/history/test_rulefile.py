"""What rules read, and which of them a history can tell of."""

from pathlib import Path

import pytest
import yaml

from exporter import names
from exporter.errors import ConfigError
from exporter.history.rulefile import RuleFile, load_rules, seconds, series_read
from tests.alerting.promtool import ROOT

AUC, INFO = names.MODEL_AUC.name, names.MODEL_INFO.name
LATENCY = names.PREDICTION_LATENCY_SECONDS.name

EXPRESSIONS = {
    f'{AUC}{{window="1d", x=~"a|or b"}} < 0.9e-3': {AUC},
    f"sum without (le, job) (rate({LATENCY}_bucket[5m])) / ignoring(le) group_left(x) a:b offset 7d": {
        f"{LATENCY}_bucket",
        "a:b",
    },
    "time() - max_over_time(x[1h:5m]) > bool 5 and on (job) absent(y) or vector(NaN)": {"x", "y"},
    "label_replace(z, 'a', \"b\", 'c', '') unless +Inf": {"z"},
}


def file(folder: Path, *rules: dict[str, str], **group: str) -> RuleFile:
    path = folder / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": list(rules), **group}]}))
    return load_rules([path], 60)


@pytest.mark.parametrize(("expr", "read"), EXPRESSIONS.items())
def test_the_series_that_an_expression_reads(expr: str, read: set[str]) -> None:
    assert series_read(expr) == read


@pytest.mark.parametrize(("text", "expected"), [("1h30m", 5_400), ("500ms", 0.5), ("0s", 0), ("1w", 604_800)])
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_groups_have_an_interval_or_the_default(tmp_path: Path) -> None:
    rule = {"alert": "A", "expr": AUC, "for": "5m"}
    assert [of.every for of in file(tmp_path, rule).alerts] == [60]
    [alert] = file(tmp_path, rule, interval="30s").alerts
    assert (alert.every, alert.wait, alert.keep) == (30, 300, 0)


@pytest.mark.parametrize(
    ("expr", "obstacle"),
    [
        (f"{AUC} < 0.9", None),
        (f"rate({LATENCY}_count[2m]) > 1", None),
        (f"rate({LATENCY}_count[119s]) > 1", "it looks over 119 s, less than two steps of 60 s"),
        ("vector(1)", "it reads no series"),
        (f"absent({names.BUILD_INFO.name})", f"the history has no {names.BUILD_INFO.name}"),
        ("fine > 1", None),
        ("broken > 1", "broken: the history has no up"),
        (f"{AUC} and broken", "broken: the history has no up"),
    ],
)
def test_what_a_history_cannot_tell_is_named(tmp_path: Path, expr: str, obstacle: str | None) -> None:
    recorded = [{"record": "fine", "expr": AUC}, {"record": "broken", "expr": "up"}]
    rules = file(tmp_path, *recorded, {"alert": "A", "expr": expr})
    found = rules.obstacle(rules.alerts[0], {INFO}, 60)
    assert found == obstacle if obstacle is None else (found or "").startswith(obstacle)


def test_recorded_series_come_in_layers(tmp_path: Path) -> None:
    chain = [{"record": "c", "expr": "b + a"}, {"record": "b", "expr": "a"}, {"record": "a", "expr": AUC}]
    rules = file(tmp_path, *chain, {"record": "unread", "expr": AUC}, {"alert": "A", "expr": "c"})
    assert [[rule.name for rule in layer] for layer in rules.layers(rules.alerts)] == [["a"], ["b"], ["c"]]


def test_a_circle_of_recorded_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="break the circle"):
        file(tmp_path, {"record": "a", "expr": "b"}, {"record": "b", "expr": "a"}, {"alert": "A", "expr": "a"})


@pytest.mark.parametrize("text", ["[", "groups: 3", "groups: [{name: a}]", "groups: [{rules: [{alert: A}]}]"])
def test_what_is_no_rule_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "rules.yml").write_text(text)
    with pytest.raises(ConfigError, match="is no rule file"):
        load_rules([tmp_path / "rules.yml"], 60)


def test_every_shipped_rule_is_understood() -> None:
    rules = load_rules([ROOT / "alerting/generated/rules.yml"], 60)
    recorded = {rule.name for rule in rules.rules if not rule.is_alert}
    unread = [rule.name for rule in rules.alerts if not rule.reads]
    assert unread == ["Watchdog"]
    assert {name for rule in rules.rules for name in rule.reads if ":" in name} <= recorded
