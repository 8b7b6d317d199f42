"""promtool's unit tests for rules, written from the table of cases and run for real."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import yaml

from alerting.rules import alerts
from exporter import names
from exporter.config import load_config

from .cases import Case, Labels, Rate, Series

ROOT = Path(__file__).parents[2]
COMMITTED = load_config(ROOT / "deploy/prediction-exporter.yml")


def values(value: float | Rate, count: int) -> str:
    if isinstance(value, Rate):
        return f"0+{value.step}x{count}"
    return " ".join(["NaN" if value != value else repr(float(value))] * (count + 1))  # noqa: PLR0124 - NaN is unlike itself


def inputs(series: tuple[Series, ...], count: int) -> list[dict[str, str]]:
    return [{"series": one.key(), "values": values(one.value, count)} for one in series]


def nobody(alert: str, minute: int) -> dict[str, Any]:
    return {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}


def somebody(case: Case, minute: int) -> dict[str, Any]:
    labels = case.labels | {"severity": SHIPPED[case.alert].severity, "app": names.ALERT_APP}
    expected = {"exp_labels": labels, "exp_annotations": texts(case)}
    return {"eval_time": f"{minute}m", "alertname": case.alert, "exp_alerts": [expected]}


def texts(case: Case) -> Labels:
    """The alert's annotations as Prometheus must render them for the case's labels and value."""

    def label(match: re.Match[str]) -> str:
        value = case.labels[match[1]]
        return quote_plus(value) if match[2] else value

    rule: Any = SHIPPED[case.alert].rule(COMMITTED.alerting)
    return {
        key: re.sub(r"{{ \$value[^}]*}}", case.value, re.sub(r"{{ \$labels\.(\w+)( \| urlquery)? }}", label, text))
        for key, text in rule["annotations"].items()
    }


def other_model(series: tuple[Series, ...]) -> tuple[Series, ...]:
    renamed = (
        replace(one, labels=one.labels | {"model_name": "other"}) for one in series if "model_name" in one.labels
    )
    return tuple(renamed)


def behaviour(case: Case) -> Iterator[dict[str, Any]]:
    """What promtool asserts of one case: step, boundary, and NaN; a healthy second model keeps out of it."""
    end = case.at + 10
    yield {
        "input_series": inputs(case.fires + other_model(case.calm), end),
        "alert_rule_test": [nobody(case.alert, case.at - 1), somebody(case, case.at)],
    }
    yield {"input_series": inputs(case.calm, end), "alert_rule_test": [nobody(case.alert, end)]}
    nan = tuple(replace(one, value=float("nan")) for one in case.fires if not isinstance(one.value, Rate))
    if nan and case.alert not in FIRES_ON_NAN:
        yield {"input_series": inputs(nan, end), "alert_rule_test": [nobody(case.alert, end)]}


def recovery(case: Case) -> dict[str, Any]:
    """A constant that turns bad and good again: the alert goes on for keep_firing_for, and then ends."""
    back, keep = case.at + 2, SHIPPED[case.alert].hold.keep // 60
    series = [
        {"series": bad.key(), "values": f"{values(bad.value, back - 1)} {values(good.value, keep + 1)}"}
        for bad, good in zip(case.fires, case.calm, strict=True)
    ]
    return {
        "input_series": series,
        "alert_rule_test": [somebody(case, back + keep - 1), nobody(case.alert, back + keep)],
    }


def recovers(case: Case) -> bool:
    """Whether bad and good are the same constants; a rate forgets slowly, and a value told would change."""
    constant = all(not isinstance(one.value, Rate) for one in case.fires)
    return (
        constant
        and [one.key() for one in case.fires] == [one.key() for one in case.calm]
        and "$value" not in str(SHIPPED[case.alert].rule(COMMITTED.alerting))
    )


SHIPPED = {alert.name: alert for alert in alerts(COMMITTED)}
FIRES_ON_NAN = {
    "PredictionStatisticNaN",
    "PredictionDriftCheckAbsent",  # these two ask for the absence of a series, whatever the value of the one beside it
    "PredictionRecordsAbsent",
}


def checked(*command: str | Path) -> str:
    """What a Prometheus tool prints; the test fails with its words if it complains, and is skipped without it."""
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"{command[0]} is not installed; scripts/install-prometheus installs it")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run_promtool(folder: Path, rules: str, tests: list[dict[str, Any]], step: str = "1m") -> None:
    """Run `tests` against the text of a rule file; the assertion shows promtool's own words."""
    (folder / "rules.yml").write_text(rules, encoding="utf-8")
    suite = {
        "rule_files": ["rules.yml"],
        "group_eval_order": [group["name"] for group in yaml.safe_load(rules)["groups"]],  # recorded series first
        "evaluation_interval": step,
        "tests": [{"interval": step, **test} for test in tests],
    }
    path = folder / "tests.yml"
    path.write_text(yaml.safe_dump(suite, sort_keys=False, allow_unicode=True), encoding="utf-8")
    checked("promtool", "test", "rules", path)


def shipped_rules() -> str:
    return (ROOT / "alerting/generated/rules.yml").read_text(encoding="utf-8")


def firing(selector: str, minute: str, *found: Labels) -> dict[str, Any]:
    """promtool's assertion that exactly the alerts `found` fire."""
    return {
        "expr": f'max by ({", ".join(found[0]) if found else "alertname"}) (ALERTS{{alertstate="firing",{selector}}})',
        "eval_time": minute,
        "exp_samples": [{"labels": Series("", labels, 0).key(), "value": 1} for labels in found],
    }
